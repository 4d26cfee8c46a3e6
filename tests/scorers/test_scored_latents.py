"""The front door of scores: a row an explanation and scorer, floors beside it, not among them."""

from collections import defaultdict
from pathlib import Path
from statistics import mean

import duckdb
import numpy as np
import pytest

from delphi_assets import connect
from delphi_assets.ground.registries import SCORERS
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.score_keeping import bring_up_to_date
from delphi_assets.lake.upgrade import planned
from tests.parts.hand_built import PLACE, Row, add, answers, explanation, latent, publish

TRUTHS = (True, True, False, False)
GOOD, FAIR, BAD = (0.9, 0.8, 0.1, 0.2), (0.9, 0.1, 0.2, 0.3), (0.1, 0.2, 0.9, 0.8)


def judged(name: str, index: int, said: tuple[float, ...], **columns: object) -> list[Row]:
    given = zip(TRUTHS, said, strict=True)
    return answers(name, index, given, **columns)  # type: ignore[arg-type]  # names of columns


def lake_of(folder: Path, predictions: list[Row], texts: list[Row], latents: list[Row]) -> Lake:
    lake = Lake(folder)
    lake.initialize()
    publish(lake, "latents", latents)
    add(lake, "explanations", texts)
    add(lake, "predictions", predictions)
    return lake


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """Latent 0 with explanations of two explainers, latent 1 with one; floors of both kinds."""
    predictions = [
        *judged("c0", 0, GOOD),
        *judged("c1", 0, BAD, control="shuffled"),
        *judged("none", 0, FAIR, control="empty"),
        *judged("g0", 0, FAIR),
        *judged("g1", 0, GOOD, control="shuffled"),
        *judged("c1", 1, FAIR),
        *judged("c0", 1, FAIR, control="shuffled"),
        *judged("c1", 1, GOOD, scorer="fuzz", model="org/judge"),
        *answers("c1", 1, [(True, True), (True, False)], "intruder", chance=0.2),
        *answers("none", 1, [(True, True), (False, "late")], "example_embedding"),
    ]
    texts = [
        explanation("c0", 0, "counted 0"), explanation("c1", 1, "counted 1"),
        explanation("g0", 0, "written 0", "org/gpt"), explanation("g1", 1, "written 1", "org/gpt"),
    ]  # fmt: skip
    latents = [latent(0, {" a": 1.0}, n_activations=9), latent(1, {" b": 1.0}, n_activations=4)]
    folder = tmp_path_factory.mktemp("scored") / "lake"
    return connect(lake_of(folder, predictions, texts, latents))


def test_a_row_an_explanation_and_scorer_with_floors_beside_it(
    con: duckdb.DuckDBPyConnection,
) -> None:
    columns = (
        "latent", "explainer", "explainer_model", "scorer", "judge", "explanation", "metric",
        "score", "shuffled", "empty", "floor", "chance", "n_answers", "n_failed", "n_activations",
    )  # fmt: skip
    found = con.table("scored_latents").project(*columns).order("latent, explainer, scorer")
    metric = "balanced_accuracy"
    assert found.fetchall() == [
        (0, "default", "org/gpt", "detection", "lexical", "written 0", metric, 0.75, 1.0, 0.75, 1.0,
         0.5, 4, 0, 9),
        (0, "lexical", "lexical", "detection", "lexical", "counted 0", metric, 1.0, 0.0, 0.75, 0.75,
         0.5, 4, 0, 9),
        (1, "lexical", "lexical", "detection", "lexical", "counted 1", metric, 0.75, 0.75, None,
         0.75, 0.5, 4, 0, 4),
        (1, "lexical", "lexical", "fuzz", "org/judge", "counted 1", metric, 1.0, None, None, None,
         0.5, 4, 0, 4),
        (1, "lexical", "lexical", "intruder", "lexical", "counted 1", "accuracy", 0.5, None, None,
         None, 0.2, 2, 0, 4),
        (1, "none", "none", "example_embedding", "lexical", None, "auroc", None, None, None, None,
         0.5, 2, 1, 4),
    ]  # fmt: skip


def test_a_mean_without_a_filter_is_of_own_explanations(con: duckdb.DuckDBPyConnection) -> None:
    """Of the view scores it is of floors too, for whoever forgets `control = 'none'`."""
    of_all = "scorer = 'detection' and judge = 'lexical'"
    own = con.sql(f"select avg(score) from scored_latents where {of_all}").fetchall()
    forgot = con.sql(f"select avg(balanced_accuracy) from scores where {of_all}").fetchall()
    assert own == [(pytest.approx(mean((1.0, 0.75, 0.75))),)]
    assert forgot == [(pytest.approx(mean((1.0, 0.0, 0.75, 0.75, 1.0, 0.75, 0.75))),)]


def test_a_join_by_latent_takes_no_row_twice(con: duckdb.DuckDBPyConnection) -> None:
    n_rows = con.table("scored_latents").count("*").fetchall()
    joined = con.sql("from scored_latents join latents using (run, hookpoint, latent)")
    assert joined.count("*").fetchall() == n_rows == [(6,)]


