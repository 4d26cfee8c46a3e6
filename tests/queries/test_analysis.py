"""Every statement of `sql/analysis/` on a small lake, with values worked out by hand.

The lake: latent 0 fires on `def` and is explained well, by counting and by an LLM (`gpt`). Latent 1
has the same lexical text and is explained badly; the LLM failed on it. Latent 2 fires on many
tokens, its explanation failed. Latent 3 is dead.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy import stats

from delphi_assets.lake.database import connect, query, sql_folder, statement
from delphi_assets.lake.lake import Lake
from delphi_assets.scorers.recall_by_strength import recall_curves
from tests.parts.hand_built import (
    HOOKPOINT,
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

LATENTS = [
    latent(
        0,
        {" def": 0.9, "class": 0.1},
        n_activations=100,
        token_density=0.01,
        n_tokens_80=1,
        max_activation=5.0,
        position_bias=0.25,
    ),
    latent(
        1,
        {" the": 0.5, " a": 0.4},
        n_activations=200,
        token_density=0.02,
        n_tokens_80=2,
        max_activation=3.0,
    ),
    latent(
        2,
        {" x": 0.3, " def": 0.2},
        n_activations=4,
        token_density=0.0004,
        n_tokens_80=9,
        max_activation=1.0,
    ),
    latent(3, {}, n_activations=0, token_density=0.0, n_tokens_80=0, reason="dead"),
]
EXPLANATIONS = [
    explanation("e0", 0, "fires on def"),
    explanation("e1", 1, "fires on def"),
    explanation("e2", 2, None, failure="no windows"),
    explanation("g0", 0, "Python definitions", "gpt", request="r1"),
    explanation("g1", 1, None, "gpt", failure="unparseable", request="r2", candidate=0),
]
TRUTHS = (True, True, False, False)


def four(*given: float | bool | str) -> list[tuple[bool, float | bool | str]]:
    """Answers on two windows where the latent fires and two where it is silent."""
    return list(zip(TRUTHS, given, strict=True))


PREDICTIONS = [
    # Balanced accuracy 1, AUC 1.
    *answers("e0", 0, four(0.9, 0.8, 0.1, 0.2)),
    # One hit, one alarm: balanced accuracy 0.5; 0.9 beats both, 0.2 beats 0.1 only: AUC 0.75.
    *answers("e1", 1, four(0.9, 0.2, 0.7, 0.1)),
    # Always silent, all tied: balanced accuracy 0.5, AUC 0.5.
    *answers("e1", 0, four(0.4, 0.4, 0.4, 0.4), control="shuffled"),
    # Recall 0.5, specificity 0: 0.25; two ties of four pairs: AUC 0.25.
    *answers("e0", 1, four(0.9, 0.1, 0.9, 0.9), control="shuffled"),
    # Without probabilities: recall 0.5, specificity 1.
    *answers("e0", 0, four(True, False, False, False), model="gpt", request="r3"),
    # One true answer failed: recall 1 of 1, specificity 1.
    *answers("g0", 0, four("timeout", True, False, False), model="gpt", request="r4"),
]
PREDICTIONS[-4]["request"] = "r5"
for quantile, judged in enumerate(PREDICTIONS[:2]):
    judged["quantile"] = quantile
COMPLETIONS: list[Row] = [
    {
        "request": request,
        "model": "gpt",
        "prompt_tokens": sent,
        "completion_tokens": got,
        "cost": cost,
        "written_at": WRITTEN,
    }
    for request, sent, got, cost in (
        ("r1", 100, 10, 0.01),
        ("r2", 200, 20, 0.02),
        ("r3", 50, 5, None),
        ("r4", 300, 30, 0.03),
        ("unrelated", 9_000, 900, 9.0),
    )
]
COMPLETIONS += [{"request": "r5", "model": "gpt", "error": "timeout: late", "written_at": WRITTEN}]
EXAMPLES = [
    window(0, 0, "train", 0, [0.0, 2.0, 0.0], quantile=1, n_in_bin=2),
    window(0, 1, "train", 30, [4.0, 0.0, 5.0], quantile=0, n_in_bin=2),
    window(0, 2, "test", 60, [0.0, 0.0, 1.0], quantile=1),
    window(0, 3, "train", 90, [0.0, 0.0, 0.0]),
    window(1, 0, "train", 0, [1.0, 0.0, 0.0], quantile=0),
    window(1, 1, "test", 60, [0.0, 2.0, 0.0], quantile=0),
    window(1, 2, "test", 90, [0.0, 0.0, 0.0]),
]  # fmt: skip

JUDGES: list[Row] = [
    {
        "planted_run": "planted",
        "scorer": "detection",
        "judge": "gpt",
        "judge_hash": "asked",
        "auroc": 0.9,
        "auroc_low": 0.8,
        "auroc_high": 1.0,
        "written_at": WRITTEN,
    }
]
PLANTED: list[Row] = [
    {"latent": 0, "kind": "form", "relation": relation, "number": 1, "text": text}
    for relation, text in (("true", "fires on def"), ("sibling", "Python definitions"))
]


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the lake of this module's rows."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    publish(lake, "latents", LATENTS)
    publish(lake, "examples", EXAMPLES, selection="default")
    near: Row = {"latent": 0, "neighbour": 1, "rank": 1, "similarity": 0.5}
    publish(lake, "neighbours", [near], method="decoder")
    add(lake, "explanations", EXPLANATIONS)
    add(lake, "predictions", PREDICTIONS)
    add(lake, "completions", COMPLETIONS)
    publish(lake, "planted", PLANTED)
    add(lake, "judges", JUDGES)
    with connect(lake) as connection:
        yield connection


def rows(
    con: duckdb.DuckDBPyConnection, name: str, *columns: str, **parameters: object
) -> list[object]:
    """Rows of a statement, only the given columns."""
    found = query(con, f"analysis/{name}", **parameters).to_pylist()  # type: ignore[arg-type]
    return [tuple(row[column] for column in columns) for row in found]


def test_best_explained(con: duckdb.DuckDBPyConnection) -> None:
    """Ties by balanced accuracy go to the one with an AUROC; shuffled explanations are left out."""
    columns = (
        "latent",
        "judge",
        "explainer_model",
        "balanced_accuracy",
        "auroc",
        "top_token",
        "n_activations",
    )
    assert rows(con, "best_explained", *columns, **PLACE, scorer="detection", n_rows=3) == [
        (0, "lexical", "lexical", 1.0, 1.0, " def", 100),
        (0, "gpt", "gpt", 1.0, None, " def", 100),
        (0, "gpt", "lexical", 0.75, None, " def", 100),
    ]
    assert rows(con, "best_explained", "latent", **PLACE, scorer="fuzz", n_rows=3) == []


def test_worst_explained(con: duckdb.DuckDBPyConnection) -> None:
    """The other end of the same list."""
    columns = ("latent", "judge", "explanation", "balanced_accuracy", "auroc", "top_token_share")
    assert rows(con, "worst_explained", *columns, **PLACE, scorer="detection", n_rows=2) == [
        (1, "lexical", "fires on def", 0.5, 0.75, 0.5),
        (0, "gpt", "fires on def", 0.75, None, pytest.approx(0.9)),
    ]


def test_score_by_density(con: duckdb.DuckDBPyConnection) -> None:
    """Densities 0.01 and 0.02 fall into the half-decade from 0.01; quartiles of 0.5 and 1."""
    columns = (
        "explainer",
        "judge",
        "density_from",
        "density_to",
        "n_explanations",
        "lower_quartile",
        "median_balanced_accuracy",
        "upper_quartile",
        "mean_auroc",
    )
    upper = pytest.approx(10**-1.5)
    assert rows(con, "score_by_density", *columns, **PLACE, scorer="detection") == [
        ("default", "gpt", pytest.approx(0.01), upper, 1, 1.0, 1.0, 1.0, None),
        ("lexical", "gpt", pytest.approx(0.01), upper, 1, 0.75, 0.75, 0.75, None),
        ("lexical", "lexical", pytest.approx(0.01), upper, 2, 0.625, 0.75, 0.875, 0.875),
    ]


def test_llm_against_lexical(con: duckdb.DuckDBPyConnection) -> None:
    """Only latent 0 has both explanations under one judge."""
    columns = (
        "latent",
        "judge",
        "llm_explanation",
        "lexical_explanation",
        "llm_balanced_accuracy",
        "lexical_balanced_accuracy",
        "gained",
    )
    assert rows(con, "llm_against_lexical", *columns, **PLACE, scorer="detection") == [
        (0, "gpt", "Python definitions", "fires on def", 1.0, 0.75, 0.25)
    ]


OWN_AGAINST_FLOORS = (
    "explainer_model", "judge", "metric", "n_latents", "own", "n_shuffled", "shuffled",
    "above_shuffled", "n_empty",
)  # fmt: skip


@pytest.mark.parametrize(
    ("most_tokens", "lexical"),
    [
        (None, [("auroc", 2, 0.875, 2, 0.375, 0.5, 0), ("recall", 2, 0.75, 2, 0.25, 0.5, 0)]),
        (1, [("auroc", 1, 1.0, 1, 0.5, 0.5, 0), ("recall", 1, 1.0, 1, 0.0, 1.0, 0)]),
    ],
)
def test_own_against_floors(
    con: duckdb.DuckDBPyConnection, most_tokens: int | None, lexical: list[tuple[object, ...]]
) -> None:
    """Means over latents, and over latents that fire on one token: latent 0 alone."""
    found = rows(con, "own_against_floors", *OWN_AGAINST_FLOORS, **PLACE, most_tokens=most_tokens)
    shown = [row for row in found if row[2] in ("auroc", "recall")]  # type: ignore[index]
    assert shown == [
        ("gpt", "gpt", "recall", 1, 1.0, 0, None, None, 0),
        ("lexical", "gpt", "recall", 1, 0.5, 0, None, None, 0),
        *(("lexical", "lexical", *row) for row in lexical),
    ]


def floored(tmp_path: Path) -> Lake:
    """Four latents with recall 1, 1, 0.5, 0.5, firing 100, 200, 4 and 0 times, and their floors.

    Shuffled: 0.5 each, of latent 3 none. Empty: 0 each, under no explanation.
    """
    lake = Lake(tmp_path)
    publish(lake, "latents", LATENTS)
    add(lake, "explanations", [explanation(f"x{i}", i, f"text {i}", "gpt") for i in range(4)])
    one, half, nothing = (True, True), (True, False), (False, False)
    rest = (False, False)
    given = [
        *answers("x0", 0, four(*one, *rest), model="gpt"),
        *answers("x1", 1, four(*one, *rest), model="gpt"),
        *answers("x2", 2, four(*half, *rest), model="gpt"),
        *answers("x3", 3, four(*half, *rest), model="gpt"),
        *(
            row
            for i in range(3)
            for row in answers(f"x{i + 1}", i, four(*half, *rest), model="gpt", control="shuffled")
        ),
        *(
            row
            for i in range(4)
            for row in answers(
                "none", i, four(*nothing, "late", False), "detection", "gpt", "empty"
            )
        ),
    ]
    add(lake, "predictions", given)
    return lake


def test_own_against_floors_are_paired(tmp_path: Path) -> None:
    """Above shuffled 0.5, 0.5, 0: 1/3, half 4.303 (here 6% short) standard errors of 1/6."""
    columns = (
        "n_shuffled", "above_shuffled", "above_shuffled_low", "n_empty", "empty", "above_empty",
    )  # fmt: skip
    with connect(floored(tmp_path)) as con:
        found = query(con, "analysis/own_against_floors", **PLACE, most_tokens=None).to_pylist()
    (recall,) = [row for row in found if row["metric"] == "recall"]
    assert [recall[name] for name in columns] == [
        3,
        pytest.approx(1 / 3),
        pytest.approx(1 / 3 - 4.303 / 6, abs=0.05),
        4,
        0.0,
        0.75,
    ]


def test_explainers_side_by_side(tmp_path: Path) -> None:
    """Counting explained latents 0, 1 and 3, the LLM all four: three are compared.

    Recall by counting 1, 0.5, 0.5 and 0, 0.5, 0.5 with another text: above it 1, 0, 0.
    """
    lake, rest = floored(tmp_path), (False, False)
    texts = ("same", "same", None, "other")
    counted = [explanation(f"y{i}", i, text) for i, text in enumerate(texts) if text]
    add(lake, "explanations", counted)
    hits = {0: (True, True), 1: (True, False), 3: (True, False)}
    by_other = {0: (False, False), 1: (True, False), 3: (True, False)}
    given = [
        *(row for i, said in hits.items() for row in answers(f"y{i}", i, four(*said, *rest))),
        *(
            row
            for i, said in by_other.items()
            for row in answers("y0" if i else "y1", i, four(*said, *rest), control="shuffled")
        ),
    ]
    add(lake, "predictions", given)
    asked = {**PLACE, "scorer": "detection", "model": "lexical"}
    with connect(lake) as con:
        found = query(con, "analysis/explainers_side_by_side", **asked).to_pylist()
    recalls = [row for row in found if row["metric"] == "recall"]
    columns = ("explainer_model", "judge", "n_latents", "n_texts", "own", "n_shuffled", "shuffled")
    assert [[row[name] for name in columns] for row in recalls] == [
        ["gpt", "gpt", 3, 3, pytest.approx(2.5 / 3), 2, 0.5],
        ["lexical", "lexical", 3, 2, pytest.approx(2 / 3), 3, pytest.approx(1 / 3)],
    ]
    # Two pairs have no interval; of three it is 4.303 (here 6% short) standard errors of 1/3.
    assert recalls[0]["above_shuffled_low"] is None
    assert recalls[1]["above_shuffled"] == pytest.approx(1 / 3)
    assert recalls[1]["above_shuffled_high"] == pytest.approx(1 / 3 + 4.303 / 3, abs=0.1)


def test_explainers_paired(tmp_path: Path) -> None:
    """Latents 0 to 3 by the LLM, 0, 1 and 3 by counting, all judged by the LLM: three pairs.

    Balanced accuracy 1, 1, 0.75, 0.75 and 0.75, 1, 0.5: the LLM is above by 0.25, 0, 0.25.
    """
    lake, rest = floored(tmp_path), (False, False)
    texts = [explanation(f"y{i}", i, "text") for i in (0, 1, 3)]
    add(lake, "explanations", texts)
    hits = {0: (True, False), 1: (True, True), 3: (False, False)}
    said = [
        row
        for i, two in hits.items()
        for row in answers(f"y{i}", i, four(*two, *rest), model="gpt")
    ]
    add(lake, "predictions", said)
    llm = {"explainer": "default", "explainer_model": "gpt"}
    counting = {"other_explainer": "lexical", "other_explainer_model": "lexical"}
    turned = {
        "explainer": "lexical",
        "explainer_model": "lexical",
        "other_explainer": "default",
        "other_explainer_model": "gpt",
    }
    with connect(lake) as con:
        (found,) = query(con, "analysis/explainers_paired", **PLACE, **llm, **counting).to_pylist()
        (back,) = query(con, "analysis/explainers_paired", **PLACE, **turned).to_pylist()
        ours, theirs = [1, 1, 0.75], [0.75, 1, 0.5]
    assert (found["scorer"], found["metric"], found["n_latents"]) == (
        "detection",
        "balanced_accuracy",
        3,
    )
    assert (found["own"], found["other"]) == (
        pytest.approx(np.mean(ours)),
        pytest.approx(np.mean(theirs)),
    )
    differences = np.subtract(ours, theirs)
    half = 4.303 * np.std(differences, ddof=1) / 3**0.5
    assert found["difference"] == pytest.approx(differences.mean())
    assert found["difference_low"] == pytest.approx(differences.mean() - half, abs=0.03)
    assert found["difference_high"] == pytest.approx(differences.mean() + half, abs=0.03)
    assert back["difference"] == pytest.approx(-found["difference"])


def test_hookpoint_scores(tmp_path: Path) -> None:
    """Recall 1, 1, 0.5, 0.5 of latents firing 100, 200, 4 and 0 times; checked with numpy too."""
    with connect(floored(tmp_path)) as con:
        found = query(con, "analysis/hookpoint_scores", **PLACE).to_pylist()
    by = {(row["control"], row["metric"]): row for row in found}
    recall = by["none", "recall"]
    assert (recall["explainer"], recall["n_latents"], recall["mean"]) == ("default", 4, 0.75)
    error = np.std([1, 1, 0.5, 0.5], ddof=1) / 2
    assert recall["mean_high"] == pytest.approx(0.75 + stats.t.ppf(0.975, 3) * error, rel=0.01)
    assert recall["weighted_mean"] == pytest.approx(302 / 304)
    # Two latents carry the weight: an effective sample of 1.8 gives no interval.
    assert recall["weighted_mean_low"] is None
    empty = by["empty", "recall"]
    assert (empty["explainer"], empty["n_examples"], empty["n_failed"]) == ("none", 16, 4)
    assert (empty["failed_share"], empty["mean"]) == (0.25, 0.0)


def test_hookpoint_scores_say_what_is_constant_and_undefined(tmp_path: Path) -> None:
    """Four simulated latents: alike, the same everywhere, silent, failed; one with a yes, one none.

    Correlations 1, 0, none, none; precision 1, none.
    """
    lake = Lake(tmp_path)
    up, same, silent = [1.0, 2.0, 4.0], [0.5] * 3, [0.0] * 3
    publish(lake, "latents", LATENTS)
    add(lake, "explanations", [explanation(f"x{i}", i, "text") for i in range(4)])
    simulated = [
        {**row, "prediction": None, "simulated": None if i == 3 else (up, same, up)[i]}
        for i in range(4)
        for row in answers(f"x{i}", i, [(True, "late" if i == 3 else True)], "mine", "gpt")
    ]
    real = [window(i, 0, "test", 0, silent if i == 2 else up) for i in range(4)]
    publish(lake, "examples", real, selection="default")
    said = [*answers("x0", 0, four(0.9, 0.9, 0.1, 0.1)), *answers("x1", 1, four(*[0.1] * 4))]
    failed = answers("x2", 2, four(*["late"] * 4), "fuzz")
    add(lake, "predictions", simulated + said + failed)
    with connect(lake) as con:
        found = query(con, "analysis/hookpoint_scores", **PLACE).to_pylist()
    names = ("n_latents", "n_constant", "n_undefined", "mean", "n_examples", "n_failed")
    by = {(row["scorer"], row["metric"]): [row[name] for name in names] for row in found}
    assert by["mine", "correlation"] == [2, 1, 2, 0.5, 4, 1]
    assert by["detection", "precision"] == [1, 0, 1, 1.0, 8, 0]
    assert by["fuzz", None] == [0, 0, 1, None, 4, 4]
    assert {metric for scorer, metric in by if scorer == "mine"} == {"correlation"}


def test_weighted_mean_agrees_with_numpy(tmp_path: Path) -> None:
    """Forty latents of random weight and recall; the variance of a ratio from its definition."""
    rng = np.random.default_rng(5)
    weights, hits = rng.integers(1, 1_000, 40), rng.integers(0, 11, 40)
    lake = Lake(tmp_path)
    publish(lake, "latents", [latent(i, {}, n_activations=int(w)) for i, w in enumerate(weights)])
    given = [
        row
        for i, right in enumerate(hits)
        for row in answers("x", i, [(True, place < right) for place in range(10)])
    ]
    add(lake, "predictions", given)
    with connect(lake) as con:
        found = query(con, "analysis/hookpoint_scores", **PLACE).to_pylist()
    (recall,) = [row for row in found if row["metric"] == "recall"]
    shares = weights / weights.sum()
    mean = float(shares @ (hits / 10))
    error = np.sqrt(40 / 39 * np.sum(shares**2 * (hits / 10 - mean) ** 2))
    half = stats.t.ppf(0.975, 1 / np.sum(shares**2) - 1) * error
    ends = (recall["weighted_mean_low"], recall["weighted_mean_high"])
    assert recall["weighted_mean"] == pytest.approx(mean)
    assert ends == pytest.approx((mean - half, mean + half), rel=1e-3)


def test_latent_scores(tmp_path: Path) -> None:
    """A row a latent and scorer: its floors beside it, and counting judged by counting."""
    lake = floored(tmp_path)
    add(lake, "explanations", [explanation("l0", 0, "counted")])
    picks = answers("x0", 0, [(True, True), (True, False)], "intruder", "gpt", chance=0.2)
    add(lake, "predictions", [*answers("l0", 0, four(0.9, 0.8, 0.1, 0.9)), *picks])
    columns = ("latent", "scorer", "explainer", "metric", "own", "shuffled", "empty", "lexical")
    with connect(lake) as con:
        found = query(con, "analysis/latent_scores", **PLACE).to_pylist()
    assert [tuple(row[name] for name in columns) for row in found] == [
        (0, "detection", "default", "balanced_accuracy", 1.0, 0.75, 0.5, 0.75),
        (0, "intruder", "default", "accuracy", 0.5, None, None, None),
        (0, "detection", "lexical", "balanced_accuracy", 0.75, None, None, 0.75),
        (1, "detection", "default", "balanced_accuracy", 1.0, 0.75, 0.5, None),
        (2, "detection", "default", "balanced_accuracy", 0.75, 0.75, 0.5, None),
        (3, "detection", "default", "balanced_accuracy", 0.75, None, 0.5, None),
    ]
    above = [row["above_floors"] for row in found]
    assert above == [0.25, pytest.approx(0.3), None, 0.25, 0.0, 0.25]
    for row in found:
        assert row["own_low"] < row["own"] + 1e-9
        assert (row["shuffled"] is None) == (row["shuffled_low"] is None)


def test_latent_scores_of_counting_by_a_judge_that_cannot_count(tmp_path: Path) -> None:
    """No scorer by counting: the lexical explanation is judged as the other one is."""
    lake = Lake(tmp_path)
    add(lake, "explanations", [explanation("l0", 0, "1"), explanation("g0", 0, "2", "gpt")])
    same = ("surprisal", "local")
    given = [*answers("l0", 0, four(0.9, 0.1, 0.5, 0.2), *same)]
    given += answers("g0", 0, four(0.9, 0.8, 0.1, 0.2), *same)
    given += answers("l0", 0, four(0.1, 0.1, 0.8, 0.8), *same, judge_hash="other")
    for row in given:
        row |= {"value": row["probability"], "probability": None, "prediction": None}
    add(lake, "predictions", given)
    columns = ("explainer", "judge_hash", "metric", "own", "lexical")
    with connect(lake) as con:
        assert rows(con, "latent_scores", *columns, **PLACE) == [
            ("default", "asked", "auroc", 1.0, 0.5),
            ("lexical", "asked", "auroc", 0.5, 0.5),
            ("lexical", "other", "auroc", 0.0, 0.0),
        ]


def test_selections_compared(tmp_path: Path) -> None:
    """Two latents under default, two under other; latent 0 is scored under both, and is worse.

    It is picked right once of two times under default, always under other.
    """
    lake = Lake(tmp_path)
    texts = [("e0", 0, "default"), ("e1", 1, "default"), ("o0", 0, "other"), ("o2", 2, "other")]
    add(lake, "explanations", [explanation(e, i, "x", selection=name) for e, i, name in texts])
    good, middling = four(0.9, 0.8, 0.1, 0.2), four(0.9, 0.2, 0.7, 0.1)
    bad = four(0.1, 0.2, 0.99, 0.9)
    picked = [(True, True), (True, False)]
    given = [
        *answers("e0", 0, good),
        *answers("e1", 1, middling),
        *answers("o0", 0, middling, selection="other"),
        *answers("o2", 2, bad, selection="other"),
        *answers("o2", 0, bad, selection="other", control="shuffled"),
        *answers("e0", 0, picked, "discrimination"),
        *answers("o0", 0, picked[:1], "discrimination", selection="other"),
    ]
    add(lake, "predictions", given)
    columns = ("control", "metric", "selection", "n_latents", "mean", "n_shared", "gained")
    with connect(lake) as con:
        found = rows(con, "selections_compared", "scorer", *columns, **PLACE, selection="default")
    shown = ("accuracy", "balanced_accuracy", "auroc")
    by_scorer = {
        scorer: [row[1:] for row in found if row[0] == scorer and row[2] in shown]  # type: ignore[index]
        for scorer in ("detection", "discrimination")
    }
    assert [row for row in by_scorer["detection"] if row[1] != "accuracy"] == [
        ("none", "auroc", "default", 2, 0.875, 2, 0.0),
        ("none", "auroc", "other", 2, 0.375, 1, -0.25),
        ("none", "balanced_accuracy", "default", 2, 0.75, 2, 0.0),
        ("none", "balanced_accuracy", "other", 2, 0.25, 1, -0.5),
        ("shuffled", "auroc", "other", 1, 0.0, 0, None),
        ("shuffled", "balanced_accuracy", "other", 1, 0.0, 0, None),
    ]
    assert by_scorer["discrimination"] == [
        ("none", "accuracy", "default", 1, 0.5, 1, 0.0),
        ("none", "accuracy", "other", 1, 1.0, 1, 0.5),
    ]


def test_gains_of_a_selection_are_paired(tmp_path: Path) -> None:
    """Recall of four latents under two selections; the interval is scipy's of the differences."""
    lake = Lake(tmp_path)
    hits = {"default": [5, 6, 7, 9], "other": [4, 4, 6, 9]}
    ids = [(f"{name}{i}", i, name) for name in hits for i in range(4)]
    add(lake, "explanations", [explanation(e, i, "x", selection=name) for e, i, name in ids])
    given = [
        row
        for e, i, name in ids
        for row in answers(e, i, [(True, n < hits[name][i]) for n in range(10)], selection=name)
    ]
    add(lake, "predictions", given)
    with connect(lake) as con:
        found = query(con, "analysis/selections_compared", **PLACE, selection="default").to_pylist()
    (other,) = [r for r in found if (r["metric"], r["selection"]) == ("recall", "other")]
    gained = np.subtract(hits["other"], hits["default"]) / 10
    half = stats.t.ppf(0.975, 3) * stats.sem(gained)
    ends = (other["gained_low"], other["gained"], other["gained_high"])
    mean = gained.mean()
    assert ends == pytest.approx((mean - half, mean, mean + half), abs=0.01)


