"""Every statement of `sql/ui/` on a small lake, with values worked out by hand or counted anew.

The lake: latents 0-3 fire on more and more tokens, latent 4 never. Latents 0-2 are explained by
counting, and an LLM failed on latent 1. Detection judged 0 and 1, with a floor.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from delphi_assets.lake.database import Parameter, connect, query, sql_folder
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import COMPLETIONS
from tests.parts.hand_built import (
    PLACE,
    RUN,
    WRITTEN,
    Row,
    add,
    answers,
    explanation,
    latent,
    publish,
    window,
)

pytestmark = pytest.mark.slow

SELECTED = {**PLACE, "selection": "default"}
DENSITIES = (0.001, 0.002, 0.02, 0.2)


def completion(request: str, second: int, **columns: object) -> Row:
    """A row of `completions`, so many seconds after the first."""
    return {
        "request": request,
        "role": "explainer",
        "model": "a/gpt",
        "messages": "[]",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost": 0.5,
        "written_at": WRITTEN + timedelta(seconds=second),
        **columns,
    }


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the lake of the module's docstring."""
    lake = Lake(tmp_path_factory.mktemp("ui"))
    lake.initialize()
    live = [
        latent(one, {" def": 0.9}, token_density=density, n_activations=9, max_activation=1.0 + one)
        for one, density in enumerate(DENSITIES)
    ]
    publish(lake, "latents", [*live, latent(4, {}, token_density=0.0, reason="dead")])
    windows = [window(0, i, "train", 3 * i, [0.0, float(i), 0.0]) for i in (1, 3, 2)]
    windows += [window(0, 8, "test", 30, [9.0]), window(1, 1, "train", 40, [1.0])]
    publish(lake, "examples", windows, selection="default")
    later: Row = {"written_at": WRITTEN + timedelta(hours=1)}
    texts = [explanation(f"e{i}", i, f"text {i}") for i in (0, 1)]
    add(
        lake,
        "explanations",
        [
            *texts,
            explanation("e2", 2, "text 2", **later),
            explanation("f1", 1, None, model="a/gpt", failure="timeout"),
        ],
    )
    given: list[tuple[bool, float | bool | str]] = [(True, 0.95), (True, 0.85), (False, 0.05)]
    wrong: list[tuple[bool, float | bool | str]] = [(True, 0.05), (True, 0.9), (False, 0.9)]
    add(
        lake,
        "predictions",
        [
            *answers("e0", 0, given),
            *answers("e1", 1, [*wrong, (False, "timeout")]),
            *answers("e1", 0, wrong, control="shuffled"),
            *answers("e0", 0, [(True, 1.0)], scorer="discrimination", chance=0.2),
        ],
    )
    card = {"planted_run": "planted", "scorer": "detection", "written_at": WRITTEN}
    asked: list[Row] = [
        {**card, "judge": "lexical", "judge_hash": "asked", "auroc": 0.9},
        {**card, "judge": "lexical", "judge_hash": "otherwise", "auroc": 0.5},
        {**card, "judge": "gpt", "judge_hash": "asked", "auroc": 0.5},
    ]
    add(lake, "judges", asked)
    lake.append(
        COMPLETIONS,
        {"run": RUN},
        COMPLETIONS.from_rows(
            [
                {name: row.get(name) for name in COMPLETIONS.arrow.names}
                for row in (
                    completion("a", 0),
                    completion("b", 1),
                    completion("c", 100, cost=None),
                    completion("d", 100, model="b/other", error="timeout", cost=None),
                )
            ]
        ),
    )
    with connect(lake) as opened:
        yield opened


def rows(con: duckdb.DuckDBPyConnection, name: str, **parameters: Parameter) -> list[Row]:
    """Rows of a statement."""
    found: list[Row] = query(con, f"ui/{name}", **parameters).to_pylist()
    return found


def test_score_distributions(con: duckdb.DuckDBPyConnection) -> None:
    found = rows(con, "score_distributions", **SELECTED)
    told = {
        (row["scorer"], row["metric"], row["control"], row["score_from"]): row["n_scores"]
        for row in found
    }
    # Latent 0: all right. Latent 1 and the floor: recall 1/2, specificity 0.
    assert told == {
        ("detection", "balanced_accuracy", "none", 0.25): 1,
        ("detection", "balanced_accuracy", "none", 1.0): 1,
        ("detection", "balanced_accuracy", "shuffled", 0.25): 1,
        ("discrimination", "accuracy", "none", 1.0): 1,
    }
    means = {(row["scorer"], row["control"]): row["mean"] for row in found}
    assert means[("detection", "none")] == pytest.approx(0.625)
    assert [row["chance"] for row in found if row["scorer"] == "discrimination"] == [0.2]


def test_score_rows(con: duckdb.DuckDBPyConnection) -> None:
    assert rows(con, "score_rows", **PLACE) == [{"n_scores": 4}]


def test_f1_by_density(con: duckdb.DuckDBPyConnection) -> None:
    """Latents 0 and 1 share the half decade from 0.001; F1 of 1 and of 2 * 1 / (2 + 1 + 1)."""
    (row,) = rows(con, "f1_by_density", **SELECTED)
    assert (row["scorer"], row["log10_density"], row["n_scores"]) == ("detection", -3.0, 2)
    assert (row["lower_quartile"], row["median_f1"], row["upper_quartile"]) == (0.625, 0.75, 0.875)


