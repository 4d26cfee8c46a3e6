"""One process at a time at a piece of work in a lake."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from delphi_assets.lake import Lake


@contextmanager
def alone(lake: Lake, path: str) -> Iterator[bool]:
    """Whether no other process is inside; none gets in while the block is open.

    `path` is a file in the lake that is there for this alone. A lake at a URL has no locks: always
    True.
    """
    if not lake.local:
        yield True
        return
    place = Path(lake.root, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w", encoding="ascii") as lock:
        try:
            # The system frees the lock of a process that is killed.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
