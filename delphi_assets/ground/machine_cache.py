"""What this machine remembers between runs: converted models, hashes of large files, and what took
long to find.

In: paths of files that somebody else wrote (coders, models). Out: hashes of their content. Or: a
question with all that its answer depends on. Out: the answer.

A hash is remembered in the cache folder under the file's path, with its size and its times, and
believed while these are the same; so a model of many gigabytes is read once, and each later look
costs a `stat`. Times say nothing about content, so a file that was copied or touched is read again
and found to be the same. Losing the folder costs time and nothing else.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

CACHE_VARIABLE = "DELPHI_ASSETS_CACHE"

_REMEMBERED = 2**20
"""Bytes of the smallest file whose hash is remembered; a smaller one is read at every look."""

_SETTLED_NS = 2 * 10**9
"""Age of a change from which on another one would show in the times of any file system."""


def cache_folder() -> Path:
    """Where this is kept: `$DELPHI_ASSETS_CACHE`, else `~/.cache/delphi-assets`."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "delphi-assets"


def fingerprint(paths: Iterable[Path]) -> str:
    """SHA-256 over the SHA-256 of the files in their order, wherever they are."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, read in blocks unless it is remembered."""
    real = path.resolve()
    before = _signature(real)
    if before["size"] < _REMEMBERED:
        return _read(real)
    note = cache_folder() / "hashes" / f"{hashlib.sha256(os.fsencode(real)).hexdigest()}.json"
    if (held := _recalled(note, before)) is not None:
        return held
    found = _read(real)
    settled = time.time_ns() - max(before["mtime_ns"], before["ctime_ns"]) > _SETTLED_NS
    if settled and _signature(real) == before:
        _remember(note, {**before, "sha256": found})
    return found


def remembered(depends: object, find: Callable[[], Any]) -> Any:
    """What `find` gives; what it gave before is taken where all that it depends on is the same.

    Both are values that JSON has.
    """
    question = json.dumps(depends, sort_keys=True).encode()
    note = cache_folder() / "found" / f"{hashlib.sha256(question).hexdigest()}.json"
    with suppress(OSError, ValueError):
        return json.loads(note.read_text(encoding="utf-8"))
    found = find()
    _remember(note, found)
    return found


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _signature(path: Path) -> dict[str, int]:
    """What changes with a file: the second of its times also when the first is set back."""
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "ctime_ns": stat.st_ctime_ns}


def _recalled(note: Path, signature: dict[str, int]) -> str | None:
    """The hash in a note about a file that has not changed since."""
    try:
        held = json.loads(note.read_text(encoding="utf-8"))
        found = str(held.pop("sha256"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if held == signature else None


def _remember(note: Path, held: object) -> None:
    """Write the note whole or not at all; a folder that cannot be written remembers nothing."""
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        handle, staged = tempfile.mkstemp(dir=note.parent, prefix=".", suffix=".json")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(held, file)
            os.replace(staged, note)
        except OSError:
            os.unlink(staged)
            raise
