"""The views over growing tables: one row a subject, and no failure hides what was paid for."""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from delphi_assets.lake import compaction, database
from delphi_assets.lake.compaction import compact
from delphi_assets.lake.database import connect, statement
from delphi_assets.lake.lake import Lake, pattern
from delphi_assets.lake.schema import TABLES
from tests.parts.hand_built import WRITTEN, Row, add, answers, explanation

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


GIVEN = [
    ("a", 1, None), ("a", 3, "timeout"), ("a", 2, None), ("a", 0, "empty"),
    ("b", 2, "refusal"), ("b", 3, "timeout"), ("b", 1, "empty"),
    ("c", 1, None),
]  # fmt: skip
"""Outcomes of three subjects: the minute at which it came, and the failure."""


@pytest.fixture(params=GROWING, ids=lambda growing: growing.table)
def growing(request: pytest.FixtureRequest) -> Growing:
    made: Growing = request.param
    return made


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SETTLING", 0.0)


def subject_of(growing: Growing) -> str:
    return next(name for name in ("request", "example", "explanation_id") if name in growing.row)


def row_of(growing: Growing, name: str, minute: int, failure: str | None) -> Row:
    """An outcome as a row of the table."""
    subject = subject_of(growing)
    return {
        **growing.row,
        subject: "abc".index(name) if subject == "example" else name,
        growing.failure: failure,
        growing.result: None if failure else f"at {minute}",
        "written_at": WRITTEN + timedelta(minutes=minute),
    }


def shown(lake: Lake, growing: Growing) -> list[tuple[object, object]]:
    """Failure and result of every subject, in order; the view can be joined with itself."""
    subject = subject_of(growing)
    with connect(lake) as con:
        rows = con.table(growing.table).order(subject).to_arrow_table().to_pylist()
        joined = con.table(growing.table).join(con.table(growing.table).set_alias("again"), subject)
        assert joined.count("*").fetchall() == [(len(rows),)]
    return [(row[growing.failure], row[growing.result]) for row in rows]


def test_the_last_success_wins_over_any_failure(tmp_path: Path, growing: Growing) -> None:
    """Rows from before generations were counted: by their times, in whatever order they lie."""
    lake = Lake(tmp_path)
    lake.initialize()
    table = TABLES[growing.table]
    for number, outcome in enumerate(GIVEN):
        rows = table.from_rows([row_of(growing, *outcome)]).drop_columns("generation")
        place = tmp_path / growing.table / "run=hand"
        place = place / "hookpoint=layers.0" if len(table.keys) > 1 else place
        place.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, place / f"20260101T00000000000{number}-0123456789ab.parquet")
    assert shown(lake, growing) == [(None, "at 2"), ("timeout", None), (None, "at 1")]
    add(lake, growing.table, [row_of(growing, "c", -120, None)])
    assert shown(lake, growing)[2] == (None, "at -120"), "two hours before what it replaces"


def test_what_is_written_again_wins_with_a_clock_that_went_back(
    tmp_path: Path, growing: Growing
) -> None:
    """By two hours after the first of each; also when the files are merged."""
    lake = Lake(tmp_path)
    for name, minute, failure in GIVEN:
        add(lake, growing.table, [row_of(growing, name, minute, failure)])
        add(lake, growing.table, [row_of(growing, name, minute - 120, failure)])
    expected = [(None, "at -118"), ("empty", None), (None, "at -119")]
    assert shown(lake, growing) == expected
    keys: dict[str, str | int] = {"run": "hand", "hookpoint": "layers.0"}
    table = TABLES[growing.table]
    for _ in range(2):
        compact(lake, table, {key.name: keys[key.name] for key in table.keys})
        assert shown(lake, growing) == expected
        add(lake, growing.table, [row_of(growing, "c", -240, None)])
        expected[2] = (None, "at -240")
        assert shown(lake, growing) == expected


def test_a_view_gives_null_where_files_lack_an_added_column() -> None:
    """The large tables, of many files, are spared the look at each until one is added there."""
    for table in TABLES.values():
        view = statement(f"views/{table.name}")
        assert f"'/{pattern(table)}'" in view
        if "latest_predictions" in view:
            view += statement("macros/latest_predictions")
        if table.name not in LARGE or any(column.added for column in table.columns):
            assert "union_by_name = true" in view


def test_threads_share_the_folder_of_files_without_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made twice at once, one of the two was removed while its files were read."""
    made = tempfile.TemporaryDirectory

    def slowly(prefix: str) -> tempfile.TemporaryDirectory[str]:
        time.sleep(0.1)
        return made(prefix=prefix)

    monkeypatch.setattr(tempfile, "TemporaryDirectory", slowly)
    monkeypatch.setattr(database, "_folder", cache(database._folder.__wrapped__))
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: database.own_folder(), range(4)))
    assert len(folders) == 1
    assert all(map(os.path.isdir, folders))


def test_threads_share_the_macros_and_views_of_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are copied from a file, whatever its folder is called; made anew where it is gone."""
    lake = Lake(tmp_path / "lake")
    lake.initialize()
    add(lake, "explanations", [explanation("e", 0, "text")])
    odd = tmp_path / "it's; a ''temporary'' $folder"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    monkeypatch.setattr(database, "_folder", cache(database._folder.__wrapped__))

    def found(_: int) -> list[tuple[object, ...]]:
        with connect(lake) as con:
            assert con.sql("select count(*) from scores").fetchall() == [(0,)]
            return con.sql("select explanation from explanations").fetchall()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(found, range(8))) == [[("text",)]] * 8
    made = Path(database.own_folder(), "definitions.duckdb")
    assert made.is_relative_to(odd)
    made.unlink()
    assert found(0) == [("text",)]
    assert made.exists()