def test_cost_per_latent(con: duckdb.DuckDBPyConnection) -> None:
    """Answers share calls; one has no price, another failed: each is counted apart."""
    columns = (
        "stage",
        "method",
        "model",
        "n_latents",
        "n_calls",
        "prompt_tokens",
        "completion_tokens",
        "cost",
        "cost_per_latent",
        "n_failed",
        "n_unpriced",
    )
    assert rows(con, "cost_per_latent", *columns, **PLACE) == [
        (
            "explanation",
            "default",
            "gpt",
            2,
            2,
            300,
            30,
            pytest.approx(0.03),
            pytest.approx(0.015),
            0,
            0,
        ),
        ("prediction", "detection", "gpt", 1, 3, 350, 35, 0.03, 0.03, 1, 1),
    ]


def test_answers_are_compared_within_a_way_to_ask(tmp_path: Path) -> None:
    """The own explanation judged in two ways, the other latent's in one: they are not mixed."""
    lake = Lake(tmp_path)
    publish(lake, "latents", LATENTS)
    add(lake, "explanations", EXPLANATIONS)
    good, bad = four(0.9, 0.8, 0.1, 0.2), four(0.1, 0.2, 0.9, 0.8)
    given = [
        *answers("e0", 0, good, model="gpt"),
        *answers("e1", 0, bad, model="gpt", control="shuffled"),
        *answers("e0", 0, bad, model="gpt", judge_hash="other"),
        *answers("g0", 0, good, model="gpt", judge_hash="other"),
    ]
    add(lake, "predictions", given)
    columns = ("metric", "judge_hash", "own", "shuffled")
    with connect(lake) as con:
        found = rows(con, "own_against_floors", *columns, **PLACE, most_tokens=None)
        assert [row[1:] for row in found if row[0] == "auroc"] == [  # type: ignore[index]
            ("other", 1.0, None), ("asked", 1.0, 0.0), ("other", 0.0, None),
        ]  # fmt: skip
        compared = rows(con, "llm_against_lexical", "gained", **PLACE, scorer="detection")
        assert compared == [(1.0,)]


