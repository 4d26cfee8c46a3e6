"""A lake of an earlier version becomes one of this version, step by step, without losing a row.

In: a lake. Out: the files that move, and after `apply` a lake that notes this version.

From 3 to 4:

1. Files without rows lay in the tables' own folders (`run=_`), where every reader finds them.
2. Files that were replaced, or left by a process that was killed before it had described them, lay
   there too. What no manifest of a table that is written once names, no stage believes.

Both move to `superseded/`, as they lie; nothing is deleted, and the growing tables, which hold what
was paid for, are not touched. Killed anywhere, it goes on where it was: the version is noted last.
Nothing else may write to the lake meanwhile.
"""

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

from delphi_assets.errors import NotReadyError
from delphi_assets.lake.lake import VERSION, Lake
from delphi_assets.lake.schema import SCHEMA_VERSION, TABLES


class Upgrade(NamedTuple):
    """What becomes of a lake."""

    version: int
    """Before."""
    without_rows: list[str]
    """Paths of files that only made views possible."""
    not_believed: list[str]
    """Paths of files that no manifest names."""


def planned(lake: Lake) -> Upgrade:
    """What `apply` would do, without doing it.

    Raises `NotReadyError` without a lake, `ConflictError` for one of a newer version.
    """
    version = lake.version
    if version is None:
        raise NotReadyError(f"there is no lake at {lake.location('')!r}; check the path.")
    upgrade = Upgrade(version, [], [])
    for step in range(version, SCHEMA_VERSION):
        upgrade = _STEPS[step](lake, upgrade)
    return upgrade


def apply(lake: Lake, upgrade: Upgrade) -> None:
    """Do what was planned; raises `StorageError` when the lake cannot be written."""
    for path in (*upgrade.without_rows, *upgrade.not_believed):
        lake.supersede(path)
    lake.initialize()
    if upgrade.version < SCHEMA_VERSION:
        lake.write_text(VERSION, json.dumps({"schema_version": SCHEMA_VERSION}))


def unnamed(lake: Lake) -> Iterator[str]:
    """Paths of files with rows, of tables that are written once, that no manifest names."""
    for table in TABLES.values():
        if not table.grows:
            held = lake.manifests(table.name)
            named = {file.path for manifest in held for file in manifest.files}
            found = (path for path in lake.paths(table.name) if "/run=_/" not in path)
            yield from sorted(set(found) - named)


def _from_3(lake: Lake, upgrade: Upgrade) -> Upgrade:
    empty = [
        path for name in TABLES for path in lake.paths(name) if path.startswith(f"{name}/run=_/")
    ]
    return Upgrade(
        upgrade.version,
        [*upgrade.without_rows, *empty],
        [*upgrade.not_believed, *unnamed(lake)],
    )


_STEPS: dict[int, Callable[[Lake, Upgrade], Upgrade]] = {3: _from_3}
"""What leads from a version to the next one."""
