"""The rows of a question, as they come.

In: a statement and the values of its parameters. Out: `Rows`, of which a batch at a time is in
memory. A worker thread asks DuckDB, so that Ctrl-C is heard at once and interrupts the query.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import duckdb
import pyarrow as pa

from delphi_assets.lake.damage import damage_behind
from delphi_assets.lake.database import Parameter, connect, own_folder
from delphi_assets.lake.read_only import ReadOnlyLake
from delphi_assets.lake.storage import globbed
from delphi_assets.queries.statements import CheckedStatement, is_refusal, query_error

_BATCH = 8_192
R = TypeVar("R")
Row = tuple[object, ...]


class Rows(NamedTuple):
    """Names of the columns, their types, and the rows one after the other."""

    names: list[str]
    types: list[pa.DataType]
    rows: Iterator[Row]


@contextmanager
def session(root: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection as `connect` gives it, which reads the files of the lake and no others.

    DuckDB sees to it that no query writes a file, but into folders of this process, for what it
    spills and for files without rows. A name is never a Python variable of ours. What is made in
    the session, secrets too, is gone when it ends.
    """
    with TemporaryDirectory(prefix="duckdb") as folder:
        # In a thread: Ctrl-C within a look at a file would be an error of DuckDB's.
        with ThreadPoolExecutor(1) as worker:
            opened = worker.submit(_open, ReadOnlyLake(root), folder).result()
        with opened as con:
            yield con


def _open(lake: ReadOnlyLake, folder: str) -> duckdb.DuckDBPyConnection:
    con = connect(lake)
    # It is allowed to be used once other access is off.
    con.execute("set temp_directory = $folder", {"folder": folder})
    # As they are called, and as they are called in a glob.
    folders = [f"{lake.location('')}/", own_folder()]
    readable = [*folders, *map(globbed, folders)]
    con.execute("set allowed_directories = $readable", {"readable": readable})
    con.execute("set enable_external_access = false")
    con.execute("set allow_persistent_secrets = false")
    con.execute("set python_enable_replacements = false")
    # Its bar is written between the rows.
    con.execute("set enable_progress_bar = false")
    # Other settings name files to write, such as a log.
    con.execute("set allowed_configs = ['threads', 'memory_limit']")
    con.execute("set lock_configuration = true")
    return con


def run(
    con: duckdb.DuckDBPyConnection, question: CheckedStatement, values: Mapping[str, Parameter]
) -> Rows:
    """Rows of a question, none for one that has none; raises `DataError` for what DuckDB refuses.

    Ctrl-C while rows are made raises `KeyboardInterrupt`, and the connection can be used again.
    """
    given = dict(values) or None
    if not question.has_rows:
        interruptible(con, lambda: con.execute(question.statement, given))
        return Rows([], [], iter(()))
    reader = interruptible(
        con, lambda: con.execute(question.statement, given).to_arrow_reader(_BATCH)
    )
    return Rows(reader.schema.names, reader.schema.types, _rows(con, reader))


def first(rows: Rows, n_rows: int) -> tuple[list[Row], bool]:
    """The first rows, and whether there are more."""
    some = list(islice(rows.rows, n_rows + 1))
    return some[:n_rows], len(some) > n_rows


def _rows(con: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader) -> Iterator[Row]:
    try:
        while (batch := interruptible(con, lambda: next(iter(reader), None))) is not None:
            yield from zip(*(_values(column) for column in batch.columns), strict=True)
    finally:
        # The connection takes no other query while one is open.
        reader.close()


def _values(column: pa.Array) -> list[object]:
    """A column's values as Python's; dates that Python has not, as texts."""
    try:
        values: list[object] = column.to_pylist()
    except (OverflowError, ValueError):
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: pa.Scalar) -> object:
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.StructScalar):
        return {name: _value(held) for name, held in scalar.items()}
    if isinstance(scalar, pa.ListScalar | pa.FixedSizeListScalar):
        return [_value(held) for held in scalar.values]
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        text = str(scalar.cast(pa.string()).as_py())
    # DuckDB's infinities are the last numbers that there are.
    infinite = re.fullmatch(r"<value out of range: (-?)\d+>", text)
    return f"{infinite[1]}infinity" if infinite else text.replace(" ", "T")


def interruptible(con: duckdb.DuckDBPyConnection, ask: Callable[[], R]) -> R:
    """What is asked of a connection, in a thread, so that Ctrl-C ends it at once."""
    with ThreadPoolExecutor(1) as worker:
        asked = worker.submit(ask)
        try:
            return asked.result()
        except KeyboardInterrupt:
            con.interrupt()
            raise
        except (duckdb.Error, pa.ArrowInvalid, OSError) as error:
            # What DuckDB raises while rows are made comes from Arrow, as one of its errors.
            damage = None if is_refusal(error) else damage_behind(con, error)
            raise damage or query_error(error) from error