def test_failures_by_reason(con: duckdb.DuckDBPyConnection) -> None:
    """One of three lexical, one of two LLM explanations, one of eight answers."""
    columns = ("stage", "method", "model", "failure", "n_failed", "share_failed")
    assert rows(con, "failures_by_reason", *columns, **PLACE) == [
        ("explanation", "default", "gpt", "unparseable", 1, 0.5),
        ("explanation", "lexical", "lexical", "no windows", 1, pytest.approx(1 / 3)),
        ("prediction", "detection", "gpt", "timeout", 1, 0.125),
    ]


def test_windows_behind_explanation(con: duckdb.DuckDBPyConnection) -> None:
    """Train windows in which latent 0 fires, strongest first, firing tokens marked."""
    columns = ("example", "quantile", "max_activation", "window_text", "explanation")
    assert rows(con, "windows_behind_explanation", *columns, explanation_id="g0") == [
        (1, 0, 5.0, "<<a>>b<<c>>", "Python definitions"),
        (0, 1, 2.0, "a<<b>>c", "Python definitions"),
    ]


def test_candidates_of_latent(tmp_path: Path) -> None:
    """In order of the candidates; explanations without candidates are left out."""
    lake = Lake(tmp_path)
    texts = [
        explanation("b1", 0, "b", "gpt", candidate=1, quick_score=0.75, chosen=True),
        explanation("b0", 0, "a", "gpt", candidate=0, quick_score=0.5, chosen=False),
        explanation("other", 1, "c", "gpt", candidate=0, quick_score=0.5, chosen=True),
        explanation("only", 0, "d", "gpt", chosen=True),
    ]
    add(lake, "explanations", texts)
    columns = ("candidate", "quick_score", "chosen", "explanation")
    with connect(lake) as con:
        assert rows(con, "candidates_of_latent", *columns, **PLACE, latent=0) == [
            (0, 0.5, False, "a"),
            (1, 0.75, True, "b"),
        ]


