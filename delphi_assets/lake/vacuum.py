"""The room that files take which were replaced, and how it is given back.

In: a lake. Out: the files in `superseded/`, and after `apply` a lake without them.

A newer file took the place of each, or one with the rows of several; nothing of this library reads
them. Who opened one before it was moved, or goes by paths of then, may: so they stay until somebody
says so.
"""

from contextlib import suppress
from typing import NamedTuple

from delphi_assets.errors import NotReadyError, StorageError
from delphi_assets.lake.lake import SUPERSEDED, Lake


class Vacuum(NamedTuple):
    """What is to be deleted."""

    files: list[str]
    """Paths, in order."""
    bytes: int
    """Of all of them."""


def planned(lake: Lake) -> Vacuum:
    """What `apply` would delete, without doing it.

    Raises `NotReadyError` without a lake, `ConflictError` for one of a newer version.
    """
    if lake.version is None:
        raise NotReadyError(f"there is no lake at {lake.location('')!r}; check the path.")
    found: dict[str, dict[str, int]] = {}
    with suppress(FileNotFoundError):
        found = lake.fs.find(f"{lake.root}/{SUPERSEDED}", detail=True)
    sizes = {path.removeprefix(f"{lake.root}/"): int(at["size"]) for path, at in found.items()}
    return Vacuum(sorted(sizes), sum(sizes.values()))


def apply(lake: Lake, vacuum: Vacuum) -> None:
    """Delete what was planned, and folders that are empty then.

    Raises `StorageError` when files stay.
    """
    for path in vacuum.files:
        lake.discard(path)
    if left := [path for path in vacuum.files if lake.exists(path)]:
        raise StorageError(
            f"{len(left)} of {len(vacuum.files)} files in {lake.location(SUPERSEDED)} cannot be "
            f"deleted, the first of them {lake.location(left[0])}; expected permission to. The "
            "others are gone: mend it and run again."
        )
    parts = [path.split("/")[:-1] for path in vacuum.files]
    folders = {"/".join(each[:depth]) for each in parts for depth in range(1, len(each) + 1)}
    for folder in sorted(folders, key=len, reverse=True):
        lake.remove_empty_folder(folder)
