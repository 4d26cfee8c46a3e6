"""The views over growing tables: one row a subject, and no failure hides what was paid for."""

from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from delphi_assets.database import connect, sql_folder
from delphi_assets.lake import Lake, pattern
from delphi_assets.schema import TABLES
from tests.hand_built import WRITTEN, Row, add, answers, explanation

LARGE = ("activations", "contexts", "embeddings", "windows")


class Growing(NamedTuple):
    """A growing table: its name, a row, the columns of its failure and of its result."""

    table: str
    row: Row
    failure: str
    result: str


GROWING = (
    Growing("completions", {"request": "r", "model": "m"}, "error", "answer"),
    Growing("explanations", explanation("e", 0, None), "failure", "explanation"),
    Growing("predictions", answers("e", 0, [(True, True)])[0], "failure", "request"),
)


@pytest.mark.parametrize("growing", GROWING, ids=lambda growing: growing.table)
def test_the_last_success_wins_over_any_failure(tmp_path: Path, growing: Growing) -> None:
    """Rows in files of their own, in an order that is neither that of time nor its reverse."""
    lake = Lake(tmp_path)
    subject = next(name for name in ("request", "example", "explanation_id") if name in growing.row)
    names: list[object] = [0, 1, 2] if subject == "example" else ["a", "b", "c"]
    given = [
        (names[0], 1, None), (names[0], 3, "timeout"), (names[0], 2, None), (names[0], 0, "empty"),
        (names[1], 2, "refusal"), (names[1], 3, "timeout"), (names[1], 1, "empty"),
        (names[2], 1, None),
    ]  # fmt: skip
    for name, minute, failure in given:
        row = {
            **growing.row,
            subject: name,
            growing.failure: failure,
            growing.result: None if failure else f"at {minute}",
            "written_at": WRITTEN + timedelta(minutes=minute),
        }
        add(lake, growing.table, [row])
    with connect(lake) as con:
        rows = con.table(growing.table).order(subject).to_arrow_table().to_pylist()
        found = [(row[subject], row[growing.failure], row[growing.result]) for row in rows]
        joined = con.table(growing.table).join(con.table(growing.table).set_alias("again"), subject)
        assert joined.count("*").fetchall() == [(3,)]
    assert found == [
        (names[0], None, "at 2"),
        (names[1], "timeout", None),
        (names[2], None, "at 1"),
    ]


def test_a_view_gives_null_where_files_lack_an_added_column() -> None:
    """The large tables, of many files, are spared the look at each until one is added there."""
    for table in TABLES.values():
        view = (sql_folder() / "views" / f"{table.name}.sql").read_text(encoding="utf-8")
        assert f"'/{pattern(table)}'" in view
        if table.name not in LARGE or any(column.added for column in table.columns):
            assert "union_by_name = true" in view