def test_candidates_that_lost_count_nowhere(tmp_path: Path) -> None:
    """Latent 0 and 1 have the same text, but it is the chosen one of neither."""
    lake = Lake(tmp_path)
    publish(lake, "latents", LATENTS)
    lost = {"candidate": 0, "chosen": False}
    texts = [explanation(f"b{n}", n, "same", "gpt", **lost) for n in range(2)]
    add(lake, "explanations", [*texts, explanation("c", 0, "best", "gpt", chosen=True)])
    with connect(lake) as con:
        assert rows(con, "shared_explanations", "latents", **PLACE, n_rows=10) == []
        assert rows(con, "latent_census", "n_explained", **PLACE) == [(1,)]
        found = rows(con, "latents_of_token", "explanations", **PLACE, str_token=" a", n_rows=9)
        assert found == [(None,)]
        exported = query(
            con,
            "delphi/explanations",
            **PLACE,
            selection=None,
            explainer=None,
            explainer_model=None,
        )
        assert exported["explanation"].to_pylist() == ["best"]


def test_explainer_prompts(tmp_path: Path) -> None:
    """One row a prompt, with the messages of the first latent that was asked about with it."""
    lake = Lake(tmp_path)
    texts = [
        explanation("e0", 0, "a", "gpt", prompt_hash="p", request="r0"),
        explanation("e1", 1, None, "gpt", prompt_hash="p", request="r1", failure="empty"),
        explanation("e2", 1, "b", "gpt", prompt_hash="q", request="r2"),
        explanation("e3", 1, "c", prompt_hash="lexical"),
    ]
    add(lake, "explanations", texts)
    asked = [
        {"request": f"r{n}", "messages": f'[{{"role": "system", "content": "{text}"}}, {n}]'}
        for n, text in enumerate(("say", "say", "tell"))
    ]
    add(lake, "completions", [{**row, "written_at": WRITTEN} for row in asked])
    columns = ("prompt_hash", "n_explanations", "instructions", "messages")
    with connect(lake) as con:
        assert rows(con, "explainer_prompts", *columns, **PLACE) == [
            ("p", 2, "say", '[{"role": "system", "content": "say"}, 0]'),
            ("q", 1, "tell", '[{"role": "system", "content": "tell"}, 2]'),
        ]


