"""Files under a root: a local folder or any URL that fsspec understands.

Nothing is ever written in place: a file is staged under `staging/`, made durable, and renamed to
where it belongs, so that whoever looks sees it whole or not at all.
"""

import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from delphi_assets.errors import DataError, SettingError, StorageError
from delphi_assets.ground.foreign_json import parse_json


def globbed(location: str) -> str:
    """A location as a pattern that finds it and nothing else: `*`, `?`, `[` and `{` are escaped.

    DuckDB and fsspec read a location that they list as a pattern.
    """
    return "".join(f"[{letter}]" if letter in "*?[{" else letter for letter in location)


class Storage:
    """Files at `root`: a local folder or a URL. Paths are relative to it unless called location."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.url = os.fspath(root)
        try:
            self.fs, path = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError, TypeError) as error:
            raise SettingError(
                f"{self.url!r} is no place that can be opened ({error}); expected a folder, or a "
                "URL of a protocol that fsspec knows, such as s3://bucket/lake with s3fs installed."
            ) from error
        self.root = path.rstrip("/")
        self.local = "file" in _protocols(self.fs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def location(self, relative: str) -> str:
        """`relative` as DuckDB and fsspec read it: with the protocol unless local."""
        path = f"{self.root}/{relative}" if relative else self.root
        return path if self.local else f"{_protocols(self.fs)[0]}://{path}"

    def local_path(self, relative: str) -> Path | None:
        """`relative` as a path of this machine; None where the root is elsewhere."""
        return Path(self.root, relative) if self.local else None

    def open(self, location: str) -> BinaryIO:
        """A file at a `location`, for reading."""
        opened: BinaryIO = self.fs.open(location, "rb")
        return opened

    def sha256(self, location: str) -> str:
        """SHA-256 of the content of a file at a `location`."""
        digest = hashlib.sha256()
        with self.open(location) as content:
            while block := content.read(2**20):
                digest.update(block)
        return digest.hexdigest()

    def left_in_staging(self) -> list[Path]:
        """What processes that were killed left in a local staging folder a day ago."""
        yesterday, found = time.time() - 24 * 3600, []
        for path in Path(self.root, "staging").glob("*") if self.local else ():
            with suppress(OSError):
                if path.is_file() and path.stat().st_mtime < yesterday:
                    found.append(path)
        return found

    def names(self, folder: str) -> list[str]:
        """Names of what is in a folder, as they are now; none when it is not there."""
        try:
            if self.local:
                return os.listdir(f"{self.root}/{folder}")
            found = self.fs.ls(f"{self.root}/{folder}", detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def matching(self, pattern: str) -> list[str]:
        """What is at paths that match a pattern, in order. The root is no part of the pattern."""
        found = self.fs.glob(f"{globbed(self.root)}/{pattern}")
        return sorted(str(path).removeprefix(f"{self.root}/") for path in found)

    def bytes_in(self, folder: str) -> int:
        """Bytes of all files in a folder; 0 where it is not there."""
        return int(self.fs.du(f"{self.root}/{folder}")) if self.exists(folder) else 0

    def exists(self, relative: str) -> bool:
        """Whether a file or folder is there."""
        return bool(self.fs.exists(f"{self.root}/{relative}"))

    @contextmanager
    def local_copy(self, relative: str) -> Iterator[Path]:
        """A folder as a local path, downloaded when it is elsewhere."""
        if self.local:
            yield Path(self.root) / relative
            return
        with tempfile.TemporaryDirectory() as folder:
            place = f"{self.root}/{relative}"
            for path in self.fs.find(place):
                target = Path(folder, path.removeprefix(place).strip("/"))
                target.parent.mkdir(parents=True, exist_ok=True)
                self.fs.get_file(path, str(target))
            yield Path(folder)

    def put_folder(self, source: Path, relative: str) -> None:
        """Publish a local folder under `relative`, whole; one that is there already stays.

        Raises `StorageError` when there is none afterwards.
        """
        stage = f"staging/{uuid.uuid4().hex}"
        try:
            with self.writing(relative):
                for file in sorted(path for path in source.rglob("*") if path.is_file()):
                    path = f"{stage}/{file.relative_to(source).as_posix()}"
                    self._make_parent(path)
                    self.fs.put_file(str(file), f"{self.root}/{path}")
            if not self.exists(relative):
                self.move(stage, relative)
        except StorageError:
            # A folder that appeared meanwhile is not empty, so the move fails and that one stays.
            if not self.exists(relative):
                raise
        finally:
            self.remove_folder(stage)

    def read_json(self, path: str) -> dict[str, Any] | None:
        """A JSON object; None without the file, `DataError` when it is damaged."""
        try:
            stored = parse_json(self.fs.cat_file(f"{self.root}/{path}"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(
                f"{self.location(path)} is not JSON ({error}); delete it and materialize its "
                "asset again."
            ) from error
        if not isinstance(stored, dict):
            raise DataError(
                f"{self.location(path)} holds {type(stored).__name__}; expected a JSON object. "
                "Delete it and materialize its asset again."
            )
        return stored

    def write_text(self, path: str, text: str) -> None:
        """Write a file, or another one over it."""
        self.move(self._stage_text(text), path)

    def create_text(self, path: str, text: str) -> bool:
        """Write a file unless it is there; False when it is. Of several writers one wins.

        Elsewhere than in a local folder, two that begin at the same moment may both win.
        """
        if self.exists(path):
            return False
        stage = self._stage_text(text)
        if not self.local:
            self.move(stage, path)
            return True
        try:
            with self.writing(path):
                self._make_parent(path)
                with suppress(FileExistsError):
                    os.link(f"{self.root}/{stage}", f"{self.root}/{path}")
                    return True
        finally:
            self.discard(stage)
        return False

    def _stage_text(self, text: str) -> str:
        stage = f"staging/{uuid.uuid4().hex}.json"
        with self.staged(stage) as sink:
            sink.write(text.encode())
        return stage

    def _make_parent(self, path: str) -> None:
        self.fs.makedirs(f"{self.root}/{path}".rsplit("/", 1)[0], exist_ok=True)

    def move(self, source: str, target: str) -> None:
        """Put a staged file or folder in place, over what is there."""
        with self.writing(target):
            self._make_parent(target)
            if self.local:
                os.replace(f"{self.root}/{source}", f"{self.root}/{target}")
                return
            # Not `fs.mv`, which takes its source for a pattern.
            place = f"{self.root}/{source}"
            for path in self.fs.find(place):
                self.fs.cp_file(path, f"{self.root}/{target}{path.removeprefix(place)}")
            self.remove_folder(source)

    def remove_folder(self, path: str) -> None:
        """Remove a folder with all that is in it, or a file, if it is there."""
        place = f"{self.root}/{path}"
        with suppress(OSError):
            if self.local and os.path.isdir(place):
                shutil.rmtree(place)
                return
            # Not `fs.rm`, which takes its path for a pattern.
            for found in self.fs.find(place):
                self.fs.rm_file(found)

    def remove_empty_folder(self, path: str) -> None:
        """Remove a folder if it is there and nothing is in it."""
        with suppress(OSError):
            self.fs.rmdir(f"{self.root}/{path}")

    @contextmanager
    def staged(self, path: str) -> Iterator[Any]:
        """A file to write; durable when it is closed, gone when that fails."""
        try:
            with self.writing(path):
                self._make_parent(path)
                with self.fs.open(f"{self.root}/{path}", "wb") as sink:
                    yield sink
                    if self.local:
                        sink.flush()
                        os.fsync(sink.fileno())
        except BaseException:
            self.discard(path)
            raise

    @contextmanager
    def writing(self, path: str) -> Iterator[None]:
        """Turn what goes wrong while `path` is written into a `StorageError` that names it."""
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self.location(path)} cannot be written ({error}); expected room and permission "
                "to write. What was published before is kept: mend it and run again."
            ) from error

    def discard(self, path: str) -> None:
        """Remove a file if it is there."""
        with suppress(OSError):
            self.fs.rm_file(f"{self.root}/{path}")


def _protocols(fs: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
