"""A lake that can be read and in no way written, for queries of whoever types them.

In: the folder or URL of a lake. Out: a `Lake` whose files have the URL `lake://<path>`. A
connection that is allowed nothing but these can write no file: opened for writing they are refused
here, and what would remove or move one is not there. DuckDB itself opens local files by their path,
for which there is no way to allow reading alone.
"""

import os
from typing import Any, BinaryIO, ClassVar, Self

import fsspec

from delphi_assets.lake.lake import Lake

_PATIENCE = 1_000
"""Reads in a row that may give nothing: who reads to the end of a file does it once or twice."""


class ReadOnlyLake(Lake):
    """The lake at `root`, for reading."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        super().__init__(root)

        class OfThisLake(_ReadOnly):
            files = self.fs

        # So that a URL of the session leads to its file for who knows nothing but the URL.
        fsspec.register_implementation("lake", OfThisLake, clobber=True)
        self.fs, self.local = OfThisLake(), False


class _ReadOnly(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Files of another file system, by the same paths."""

    protocol: ClassVar[str] = "lake"
    cachable: ClassVar[bool] = False
    files: ClassVar[fsspec.AbstractFileSystem]

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode != "rb":
            raise PermissionError(f"{path} is refused")
        return _Ending(self.files.open(self._strip_protocol(path), mode, **options))

    def info(self, path: str, **options: Any) -> Any:
        return self.files.info(self._strip_protocol(path), **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        return self.files.ls(self._strip_protocol(path), detail, **options)

    def glob(self, path: str, **options: Any) -> Any:
        return self.files.glob(self._strip_protocol(path), **options)

    def modified(self, path: str) -> Any:
        return self.files.modified(self._strip_protocol(path))


class _Ending:
    """An open file that does not let itself be read behind its end for ever.

    DuckDB is not stopped by a read that gives nothing, and a damaged Parquet file may have it ask
    for two thousand million bytes that are not there, one by one.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._in_vain = file, 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes; raises `OSError` for a reader that goes on asking at the end."""
        content = self._file.read(size)
        self._in_vain = 0 if content or not size else self._in_vain + 1
        if self._in_vain > _PATIENCE:
            raise OSError("the file ends before what is read of it does")
        return content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
