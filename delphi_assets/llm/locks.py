"""One process at a time at a piece of work in a lake.

In: a lake, and the path of a file in it that is there for this alone. Out: a block in which no
other process is.

1. `alone` says at once whether it is.
2. `claimed` waits until it is, and says for whom: a file that is claimed holds process and host.
3. `asking` claims the questions of a stage at a hookpoint of a run, so that none is paid for twice.

The system frees the lock of a process that ends, however it ends. A lake at a URL has no locks, and
neither have some file systems of clusters: there is nobody else there for all that these functions
know (`has_locks`).
"""

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TextIO

from delphi_assets.lake import Lake
from delphi_assets.manifests import folder_of

LOOK = 0.2
"""Seconds between two looks at a claim that somebody else has."""
REMINDER = 600.0
"""Seconds between two lines of the log about the same claim."""

_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

log = logging.getLogger(__name__)


@contextmanager
def alone(lake: Lake, path: str) -> Iterator[bool]:
    """Whether no other process is inside; none gets in while the block is open."""
    if not has_locks(lake):
        yield True
        return
    with _opened(lake, path) as lock:
        yield _taken(lock)


@contextmanager
def claimed(lake: Lake, path: str, what: str) -> Iterator[bool]:
    """Wait until nobody else is inside, and keep everybody out; whether that took any waiting.

    `what` is claimed, for the log. Of one process, two threads are kept apart as well.
    """
    if not has_locks(lake):
        log.warning("%r has no locks: let one process at a time ask for %s", lake, what)
        yield False
        return
    with _opened(lake, path) as lock:
        waited, told = False, -REMINDER
        while not _taken(lock):
            waited = True
            if time.monotonic() - told >= REMINDER:
                log.warning("%s: waiting for %s, who asks about it", what, _holder(lock))
                told = time.monotonic()
            time.sleep(LOOK)
        _sign(lock)
        yield waited


def asking(lake: Lake, stage: str, keys: Mapping[str, str | int]) -> AbstractContextManager[bool]:
    """Claim the questions that `stage` asks at the hookpoint of `keys`; see `claimed`."""
    place = " ".join(f"{name} {value!r}" for name, value in keys.items())
    return claimed(lake, f"{folder_of('claims', keys)}/{stage}.lock", f"{stage} of {place}")


def has_locks(lake: Lake) -> bool:
    """Whether processes can keep each other out of what they do in the lake."""
    if not lake.local:
        return False
    with _opened(lake, "claims/probe.lock") as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_SH)
        except OSError as error:
            if error.errno in _UNKNOWN:
                return False
            raise
    return True


@contextmanager
def _opened(lake: Lake, path: str) -> Iterator[TextIO]:
    place = Path(lake.root, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    # Not emptied: it may name the process that holds it.
    with place.open("a+", encoding="utf-8") as lock:
        yield lock


def _taken(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(lock: TextIO) -> None:
    lock.truncate(0)
    lock.write(json.dumps({"process": os.getpid(), "host": socket.gethostname()}))
    lock.flush()


def _holder(lock: TextIO) -> str:
    lock.seek(0)
    try:
        named = json.loads(lock.read())
        return f"process {named['process']} on {named['host']}"
    except (ValueError, KeyError, TypeError):
        # It is about to sign.
        return "another process"
