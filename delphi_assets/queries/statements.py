"""Text into statements, and which of them may run.

Tables of the lake are views over Parquet files: no query can change them. What could do harm are
statements that write, attach or fetch something outside of the session. They are refused, so that
a query cannot overwrite a file by accident; results are written by the command. Tables, views,
macros and variables of the session's own are welcome, and gone when it ends.
"""

import re
from typing import NamedTuple

import duckdb

from delphi_assets.errors import DataError

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
_EXPLAIN = re.compile(r"(?:\s|--[^\n]*\n)*explain\s+(?:analyze\s+)?(?:\([^)]*\)\s*)?", re.I)


class Question(NamedTuple):
    """One statement that may run."""

    statement: duckdb.Statement
    """A pivot is several, and these have no text of their own."""
    parameters: frozenset[str]
    """Names of its `$named` parameters."""
    has_rows: bool
    """Whether its rows are what it is for."""


def questions(text: str) -> list[Question]:
    """The statements of a text, in order.

    Raises `DataError` for what is not SQL, for one that writes or attaches files, and without any.
    """
    found = _statements(text)
    if not found:
        raise DataError("the query is empty; expected a statement, such as 'from scores limit 5'.")
    return [
        Question(statement, frozenset(statement.named_parameters), statement.type in _ROWS)
        for statement in found
    ]


def _statements(text: str) -> list[duckdb.Statement]:
    try:
        found = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise query_error(error) from error
    for statement in found:
        if statement.type not in _ROWS | _WITHOUT_ROWS:
            raise DataError(
                f"{statement.type.name} is refused: a query reads, and "
                "writes nothing outside of its session. To write a result to a file, use --format "
                "csv or json, export-table, or connect() in Python."
            )
        if statement.type == duckdb.StatementType.EXPLAIN:
            # With ANALYZE it runs what it explains.
            _statements(_EXPLAIN.sub("", statement.query, count=1))
    return found


def query_error(error: Exception) -> DataError:
    """What DuckDB says of a query, without the place in its text."""
    return DataError(re.split(r"\s*\n\s*LINE \d+:", str(error))[0])