def test_judge_cards(con: duckdb.DuckDBPyConnection) -> None:
    """Of judges that have judged here, asked in the way that they were calibrated in."""
    found = rows(con, "judge_cards", **PLACE)
    assert [(row["scorer"], row["judge"], row["auroc"]) for row in found] == [
        ("detection", "lexical", 0.9)
    ]


def test_calibration(con: duckdb.DuckDBPyConnection) -> None:
    """Picks, floors and failures are left out."""
    found = rows(con, "calibration", **SELECTED)
    assert {row["scorer"] for row in found} == {"detection"}
    told = {
        row["probability_from"]: (row["n_answers"], row["mean_probability"], row["share_true"])
        for row in found
    }
    assert told == {
        0.0: (2, pytest.approx(0.05), 0.5),
        0.8: (1, pytest.approx(0.85), 1.0),
        0.9: (3, pytest.approx(2.75 / 3), pytest.approx(2 / 3)),
    }


def test_calibration_counts_as_numpy_does(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    said, true = random.random(500), random.random(500) < 0.4
    lake = Lake(tmp_path)
    lake.initialize()
    pairs = [(bool(truth), float(one)) for truth, one in zip(true, said, strict=True)]
    add(lake, "predictions", answers("e", 0, pairs))
    with connect(lake) as opened:
        found = rows(opened, "calibration", **SELECTED)
    bins = np.minimum((said * 10).astype(int), 9)
    for row in found:
        inside = bins == round(10 * float(str(row["probability_from"])))
        assert row["n_answers"] == inside.sum()
        assert row["mean_probability"] == pytest.approx(said[inside].mean())
        assert row["share_true"] == pytest.approx(true[inside].mean())
    assert sum(int(str(row["n_answers"])) for row in found) == 500


def test_cost_so_far(con: duckdb.DuckDBPyConnection) -> None:
    """Sums go on over time, a model apart; what has no price is counted, unless it failed."""
    found = rows(con, "cost_so_far", run=RUN, n_points=10)
    told = [
        (row["model"], row["n_calls"], row["n_tokens"], row["cost"], row["n_unpriced"])
        for row in found
    ]
    assert told == [
        ("a/gpt", 2, 30, 1.0, 0),
        ("a/gpt", 3, 45, 1.0, 1),
        ("b/other", 1, 15, 0.0, 0),
    ]
    assert rows(con, "cost_so_far", run="another", n_points=10) == []


@pytest.mark.parametrize(
    ("explainer", "model", "expected"),
    [
        ("lexical", "lexical", [(3, False)]),
        ("default", "a/gpt", [(0, False), (1, True), (2, False), (3, False)]),
    ],
)
def test_unexplained_latents(
    con: duckdb.DuckDBPyConnection, explainer: str, model: str, expected: list[tuple[int, bool]]
) -> None:
    """Of those that can be explained; a failure is no explanation."""
    by = {**SELECTED, "explainer": explainer, "explainer_model": model}
    found = rows(con, "unexplained_latents", **by, n_rows=9)
    assert [(row["latent"], row["tried"]) for row in found] == expected
    (first,) = rows(con, "unexplained_latents", **by, n_rows=1)
    assert (first["latent"], first["n_left"]) == (expected[0][0], len(expected))


@pytest.mark.parametrize(
    ("stage", "method", "model"),
    [("explanation", "default", "a/gpt"), ("prediction", "detection", "lexical")],
)
def test_failed_latents(
    con: duckdb.DuckDBPyConnection, stage: str, method: str, model: str
) -> None:
    (row,) = rows(con, "failed_latents", **PLACE, stage=stage, n_shown=3)
    assert row == {
        "method": method,
        "model": model,
        "failure": "timeout",
        "n_failed": 1,
        "n_latents": 1,
        "first_latents": [1],
    }


@pytest.mark.parametrize(
    ("n_latents", "expected"), [(1, [0]), (2, [0, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])]
)
def test_typical_latents(
    con: duckdb.DuckDBPyConnection, n_latents: int, expected: list[int]
) -> None:
    found = rows(con, "typical_latents", **PLACE, n_latents=n_latents)
    assert [row["latent"] for row in found] == expected


def test_strongest_windows(con: duckdb.DuckDBPyConnection) -> None:
    found = rows(con, "strongest_windows", **SELECTED, latents=[0], n_windows=2)
    assert [(row["latent"], row["max_activation"]) for row in found] == [(0, 3.0), (0, 2.0)]
    assert found[0]["activations"] == [0.0, 3.0, 0.0]
    assert found[0]["str_tokens"] == ["a", "b", "c"]


def test_latest_explanations(con: duckdb.DuckDBPyConnection) -> None:
    """The last latent first among those kept; shown in order of number."""
    found = rows(con, "latest_explanations", **SELECTED, n_latents=2)
    assert [(row["latent"], row["explanation"]) for row in found] == [(0, "text 0"), (2, "text 2")]


def test_every_statement_has_a_test() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in (sql_folder() / "ui").glob("*.sql")} <= tested
