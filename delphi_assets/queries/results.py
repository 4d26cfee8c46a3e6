"""The rows of a question, as they come.

In: a statement and the values of its parameters. Out: `Rows`, of which a batch at a time is in
memory. A worker thread asks DuckDB, so that Ctrl-C is heard at once and interrupts the query.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

import duckdb
import pyarrow as pa

from delphi_assets.database import Parameter, connect
from delphi_assets.queries.statements import Question, query_error

_BATCH = 8_192
R = TypeVar("R")
Row = tuple[object, ...]


class Rows(NamedTuple):
    """Names of the columns, their types, and the rows one after the other."""

    names: list[str]
    types: list[pa.DataType]
    rows: Iterator[Row]


def session(lake: str) -> duckdb.DuckDBPyConnection:
    """A connection as `connect` gives it, in which a name is never a Python variable of ours.

    What is made in it, secrets too, is gone when it is closed.
    """
    con = connect(lake)
    con.execute("set allow_persistent_secrets = false")
    con.execute("set python_enable_replacements = false")
    # Its bar is written between the rows.
    con.execute("set enable_progress_bar = false")
    return con


def run(
    con: duckdb.DuckDBPyConnection, question: Question, values: Mapping[str, Parameter]
) -> Rows:
    """Rows of a question, none for one that has none; raises `DataError` for what DuckDB refuses.

    Ctrl-C while rows are made raises `KeyboardInterrupt`, and the connection can be used again.
    """
    given = dict(values) or None
    if not question.has_rows:
        _interruptible(con, lambda: con.execute(question.statement, given))
        return Rows([], [], iter(()))
    reader = _interruptible(
        con, lambda: con.sql(question.statement, params=given).to_arrow_reader(_BATCH)
    )
    return Rows(reader.schema.names, reader.schema.types, _rows(con, reader))


def first(rows: Rows, n_rows: int) -> tuple[list[Row], bool]:
    """The first rows, and whether there are more."""
    some = list(islice(rows.rows, n_rows + 1))
    return some[:n_rows], len(some) > n_rows


def _rows(con: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader) -> Iterator[Row]:
    try:
        while (batch := _interruptible(con, lambda: next(iter(reader), None))) is not None:
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    finally:
        # The connection takes no other query while one is open.
        reader.close()


def _interruptible(con: duckdb.DuckDBPyConnection, ask: Callable[[], R]) -> R:
    with ThreadPoolExecutor(1) as worker:
        asked = worker.submit(ask)
        try:
            return asked.result()
        except KeyboardInterrupt:
            con.interrupt()
            raise
        except (duckdb.Error, pa.ArrowInvalid) as error:
            raise query_error(error) from error