def test_misjudged_windows(con: duckdb.DuckDBPyConnection) -> None:
    """e1 misses example 1 (0.2) and is alarmed by example 2 (0.7); the miss is the surer one."""
    columns = ("example", "truth", "prediction", "probability", "quantile", "window_text")
    assert rows(con, "misjudged_windows", *columns, explanation_id="e1") == [
        (1, True, False, 0.2, None, "a<<b>>c"),
        (2, False, True, 0.7, None, "abc"),
    ]


def test_shared_explanations(con: duckdb.DuckDBPyConnection) -> None:
    """The lexical texts of latents 0 and 1 are the same; failures share nothing."""
    columns = ("explainer", "explanation", "n_latents", "latents")
    assert rows(con, "shared_explanations", *columns, **PLACE, n_rows=10) == [
        ("lexical", "fires on def", 2, [0, 1])
    ]


def test_right_answers_by_quantile(tmp_path: Path) -> None:
    """Rank bins apart, silent windows last, failures in no share."""
    lake = Lake(tmp_path)
    add(lake, "explanations", [explanation("e", 0, "x")])
    strong = answers("e", 0, [(True, 0.9), (True, 0.7)], quantile=0)
    weak = answers("e", 0, [(True, 0.1), (True, 0.6), (True, "timeout")], quantile=4)
    silent = answers("e", 0, [(False, 0.6)])
    every = [{**row, "example": i} for i, row in enumerate([*strong, *weak, *silent])]
    add(lake, "predictions", every)
    columns = (
        "truth", "quantile", "n_latents", "n_answers", "n_failed", "share_right", "share_right_low",
        "mean_probability",
    )  # fmt: skip
    with connect(lake) as con:
        assert rows(con, "right_answers_by_quantile", *columns, **PLACE) == [
            (True, 0, 1, 2, 0, 1.0, None, pytest.approx(0.8)),
            (True, 4, 1, 2, 1, 0.5, None, pytest.approx(0.35)),
            (False, None, 1, 1, 0, 0.0, None, pytest.approx(0.6)),
        ]


