"""Statements of `sql/judges/`: by hand, and against numpy and scikit-learn; which way is best."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from delphi_assets.lake.database import connect, query
from delphi_assets.lake.growing_tables import Row
from delphi_assets.lake.lake import Lake
from delphi_assets.runs.calibration.cards import best_of
from delphi_assets.runs.calibration.strong_llm import strong_latents
from tests.parts.hand_built import PLACE, WRITTEN, add, answers, explanation, publish

ASKED = {"selection": "default", "scorer": "detection", "judge": "org/llm", "judge_hash": "asked"}


def described(lake: Lake, given: dict[tuple[int, str], list[tuple[bool, Any]]]) -> None:
    """Answers by latent and relation, each description an explanation, each answer a question."""
    for (latent, relation), said in given.items():
        name = f"{relation} {latent}"
        add(
            lake,
            "explanations",
            [{**explanation(name, latent, name, "org"), "explainer": f"planted_{relation}"}],
        )
        rows = answers(name, latent, said, model="org/llm")
        asked = [{**row, "request": f"{name} {n}"} for n, row in enumerate(rows)]
        add(lake, "predictions", asked)
        calls: list[Row] = [
            {
                "request": row["request"],
                "prompt_tokens": 100,
                "cached_tokens": 60,
                "completion_tokens": 2,
                "cost": 0.001,
                "latency": 0.5,
                "written_at": WRITTEN,
            }
            for row in asked
        ]
        add(lake, "completions", calls)


def card(lake: Lake, by_log_prob: bool) -> dict[str, Any]:
    with connect(lake) as con:
        (row,) = query(con, "judges/card", **PLACE, **ASKED, by_log_prob=by_log_prob).to_pylist()
    told: dict[str, Any] = row
    return told


def test_card_by_hand(tmp_path: Path) -> None:
    """Latent 0: all pairs right; 1: half; 2: a tie and a failure. Wrong ones: below, tied."""
    lake = Lake(tmp_path)
    described(
        lake,
        {
            (0, "true"): [(True, 0.9), (True, 0.8), (False, 0.1), (False, 0.7)],
            (0, "parent"): [(True, 0.9), (True, 0.2), (False, 0.3), (False, 0.4)],
            (1, "true"): [(True, 0.9), (True, 0.1), (False, 0.2), (False, 0.3)],
            (1, "other"): [(True, 0.5), (True, 0.5), (False, 0.5), (False, 0.5)],
            (2, "true"): [(True, 0.6), (True, "unparseable"), (False, 0.6), (False, 0.6)],
        },
    )
    told = card(lake, by_log_prob=True)
    assert (told["n_latents"], told["n_answers"], told["n_pairs"]) == (3, 20, 2)
    assert told["auroc"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert told["true_above_wrong"] == (1 + 0.5) / 2
    # Under true descriptions: 0.9, 0.8, 0.7, 0.9, 0.6, 0.6, 0.6 of eleven answers are a yes.
    assert told["yes_share"] == pytest.approx(7 / 11)
    assert told["bias"] == pytest.approx(7 / 11 - 5 / 11)
    assert (told["failed_share"], told["failures"]) == (1 / 20, "unparseable 1")
    assert (told["n_calls"], told["prompt_tokens"], told["cached_tokens"]) == (20, 2000, 1200)
    assert (told["completion_tokens"], told["dollars"]) == (40, pytest.approx(0.02))
    assert (told["seconds"], told["calls_per_second"]) == (10.0, 2.0)
    by_words = card(lake, by_log_prob=False)
    # 1: yes, no against no, no; 0: yes, yes against no, yes; 2: yes against yes, yes.
    assert by_words["auroc"] == pytest.approx((0.75 + 0.75 + 0.5) / 3)
    assert by_words["yes_share"] == told["yes_share"]


def test_a_judge_that_was_not_asked_has_no_answers(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.initialize()
    told = card(lake, by_log_prob=True)
    assert (told["n_answers"], told["auroc"], told["failures"]) == (0, None, None)


def test_two_latents_have_no_interval(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    both = [(True, 0.9), (False, 0.1)]
    described(lake, {(0, "true"): both, (1, "true"): both})
    told = card(lake, by_log_prob=True)
    assert (told["auroc"], told["auroc_low"], told["auroc_high"]) == (1.0, None, None)


def test_card_agrees_with_scikit_learn(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    truths = [True] * 5 + [False] * 5
    relations = ("true", "parent", "sibling")

    def said() -> list[tuple[bool, Any]]:
        return [(truth, float(np.round(draw.uniform(0.2 * truth, 1), 1))) for truth in truths]

    judged = {(latent, relation): said() for latent in range(8) for relation in relations}
    lake = Lake(tmp_path)
    described(lake, judged)
    told = card(lake, by_log_prob=True)
    aurocs = {
        key: roc_auc_score(truths, [answer for _, answer in of_one])
        for key, of_one in judged.items()
    }
    own = np.array([aurocs[latent, "true"] for latent in range(8)])
    assert told["auroc"] == pytest.approx(own.mean())
    reach = stats.t.ppf(0.975, 7) * stats.sem(own)
    assert told["auroc_high"] == pytest.approx(min(1, own.mean() + reach), rel=1e-2)
    assert told["auroc_low"] == pytest.approx(max(0, own.mean() - reach), rel=1e-2)
    above = [
        (own[latent] > aurocs[latent, relation]) + (own[latent] == aurocs[latent, relation]) / 2
        for latent in range(8)
        for relation in relations[1:]
    ]
    assert told["n_pairs"] == len(above)
    assert told["true_above_wrong"] == pytest.approx(np.mean(above))


def agreement(lake: Lake, rows: list[Row], by_log_prob: bool) -> dict[str, Any]:
    with connect(lake) as con:
        con.register("given", pa.Table.from_pylist(rows))
        (row,) = query(con, "judges/agreement", by_log_prob=by_log_prob).to_pylist()
    told: dict[str, Any] = row
    return told


def test_agreement_agrees_with_scikit_learn(tmp_path: Path) -> None:
    draw, lake = np.random.default_rng(4), Lake(tmp_path)
    lake.initialize()
    rows: list[Row] = []
    for latent in range(6):
        for n in range(10):
            likely = float(np.round(draw.uniform(0, 1), 1))
            strong = bool(draw.uniform() < 0.3 + 0.4 * likely)
            strong = n % 2 == 0 if n < 2 else strong
            rows.append({
                "latent": latent, "strong": strong, "prediction": likely >= 0.5,
                "probability": likely,
            })  # fmt: skip
    failed: Row = {"latent": 0, "strong": True, "prediction": None, "probability": None}
    told = agreement(lake, [*rows, failed], by_log_prob=True)
    assert told["n_strong"] == len(rows)
    both = [(one["strong"], one["prediction"]) for one in rows]
    assert told["strong_agreement"] == pytest.approx(np.mean([a == b for a, b in both]))
    kappa = cohen_kappa_score(*zip(*both, strict=True))
    assert told["strong_kappa"] == pytest.approx(kappa)
    aurocs = [
        roc_auc_score([one["strong"] for one in of], [one["probability"] for one in of])
        for of in ([one for one in rows if one["latent"] == latent] for latent in range(6))
    ]
    assert told["strong_auroc"] == pytest.approx(np.mean(aurocs))
    assert told["strong_auroc_low"] < told["strong_auroc"] < told["strong_auroc_high"]
    nobody = agreement(lake, [failed], by_log_prob=False)
    assert (nobody["n_strong"], nobody["strong_agreement"], nobody["strong_auroc"]) == (
        0,
        None,
        None,
    )


def planted(latent: int, kind: str, relation: str, text: str, n_missed: int = 0) -> Row:
    return {
        "latent": latent, "name": f"p{latent}", "kind": kind, "relation": relation, "number": 1,
        "text": text, "n_missed": n_missed, "n_false": 0,
    }  # fmt: skip


def windows(latent: int, firing: int, silent: int) -> list[Row]:
    made = [(True, n) for n in range(firing)] + [(False, firing + n) for n in range(silent)]
    return [
        {"latent": latent, "example": n, "activating": fires, "split": "test"} for fires, n in made
    ]


def test_descriptions_by_hand(tmp_path: Path) -> None:
    """Kinds in turn; without defects, enough windows, and a wrong text that is another one."""
    lake = Lake(tmp_path)
    publish(lake, "planted", [
        planted(0, "words", "true", "a"), planted(0, "words", "parent", "b"),
        planted(1, "words", "true", "c"), planted(1, "words", "child", "d"),
        planted(2, "topic", "true", "e"), planted(2, "topic", "other", "e"),
        planted(2, "topic", "sibling", "f"), planted(2, "topic", "empty", ""),
        planted(3, "topic", "true", "g", n_missed=1), planted(4, "random", "true", "h"),
        planted(5, "token", "true", "i"),
    ])  # fmt: skip
    shown = [row for latent in range(5) for row in windows(latent, 2, 2)]
    publish(lake, "examples", [*shown, *windows(5, 1, 4)], selection="default")
    with connect(lake) as con:
        rows = query(
            con, "judges/descriptions", **PLACE, selection="default", scorable=2
        ).to_pylist()
    places = [row["place"] for row in rows]
    assert places == [1, 1, 2, 2, 3, 3]
    of_latent = {
        latent: [(row["relation"], row["text"]) for row in rows if row["latent"] == latent]
        for latent in (0, 1, 2)
    }
    assert of_latent == {
        0: [("true", "a"), ("parent", "b")],
        1: [("true", "c"), ("child", "d")],
        2: [("true", "e"), ("sibling", "f")],
    }
    assert [row["latent"] for row in rows].index(2) in (0, 2), "the only one of its kind: at first"


def way(auroc: float | None, reach: float, dollars: float | None, seconds: float) -> dict[str, Any]:
    return {
        "auroc": auroc, "auroc_low": None if auroc is None else auroc - reach,
        "dollars": dollars, "seconds": seconds, "n_answers": 10,
    }  # fmt: skip


def test_the_best_is_the_cheapest_that_is_not_told_from_the_highest() -> None:
    high, near, far = way(0.9, 0.1, None, 9), way(0.82, 0.1, None, 2), way(0.6, 0.1, None, 1)
    assert best_of([high, near, far]) is near
    paid, cheap = way(0.9, 0.1, 0.2, 1), way(0.85, 0.1, 0.1, 9)
    assert best_of([paid, cheap]) is cheap
    assert best_of([way(0.8, 0.1, 0.1, 1), tie := way(0.81, 0.1, 0.1, 1)]) is tie
    assert best_of([way(None, 0, None, 1)]) is None
    assert best_of([]) is None


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 0.5), st.floats(0.1, 9)), min_size=1, max_size=9
    )
)
def test_nothing_cheaper_is_as_good(given: list[tuple[float, float, float]]) -> None:
    ways = [way(auroc, reach, None, seconds) for auroc, reach, seconds in given]
    best = best_of(ways)
    assert best is not None
    highest = max(ways, key=lambda one: one["auroc"])
    assert best["auroc"] >= highest["auroc_low"]
    for one in ways:
        assert one["seconds"] >= best["seconds"] or one["auroc"] < highest["auroc_low"]


def test_what_the_strong_llm_said_is_whole() -> None:
    """Twelve latents, forty windows each, an answer to every one."""
    latents = strong_latents()
    assert len({one.record.latent for one in latents}) == len(latents) == 12
    for one in latents:
        assert (len(one.record.test), len(one.record.non_activating)) == (20, 20)
        examples = {example.example for example in one.record.examples}
        assert one.answers.keys() == {"detection", "fuzz"}
        assert all(said.keys() == examples for said in one.answers.values())
        assert one.explained.explanation.strip()
        assert one.record.max_activation >= max(
            example.max_activation for example in one.record.examples
        )
    shares = [np.mean([*one.answers["detection"].values()]) for one in latents]
    assert 0 < min(shares) < max(shares) < 1
    assert all(a.record.latent < b.record.latent for a, b in pairwise(latents))
