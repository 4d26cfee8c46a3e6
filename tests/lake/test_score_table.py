"""The score table: always what the view `scores` says, whoever writes and whoever is killed."""

import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pytest

from delphi_assets import connect
from delphi_assets.lake import compaction, database, score_keeping
from delphi_assets.lake.compaction import compact
from delphi_assets.lake.database import query, sql_folder
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import PREDICTIONS, SCORES
from delphi_assets.lake.score_keeping import bring_up_to_date, keep_up
from delphi_assets.lake.score_table import Behind, behind
from delphi_assets.lake.units import kept_scores_unit
from delphi_assets.lake.upgrade import apply, planned
from tests.lake.test_publishing import killed_at
from tests.parts.hand_built import PLACE, Row, add, answers, explanation, publish, window

HERE = Behind(str(PLACE["run"]), str(PLACE["hookpoint"]))
SILENT = [0.0, 0.0, 0.0]


def drawn(seed: int, latents: Iterable[int] = range(40)) -> list[Row]:
    """Random answers of two scorers about some latents, own and shuffled; some failed."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for latent in latents:
        for scorer, control in itertools.product(("detection", "mine"), ("none", "shuffled")):
            other = latent if control == "none" else latent + 1
            said: list[float | str] = [float(one) for one in rng.random(8)]
            said[seed % 8] = "timeout"
            given = zip([True, False] * 4, said, strict=True)
            rows += answers(f"e{other}", latent, given, scorer, control=control)
    return rows


def simulated(latent: int, first: float) -> list[Row]:
    """Answers of a scorer that simulates; the windows are those of `lake`."""
    return [
        {**row, "simulated": [first, float(at), 2.0], "prediction": None, "probability": None}
        for at, row in enumerate(
            answers(f"e{latent}", latent, [(True, True)] * 3, "simulation", "judge")
        )
    ]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Explanations of latents, answers about them in two files, and windows of two."""
    made = Lake(tmp_path / "lake")
    made.initialize()
    add(made, "explanations", [explanation(f"e{i}", i, f"text {i}") for i in range(41)])
    add(made, "predictions", drawn(0))
    add(made, "predictions", [*drawn(1, range(5, 9)), *simulated(3, 1.0)])
    shown = [window(i, at, "test", 9 * at, [1.0, at, 0.5]) for i in (3, 7) for at in range(3)]
    publish(made, "examples", shown, selection="default")
    return made


def sorted_rows(con: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, object]]:
    columns = [column.name for column in SCORES.columns]
    found = con.table(name).project(*columns).order(", ".join(SCORES.identity))
    return found.to_arrow_table().to_pylist()


def check_same(lake: Lake) -> None:
    """What is kept is what is computed, row for row; sums differ in their last digits."""
    with connect(lake) as con:
        computed, kept = (sorted_rows(con, name) for name in ("scores", "kept_scores"))
    assert len(computed) == len(kept)
    for one, other in zip(computed, kept, strict=True):
        for name, value in one.items():
            exact = not isinstance(value, float)
            assert other[name] == (value if exact else pytest.approx(value, abs=1e-9)), name


def is_behind(lake: Lake) -> bool:
    return behind(lake, sql_folder()) == [HERE]


def test_scores_that_are_not_kept_are_computed_and_kept_once(lake: Lake) -> None:
    assert is_behind(lake)
    check_same(lake)
    assert lake.manifest(kept_scores_unit(*HERE)) is None, "a connection writes nothing"
    assert bring_up_to_date(lake, *HERE)
    assert not is_behind(lake)
    check_same(lake)
    assert not bring_up_to_date(lake, *HERE)


def test_only_what_changed_is_computed_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_up_to_date(lake, *HERE)
    add(lake, "predictions", [*drawn(2, [7, 39]), *simulated(7, 0.0), *drawn(3, [90])])
    assert is_behind(lake)
    check_same(lake)
    asked: list[object] = []

    def noted(con: duckdb.DuckDBPyConnection, name: str, **given: object) -> object:
        if name == "kept/computed":
            asked.append(given["latents"])
        return query(con, name, **given)  # type: ignore[arg-type]  # it passes on what it gets

    monkeypatch.setattr(database, "query", noted)
    bring_up_to_date(lake, *HERE)
    assert asked == [[7, 39, 90]]
    check_same(lake)


def test_ranges_of_latents_follow_one_another(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_keeping, "LATENTS_AT_ONCE", 7)
    bring_up_to_date(lake, *HERE)
    check_same(lake)
    add(lake, "predictions", drawn(4, [0, 13, 14, 39]))
    bring_up_to_date(lake, *HERE)
    check_same(lake)
    (file,) = lake.files("kept_scores")
    latents = [row[0] for row in duckdb.read_parquet(file).project("latent").fetchall()]
    assert latents == sorted(latents)


def test_merged_files_are_no_loss(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SETTLING", 0.0)
    bring_up_to_date(lake, *HERE)
    add(lake, "predictions", drawn(5, [1, 2]))
    compact(lake, PREDICTIONS, PLACE)
    assert is_behind(lake)
    bring_up_to_date(lake, *HERE)
    assert not is_behind(lake)
    check_same(lake)


def test_answers_that_are_taken_away_leave_no_score(lake: Lake) -> None:
    """As after a damaged file was deleted: what is asked again comes later."""
    bring_up_to_date(lake, *HERE)
    first, *_ = lake.paths("predictions")
    Path(lake.location(first)).unlink()
    assert is_behind(lake)
    check_same(lake)
    bring_up_to_date(lake, *HERE)
    check_same(lake)


def test_other_statements_compute_all_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_up_to_date(lake, *HERE)
    monkeypatch.setattr(score_keeping, "hash_of", lambda _: "another")
    monkeypatch.setattr("delphi_assets.lake.score_table.hash_of", lambda _: "another")
    assert is_behind(lake)
    assert bring_up_to_date(lake, *HERE)
    assert not is_behind(lake)


def test_a_damaged_or_missing_table_is_made_again_by_an_upgrade(lake: Lake) -> None:
    bring_up_to_date(lake, *HERE)
    (file,) = lake.files("kept_scores")
    Path(file).unlink()
    check_same(lake)
    Path(file).write_bytes(b"cut")
    assert is_behind(lake)
    assert planned(lake).unkept == [HERE]
    apply(lake, planned(lake))
    assert planned(lake).unkept == []
    check_same(lake)


def test_several_processes_that_add_answers_leave_the_scores_of_all(lake: Lake) -> None:
    """Each adds, and then keeps scores; whoever is last has seen what all have written."""

    def work(number: int) -> None:
        mine = Lake(lake.root)
        add(mine, "predictions", drawn(10 + number, range(5 * number, 5 * number + 5)))
        bring_up_to_date(mine, *HERE)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert not is_behind(lake)
    check_same(lake)


@pytest.mark.slow
def test_killed_at_any_step_nothing_is_wrong(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_up_to_date(lake, *HERE)
    for step in itertools.count():
        add(lake, "predictions", drawn(20 + step, [step % 40]))
        killed = killed_at(step, monkeypatch, partial(bring_up_to_date, lake, *HERE))
        check_same(lake)
        if not killed:
            break
    assert step > 3


def test_what_goes_wrong_is_told_and_ends_no_stage(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(lake.location(lake.paths("predictions")[0]))
    content = path.read_bytes()
    path.write_bytes(b"cut")
    keep_up(lake, *HERE)
    assert "the scores of" in caplog.text
    path.write_bytes(content)
    check_same(lake)
