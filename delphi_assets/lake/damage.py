"""A file of the lake that DuckDB cannot read: which one it is, and which stage writes it again.

In: a connection of `database.connect`, and what DuckDB raised. Out: a `DataError`, where a damaged
file is the cause.

1. DuckDB names the file, in most cases: then only whether it is one of the lake's is looked up.
2. Where it says nothing but that bytes make no sense, the footers of all files are read, then their
   pages, until one cannot be. That takes as long as reading the lake once.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from delphi_assets.errors import DataError
from delphi_assets.lake.lake import asset_of
from delphi_assets.lake.schema import TABLES

_NAMED = re.compile(r"""['"]([^'"]+\.parquet)['"]""")


class _Held(NamedTuple):
    """A file of the lake, as its file system calls it."""

    fs: fsspec.AbstractFileSystem
    path: str
    table: str


@contextmanager
def naming_damage(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Within, errors that a damaged file causes are `DataError`s that name it."""
    try:
        yield
    except duckdb.Error as error:
        if (told := damage_behind(con, error)) is not None:
            raise told from error
        raise


def damage_behind(con: duckdb.DuckDBPyConnection, error: Exception) -> DataError | None:
    """The error for the damaged file that made DuckDB raise `error`; None for another cause."""
    named = _NAMED.search(str(error))
    # Where DuckDB does not know what is wrong, the error has no kind of its own.
    if "No such file" in str(error) or (named is None and type(error) is not duckdb.Error):
        return None
    files = _files(con)
    if named is not None:
        found = next((held for held in files if named[1].endswith(held.path)), None)
    else:
        asked = ((held, read) for read in (_footer, _pages) for held in files)
        found = next((held for held, read in asked if not _is_readable(held, read)), None)
    if found is None:
        return None
    return DataError(
        f"{found.path} cannot be read ({said(error)}): it is damaged; {way_out(found.table)}."
    )


def said(error: Exception) -> str:
    """What DuckDB says, without the place in the query's text or in the program's."""
    return re.split(r"\s*\n\s*(?:LINE \d+|At|Stack Trace):", str(error))[0].strip()


def way_out(table: str) -> str:
    """What to do about a damaged file of a table."""
    return _WAYS_OUT.get(
        table,
        f"restore it, or delete it and materialize the asset {asset_of(table)!r} again, which "
        "writes it anew or says what it needs",
    )


_WAYS_OUT = {
    "completions": "restore it from a copy; without it, its answers are asked and paid for again "
    "by the assets 'explanations' and 'predictions'",
    "explanations": "delete it and materialize the asset 'explanations' again, which takes the "
    "answers from completions",
    "judges": "delete it and give 'delphi-assets calibrate' again, which takes the answers from "
    "completions",
    "labels": "restore it from a copy, or delete it and add its labels again with "
    "'delphi-assets add-labels'",
    "planted": "restore it from a copy, or delete it and give 'delphi-assets plant' again, as "
    "before",
    "predictions": "delete it and materialize the asset 'predictions' again, which takes the "
    "answers from completions",
}


def _files(con: duckdb.DuckDBPyConnection) -> list[_Held]:
    """The files behind the connection's views."""
    held = con.execute("select getvariable('files')").fetchone()
    patterns = held[0] if held else None
    # A query may have set the variable to whatever it likes.
    if not isinstance(patterns, Mapping):
        return []
    return [
        _Held(fs, path, table)
        for table in sorted(TABLES.keys() & patterns.keys())
        for fs, path in map(fsspec.core.url_to_fs, _listed(con, patterns[table]))
    ]


def _listed(con: duckdb.DuckDBPyConnection, patterns: object) -> list[str]:
    """Locations of files, as far as the connection may see them: not every one sees all."""
    try:
        found = con.execute(
            "select file from glob($patterns) order by file", {"patterns": patterns}
        ).fetchall()
    except duckdb.Error:
        return []
    return [location for (location,) in found]


def _is_readable(held: _Held, read: Callable[[pq.ParquetFile], object]) -> bool:
    """Whether `read` gets through the file; one that is gone meanwhile is not damaged."""
    with suppress(FileNotFoundError), held.fs.open(held.path, "rb") as source:
        try:
            read(pq.ParquetFile(source))
        except (pa.ArrowException, OSError, ValueError):
            return False
    return True


def _footer(file: pq.ParquetFile) -> None:
    assert file.metadata is not None


def _pages(file: pq.ParquetFile) -> None:
    for _ in file.iter_batches():
        pass
