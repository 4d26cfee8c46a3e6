"""Rows of a growing table, written as they arrive: what arrives together shares a file.

In: rows. Out: files, merged beside the work whenever there are many (`lake.compaction`), and once
more at the end. A row that does not fit into the table's columns becomes the row of its failure, so
that it neither keeps back those that share its file nor is met again by the next run.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import pyarrow as pa

from delphi_assets.errors import DataError, DelphiAssetsError
from delphi_assets.lake import compaction
from delphi_assets.lake.group_commit import GroupCommit
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import Column, Table

Row = dict[str, object]

RESULTS = {
    "completions": {"answer", "logprobs"},
    "explanations": {"explanation", "quick_score"},
    "predictions": {"prediction", "probability", "value", "simulated"},
}
"""Columns of a growing table that are null in the row of a failure."""
FAILURES = {"completions": "error", "explanations": "failure", "predictions": "failure"}
"""Columns that say why."""
UNSTORABLE = "unstorable"
"""What came of a question does not fit into its table's columns."""
_UNFIT = (pa.ArrowException, OverflowError, TypeError, ValueError)
"""What Arrow raises for values that a column cannot hold, half characters among them."""

log = logging.getLogger(__name__)


class Fitted(NamedTuple):
    """Rows that a table can hold."""

    rows: list[Row]
    arrow: pa.Table


def fitted(table: Table, rows: Sequence[Row]) -> Fitted:
    """`rows`, those that do not fit as rows of their failure.

    Raises `DataError` for a row whose identity does not fit.
    """
    try:
        return Fitted(list(rows), table.from_rows(list(rows)))
    except _UNFIT:
        fitting = [_fitted(table, row) for row in rows]
        return Fitted(fitting, table.from_rows(fitting))


def _fitted(table: Table, row: Row) -> Row:
    try:
        table.from_rows([row])
    except _UNFIT:
        given = [column for column in table.columns if column.name in row]
        unfit = [column.name for column in given if not _fits(column, row[column.name])]
        if lost := set(unfit) & set(table.identity):
            raise DataError(
                f"a row for the table {table.name!r} cannot be stored, as its {sorted(lost)} do "
                "not fit; expected the types of delphi_assets.lake.schema."
            ) from None
        log.warning("a row of %s is stored as failed: %s do not fit", table.name, unfit)
        void = dict.fromkeys([*unfit, *RESULTS[table.name]])
        return row | void | {FAILURES[table.name]: UNSTORABLE}
    return row


def _fits(column: Column, value: object) -> bool:
    try:
        pa.array([value], column.type)
    except _UNFIT:
        return False
    return True


class Appender:
    """Appends to a growing table under some path keys. Close it at the end."""

    def __init__(self, lake: Lake, table: Table, keys: Mapping[str, str | int]) -> None:
        self._lake, self._table, self._keys = lake, table, keys
        self._thread = ThreadPoolExecutor(1, "compaction")
        self._merging: Future[None] | None = None
        self._n_files = 0
        """Files since the last merging began."""

    def append(self, rows: pa.Table) -> None:
        """Returns when the rows are on disk."""
        self._n_files += self._lake.append(self._table, self._keys, rows) is not None
        at_rest = self._merging is None or self._merging.done()
        if self._n_files >= compaction.MANY and at_rest:
            self._n_files = 0
            self._merging = self._thread.submit(self._compact, compaction.MANY)

    async def close(self) -> None:
        """Merge what there is to merge, and wait for it."""
        self._thread.submit(self._compact, compaction.MANY_AT_REST)
        await asyncio.to_thread(self._thread.shutdown)

    def _compact(self, many: int) -> None:
        try:
            compaction.compact(self._lake, self._table, self._keys, many)
        except (DelphiAssetsError, OSError, pa.ArrowException) as error:
            # The rows are there all the same, in more files.
            log.warning("the files of %s were not merged: %s", self._table.name, error)


class RowWriter(GroupCommit[Sequence[Row], int]):
    """`submit(rows)` returns the number of rows once they are on disk. Use with `async with`."""

    def __init__(self, lake: Lake, table: Table, keys: Mapping[str, str | int]) -> None:
        super().__init__(self._write)
        self._table, self._appender = table, Appender(lake, table, keys)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        finally:
            await self._appender.close()

    def _write(self, groups: Sequence[Sequence[Row]]) -> list[int]:
        rows = [row for group in groups for row in group]
        self._appender.append(fitted(self._table, rows).arrow)
        return [len(group) for group in groups]
