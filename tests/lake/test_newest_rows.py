"""The digest of a growing table changes with a row that its view shows, and with nothing else."""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from delphi_assets.lake import compaction, database, newest_rows
from delphi_assets.lake.compaction import compact
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.newest_rows import newest_rows_version
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import TABLES
from tests.parts.hand_built import HOOKPOINT, RUN, WRITTEN, add, answers, explanation
from tests.parts.random_lake import profile_of

pytestmark = pytest.mark.slow

Row = dict[str, Any]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    made.initialize()
    return made


def version(lake: Lake, table: str) -> str:
    place = Place(profile_of(64, 32, 1, run=RUN, hookpoint=HOOKPOINT), lake, HOOKPOINT)
    return newest_rows_version(place, table)


def rows_of(table: str) -> list[Row]:
    if table == "explanations":
        return [explanation(f"e{number}", number, f"text {number}") for number in range(6)]
    return answers("e0", 0, [(True, True), (True, False), (False, False), (False, True)])


CHANGED: dict[str, Callable[[Row], Row]] = {
    "explanations": lambda row: row | {"explanation": "another text"},
    "predictions": lambda row: row | {"prediction": not row["prediction"]},
}


@pytest.mark.parametrize("table", CHANGED)
def test_order_files_and_times_change_nothing_and_a_row_does(
    tmp_path: Path, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SETTLING", 0.0)
    whole, split = Lake(tmp_path / "whole"), Lake(tmp_path / "split")
    rows = rows_of(table)
    add(whole, table, rows)
    shuffled = random.Random(3).sample(rows, len(rows))
    for row in shuffled:
        add(split, table, [row | {"written_at": WRITTEN + timedelta(hours=1)}])
    first = version(whole, table)
    assert version(split, table) == first
    keys: dict[str, str | int] = {"run": RUN, "hookpoint": HOOKPOINT}
    assert compact(split, TABLES[table], keys) == len(rows)
    split.discard(f"manifests/versions/{table}/run={RUN}/hookpoint={HOOKPOINT}.json")
    assert version(split, table) == first
    add(whole, table, [rows[0]])
    assert version(whole, table) == first, "the same once more"
    add(whole, table, [CHANGED[table](rows[0])])
    changed = version(whole, table)
    assert changed != first
    add(whole, table, [rows[0]])
    assert version(whole, table) == first, "only the newest row counts"


def test_a_row_counts_as_often_as_it_is_there(lake: Lake) -> None:
    """Two rows alike but for their key are no zero."""
    seen = {version(lake, "explanations")}
    for number in range(4):
        add(lake, "explanations", [explanation(f"e{number}", number, "alike")])
        seen.add(version(lake, "explanations"))
    assert len(seen) == 5


def test_it_is_computed_once_for_the_same_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept until a row is added, merging aside; other hookpoints have their own."""
    monkeypatch.setattr(compaction, "SETTLING", 0.0)
    asked: list[str] = []
    real = database.query

    def counted(con: Any, name: str, **given: Any) -> Any:
        asked.append(name)
        return real(con, name, **given)

    monkeypatch.setattr(newest_rows, "query", counted)
    for row in rows_of("explanations"):
        add(lake, "explanations", [row])
    first = [version(lake, "explanations") for _ in range(2)]
    compact(lake, TABLES["explanations"], {"run": RUN, "hookpoint": HOOKPOINT})
    assert {*first, version(lake, "explanations")} == {first[0]}
    assert asked == ["versions/explanations"]
    add(lake, "explanations", [explanation("new", 9, "text")])
    assert version(lake, "explanations") != first[0]
    assert len(asked) == 2
