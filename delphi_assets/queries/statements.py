"""Text into statements, and what DuckDB says against one.

That a query writes no file is seen to by the session (`queries.results`), whatever the statement.
Kinds of statements that are of no use in one are refused here, with what to do instead. Tables,
views, macros and variables of the session's own are welcome, and gone when it ends.
"""

import re
from typing import NamedTuple

import duckdb

from delphi_assets.errors import DataError
from delphi_assets.lake.damage import said

_ROWS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_WITHOUT_ROWS = {
    duckdb.StatementType.SET,
    duckdb.StatementType.CREATE,
    duckdb.StatementType.DROP,
    duckdb.StatementType.ALTER,
    duckdb.StatementType.INSERT,
    duckdb.StatementType.UPDATE,
    duckdb.StatementType.DELETE,
}
_BREAKS = re.compile(rb'"?(enable_logging|enable_profiling)\b', re.IGNORECASE)
"""Functions that open a file when they run: that is refused, and DuckDB takes it for its end."""
_READS = (
    "a query reads the tables of its lake, and writes nothing outside of its session. To write a "
    "result to a file, use --format csv or json, or export-table; to read or write other files, "
    "connect() in Python."
)


class CheckedStatement(NamedTuple):
    """One statement that may run."""

    statement: duckdb.Statement
    """A pivot is several, and these have no text of their own."""
    parameters: frozenset[str]
    """Names of its `$named` parameters."""
    has_rows: bool
    """Whether its rows are what it is for."""


def questions(con: duckdb.DuckDBPyConnection, text: str) -> list[CheckedStatement]:
    """The statements of a text, in order, as the connection reads them.

    Raises `DataError` for what is not SQL, for one that writes or attaches files, and without any.
    """
    try:
        found = con.extract_statements(text)
    except duckdb.Error as error:
        raise query_error(error) from error
    if (broken := _breaks(text)) is not None:
        raise DataError(f"{broken} is refused: {_READS}")
    if not found:
        raise DataError("the query is empty; expected a statement, such as 'from scores limit 5'.")
    for statement in found:
        if statement.type not in _ROWS | _WITHOUT_ROWS:
            raise DataError(f"{statement.type.name} is refused: {_READS}")
    return [
        CheckedStatement(statement, frozenset(statement.named_parameters), statement.type in _ROWS)
        for statement in found
    ]


def _breaks(text: str) -> str | None:
    """The function in it that would end the session, if there is one."""
    written = text.encode()
    for start, kind in duckdb.tokenize(text):
        if kind == duckdb.token_type.identifier and (named := _BREAKS.match(written, start)):
            return named[1].decode().lower()
    return None


def query_error(error: Exception) -> DataError:
    """What DuckDB says of a query, and what to do."""
    told = said(error)
    if is_refusal(error):
        return DataError(f"{told.removeprefix('PermissionError: ')}; {_READS}")
    if "configuration has been locked" in told:
        return DataError(f"{told}; a query can set threads, memory_limit and variables.")
    return DataError(told)


def is_refusal(error: Exception) -> bool:
    """Whether the session refuses a file."""
    return isinstance(error, duckdb.PermissionException) or "PermissionError: " in str(error)
