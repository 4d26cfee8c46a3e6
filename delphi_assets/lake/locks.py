"""One process at a time at a piece of work in a lake.

In: where the lake is, and the path of a file in it that is there for this alone. Out: a block in
which nobody else is, neither another process nor another thread of this one.

1. `alone` says at once whether it is.
2. `claimed` waits until it is, and says for whom: the file holds process and host of who has it.

The system frees the lock of a process that ends, however it ends. A lake at a URL has no locks, and
neither have some file systems of clusters: there is nobody else there for all that these functions
know (`has_locks`), which they say once.
"""

import errno
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

from delphi_assets.errors import StorageError
from delphi_assets.lake.storage import Storage

LOOK = 0.05
"""Seconds between two looks at a lock that somebody else has."""
REMINDER = 600.0
"""Seconds between two lines of the log about the same lock."""

_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

log = logging.getLogger(__name__)


@contextmanager
def alone(storage: Storage, path: str) -> Iterator[bool]:
    """Whether no other process is inside; none gets in while the block is open.

    Raises `StorageError` where the file cannot be opened or locked.
    """
    if not storage.local:
        yield True
        return
    with _opened(storage, path) as lock:
        try:
            taken = _taken(lock)
        except NoLocksError:
            taken = True
        yield taken


@contextmanager
def claimed(storage: Storage, path: str, what: str, patience: float = 0.0) -> Iterator[None]:
    """Wait until nobody else is inside, and keep everybody out.

    `what` this process is about to do is for the log, which tells of a wait after `patience`
    seconds. Raises `StorageError` where the file cannot be opened or locked.
    """
    if not storage.local:
        _say_once(f"{storage!r} has no locks: let one process at a time {what}")
        yield
        return
    with _opened(storage, path) as lock:
        try:
            _wait(lock, what, patience)
            _sign(lock)
        except NoLocksError as error:
            _say_once(f"{storage!r} has no locks: let one process at a time {what} ({error})")
        yield


def has_locks(storage: Storage) -> bool:
    """Whether processes can keep each other out of what they do in the lake."""
    if not storage.local:
        return False
    with _opened(storage, "claims/probe.lock") as probe:
        try:
            _taken(probe)
        except NoLocksError:
            return False
    return True


class NoLocksError(Exception):
    """The file system knows no locks; says its reason."""


@contextmanager
def _opened(storage: Storage, path: str) -> Iterator[BinaryIO]:
    place = Path(storage.root, path)
    with storage.writing(path):
        place.parent.mkdir(parents=True, exist_ok=True)
        # Not emptied: it may name the process that holds it.
        lock = place.open("a+b")
    with lock:
        yield lock


def _taken(lock: BinaryIO) -> bool:
    try:
        return lock_descriptor(lock.fileno(), blocking=False)
    except OSError as error:
        if error.errno in _UNKNOWN:
            raise NoLocksError(str(error)) from error
        raise StorageError(
            f"{lock.name} cannot be locked ({error}); expected a file system that keeps processes "
            "apart, or has no locks at all. Nothing was written: mend it and run again."
        ) from error


def _wait(lock: BinaryIO, what: str, patience: float) -> None:
    tell = time.monotonic() + patience
    while not _taken(lock):
        if time.monotonic() >= tell:
            log.warning("waiting for %s, before this one can %s", _holder(lock), what)
            tell = time.monotonic() + REMINDER
        time.sleep(LOOK)


def _sign(lock: BinaryIO) -> None:
    signed = json.dumps({"process": os.getpid(), "host": socket.gethostname()})
    # On a full disk others wait for whom they do not know.
    with suppress(OSError):
        lock.truncate(0)
        os.write(lock.fileno(), signed.encode())


def _holder(lock: BinaryIO) -> str:
    lock.seek(0)
    try:
        named = json.loads(lock.read())
        return f"process {named['process']} on {named['host']}"
    except (ValueError, KeyError, TypeError):
        # It is about to sign.
        return "another process"


@cache
def _say_once(told: str) -> None:
    log.warning(told)
