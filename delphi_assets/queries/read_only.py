"""A lake that can be read and in no way written, for queries of whoever types them.

In: the folder or URL of a lake. Out: a `Lake` whose files have the URL `lake://<path>`. A
connection that is allowed nothing but these can write no file: opened for writing they are refused
here, and what would remove or move one is not there. DuckDB itself opens local files by their path,
for which there is no way to allow reading alone.
"""

import os
from typing import Any, ClassVar

import fsspec

from delphi_assets.lake import Lake


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
        return self.files.open(self._strip_protocol(path), mode, **options)

    def info(self, path: str, **options: Any) -> Any:
        return self.files.info(self._strip_protocol(path), **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        return self.files.ls(self._strip_protocol(path), detail, **options)

    def glob(self, path: str, **options: Any) -> Any:
        return self.files.glob(self._strip_protocol(path), **options)

    def modified(self, path: str) -> Any:
        return self.files.modified(self._strip_protocol(path))