def test_a_natural_join_of_scores_and_explanations_is_of_own_ones(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """It gave no row: one name stood for judge and explainer, one for answers and windows."""
    joined = con.sql("select control, count(*) from scores natural join explanations group by all")
    assert joined.fetchall() == [("none", 5)]


def test_every_shipped_scorer_has_a_metric(con: duckdb.DuckDBPyConnection) -> None:
    found = {
        name: con.execute("select metric_of($name)", {"name": name}).fetchall()[0][0]
        for name in SCORERS.shipped()
    }
    columns = set(con.table("scores").columns)
    assert all(metric in columns for metric in found.values()), found
    assert con.sql("select metric_of('my own')").fetchall() == [(None,)]


def test_a_scorer_of_ones_own_is_read_by_its_answers(tmp_path: Path) -> None:
    numbers = [
        {**row, "prediction": None, "probability": None, "value": float(at)}
        for at, row in enumerate(judged("e", 0, GOOD, scorer="ranks"))
    ]
    predictions = [
        *judged("e", 0, GOOD, scorer="says"),
        *answers("e", 0, [(True, True)] * 2, "picks", chance=0.25),
        *numbers,
    ]
    lake = lake_of(tmp_path, predictions, [explanation("e", 0, "text")], [])
    with connect(lake) as con:
        found = con.table("scored_latents").project("scorer, metric, score, chance").order("scorer")
        assert found.fetchall() == [
            ("picks", "accuracy", 1.0, 0.25),
            ("ranks", "auroc", 0.0, 0.5),
            ("says", "balanced_accuracy", 1.0, 0.5),
        ]


def test_floors_are_those_of_the_same_explainer_and_judge(tmp_path: Path) -> None:
    """Random explainers, judges and controls, against a search through the view scores."""
    rng = np.random.default_rng(3)
    models = ("lexical", "org/a", "org/b")
    texts = [explanation(f"{model}{i}", i, f"{i}", model) for i in range(12) for model in models]
    predictions: list[Row] = []
    for i in range(12):
        for judge in ("lexical", "org/judge"):
            for model in models:
                for control, other in (("none", i), ("shuffled", (i + 1) % 12)):
                    if rng.random() < 0.7:
                        said = tuple(map(float, rng.random(4)))
                        name = f"{model}{other}"
                        predictions += judged(name, i, said, model=judge, control=control)
            if rng.random() < 0.7:
                said = tuple(map(float, rng.random(4)))
                predictions += judged("none", i, said, model=judge, control="empty")
    lake = lake_of(tmp_path, predictions, texts, [])
    with connect(lake) as con:
        scores = con.table("scores").to_arrow_table().to_pylist()
        found = con.table("scored_latents").to_arrow_table().to_pylist()
    by = defaultdict[tuple[object, ...], dict[str, float]](dict)
    for row in scores:
        model = str(row["explanation_id"]).rstrip("0123456789")
        of = row["latent"], row["judge"], None if row["control"] == "empty" else model
        by[of][row["control"]] = row["balanced_accuracy"]
    assert len(found) == sum(row["control"] == "none" for row in scores) > 40
    for row in found:
        held = by[row["latent"], row["judge"], row["explainer_model"]]
        empty = by[row["latent"], row["judge"], None].get("empty")
        floors = [one for one in (held.get("shuffled"), empty) if one is not None]
        assert row["score"] == held["none"]
        assert (row["shuffled"], row["empty"]) == (held.get("shuffled"), empty)
        assert row["floor"] == (max(floors) if floors else None)


SUBQUERY = "(select latent from latents where n_activations > 0)"


@pytest.mark.parametrize(
    "asked",
    [
        f"from scored_latents where latent in {SUBQUERY}",
        "from scores_of([0, 1])",
        f"from scores_of((select list(latent) from {SUBQUERY}))",
    ],
)
def test_a_list_from_a_subquery_reads_no_predictions(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, asked: str
) -> None:
    """Of the view scores it reads every answer, twice, as a join does not reach the files."""
    latents = [latent(i, {}, n_activations=i) for i in range(3)]
    texts = [explanation(f"e{i}", i, "text") for i in range(3)]
    predictions = [row for i in range(3) for row in judged(f"e{i}", i, GOOD)]
    lake = lake_of(tmp_path, predictions, texts, latents)
    behind = f"from scores where latent in {SUBQUERY}"
    with connect(lake) as here:
        assert "/prediction" in plan(here, behind)
        assert "/prediction" in plan(here, asked), "nothing is kept yet"
    bring_up_to_date(lake, str(PLACE["run"]), str(PLACE["hookpoint"]))
    assert planned(lake).unkept == []
    with connect(lake) as here:
        read = plan(here, asked)
        assert "/kept_score" in read
        assert "/prediction" not in read
        assert {row[2] for row in here.sql(asked).fetchall()} <= {0, 1, 2}


def test_a_range_of_latents_reaches_the_kept_scores(con: duckdb.DuckDBPyConnection) -> None:
    said = con.sql("explain from scores_of([1])").fetchall()[0][1]
    assert "latent>=1" in said


def plan(con: duckdb.DuckDBPyConnection, asked: str) -> str:
    """What DuckDB says of how it has answered, with the files that it read."""
    return str(con.execute(f"explain (analyze, format json) {asked}").fetchall()[0][1])
