"""Rows of a growing table, written as they arrive: what arrives together shares a file."""

from collections.abc import Mapping, Sequence

from delphi_assets.lake import Lake
from delphi_assets.llm.group_commit import GroupCommit
from delphi_assets.schema import Table

Row = dict[str, object]


def row_writer(
    lake: Lake, table: Table, keys: Mapping[str, str | int]
) -> GroupCommit[Sequence[Row], int]:
    """`submit(rows)` returns the number of rows once they are on disk."""

    def write(groups: Sequence[Sequence[Row]]) -> list[int]:
        lake.append(table, keys, table.from_rows([row for rows in groups for row in rows]))
        return [len(rows) for rows in groups]

    return GroupCommit(write)