def test_recall_by_strength_is_of_each_control_and_selection(tmp_path: Path) -> None:
    """Recall is of the windows in which latents fire; who picks one of several finds none."""
    lake = Lake(tmp_path)
    add(lake, "explanations", [explanation("e", 0, "x"), explanation("f", 1, "y")])
    own = answers("e", 0, [(True, 0.9), (True, 0.1), (False, 0.6), (False, "timeout")])
    alike = answers("f", 1, [(True, 0.9), (True, 0.8), (False, 0.1), (False, 0.2)])
    shuffled = answers("f", 0, [(True, 0.2), (True, 0.3)], control="shuffled")
    picks = answers("e", 0, [(True, True)], scorer="discrimination", chance=0.25)
    for row in [*own, *alike, *shuffled, *picks]:
        row["quantile"] = row["example"] if row["truth"] else None
    other = answers("e", 0, [(True, 0.9)], selection="other", quantile=0)
    add(lake, "predictions", [*own, *alike, *shuffled, *picks, *other])
    # Of two latents one has its weaker window found: Wilson's of a half, of two less one.
    z = stats.norm.ppf(0.975)
    half = z / np.sqrt(1 + z**2) / 2
    both = stats.binomtest(2, 2).proportion_ci(method="wilson")
    with connect(lake) as con:
        found = recall_curves(con, RUN, HOOKPOINT)
        (pick,) = (
            row
            for row in query(con, "analysis/right_answers_by_quantile", **PLACE).to_pylist()
            if row["scorer"] == "discrimination"
        )
    assert (pick["share_right"], pick["chance"]) == (1.0, 0.25)
    assert [(one.selection, one.control, one.n_latents, one.claimed) for one in found] == [
        ("default", "none", 2, pytest.approx(1 / 3)),
        ("default", "shuffled", 1, None),
        ("other", "none", 1, None),
    ]
    strong, weak = found[0].found
    assert tuple(strong) == pytest.approx((0, 1.0, both.low, both.high))
    assert tuple(weak) == pytest.approx((1, 0.5, 0.5 - half, 0.5 + half))
    assert found[1].found == ((0, 0.0, None, None), (1, 0.0, None, None))


