"""Rows of a growing table, written as they arrive: what arrives together shares a file.

In: rows. Out: files, merged beside the work whenever there are many (`llm.compaction`), and once
more at the end.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import pyarrow as pa

from delphi_assets.errors import DelphiAssetsError
from delphi_assets.lake import Lake
from delphi_assets.llm import compaction
from delphi_assets.llm.group_commit import GroupCommit
from delphi_assets.schema import Table

Row = dict[str, object]

log = logging.getLogger(__name__)


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
        self._appender.append(self._table.from_rows([row for rows in groups for row in rows]))
        return [len(rows) for rows in groups]