def test_answers_about_one_latent_are_alike(tmp_path: Path) -> None:
    """Eight latents, half all right, half all wrong: an interval of eight, not of eighty."""
    lake = Lake(tmp_path)
    add(lake, "explanations", [explanation("e", 0, "x")])
    given = [answers("e", i, [(True, i % 2 == 0)] * 10, quantile=0) for i in range(8)]
    add(lake, "predictions", [row for latent_rows in given for row in latent_rows])
    with connect(lake) as con:
        (row,) = query(con, "analysis/right_answers_by_quantile", **PLACE).to_pylist()
    # Eight latents less the one degree of freedom of their mean.
    low, high = stats.binomtest(4, 8).proportion_ci(method="wilson")
    assert (row["n_latents"], row["n_answers"], row["share_right"]) == (8, 80, 0.5)
    assert row["share_right_low"] == pytest.approx(low, abs=0.02)
    assert row["share_right_high"] == pytest.approx(high, abs=0.02)


def test_latents_of_token(con: duckdb.DuckDBPyConnection) -> None:
    """The larger share first; a failed explanation is no text."""
    columns = ("latent", "token_rank", "share", "explanations")
    assert rows(con, "latents_of_token", *columns, **PLACE, str_token=" def", n_rows=10) == [
        (0, 1, pytest.approx(0.9), ["Python definitions", "fires on def"]),
        (2, 2, pytest.approx(0.2), None),
    ]


def test_latent_census(con: duckdb.DuckDBPyConnection) -> None:
    """Four latents, three live and without a reason, two explained and scored."""
    columns = ("n_latents", "n_live", "n_explainable", "n_explained", "n_scored")
    assert rows(con, "latent_census", *columns, **PLACE) == [(4, 3, 3, 2, 2)]


def test_firing_densities(con: duckdb.DuckDBPyConnection) -> None:
    """log10: dead; 0.0004 is -3.40; 0.01 is -2; 0.02 is -1.70."""
    assert rows(con, "firing_densities", "log10_density", "n_latents", **PLACE) == [
        (None, 1), (-3.5, 1), (-2.0, 1), (-1.75, 1),
    ]  # fmt: skip


def test_score_distribution(con: duckdb.DuckDBPyConnection) -> None:
    """Each score in the bin that begins at or below it."""
    columns = ("judge", "control", "balanced_accuracy", "n_scores")
    assert rows(con, "score_distribution", *columns, **PLACE) == [
        ("gpt", "none", 0.75, 1), ("gpt", "none", 1.0, 1),
        ("lexical", "none", 0.5, 1), ("lexical", "none", 1.0, 1),
        ("lexical", "shuffled", 0.25, 1), ("lexical", "shuffled", 0.5, 1),
    ]  # fmt: skip


BY_HAND = {
    "run": RUN, "hookpoint": HOOKPOINT, "scorer": "detection", "n_rows": 5, "explanation_id": "e1",
    "str_token": " def", "most_tokens": 2, "latent": 1, "selection": "default", "other_run": RUN,
    "other_scorer": "detection", "model": "lexical", "other_model": "gpt",
    "explainer": "lexical", "explainer_model": "lexical",
    "other_explainer": "lexical", "other_explainer_model": "lexical",
}  # fmt: skip


@pytest.mark.parametrize(
    "path", sorted((sql_folder() / "analysis").glob("*.sql")), ids=lambda path: path.stem
)
def test_runs_by_hand(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Behind `prepare`, the text of the file runs as it stands, in any DuckDB."""
    text = path.read_text()
    taken = con.extract_statements(text)[0].named_parameters
    given = ", ".join(f"{name} := {BY_HAND[name]!r}" for name in sorted(taken))
    con.execute(f"prepare question as {text}")
    assert con.execute(f"execute question({given})").fetchall()


def test_every_statement_has_a_test() -> None:
    """A new file in sql/analysis/ needs expected values here, or in a module beside this one."""
    modules = Path(__file__).parent.glob("test_analysis*.py")
    tested = {
        name for path in modules for name in re.findall(r"^def test_(\w+)", path.read_text(), re.M)
    }
    shipped = {path.stem for path in (sql_folder() / "analysis").glob("*.sql")}
    assert shipped <= tested
    assert statement("analysis/latent_census").startswith("-- ")
