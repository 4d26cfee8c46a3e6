"""Statements of `sql/analysis/` that compare latents, their texts, models and runs.

By hand on a few rows, and against plain Python on random ones.
"""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import TABLES
from tests.parts.hand_built import (
    HOOKPOINT,
    PLACE,
    WRITTEN,
    Row,
    add,
    answers,
    explanation,
    latent,
    publish,
)

GOOD, MIDDLING, BAD = (True, True), (True, False), (False, False)


def judged(explanation_id: str, index: int, hits: tuple[bool, bool], **columns: Any) -> list[Row]:
    """Two true windows answered so, two false ones answered right: accuracy 1, 0.75 or 0.5."""
    scorer, model = (str(columns.pop(key, held)) for key, held in
                     (("scorer", "detection"), ("model", "lexical")))  # fmt: skip
    given = [*((True, hit) for hit in hits), (False, False), (False, False)]
    return answers(explanation_id, index, given, scorer, model, **columns)


def found(lake: Lake, name: str, **parameters: object) -> list[Row]:
    with connect(lake) as con:
        rows: list[Row] = query(con, f"analysis/{name}", **{**PLACE, **parameters}).to_pylist()  # type: ignore[arg-type]
    return rows


def columns_of(rows: list[Row], *names: str) -> list[tuple[object, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_alike_explanations(tmp_path: Path) -> None:
    """Case, order and punctuation make no difference, words and models do."""
    lake = Lake(tmp_path)
    texts = ["Python: the `def` keyword", "the keyword def (python)", "Def keyword", "!?", "..."]
    rows = [explanation(f"e{i}", i, text) for i, text in enumerate(texts)]
    rows += [explanation("g", 9, texts[0], "gpt"), explanation("h", 8, None, failure="late")]
    add(lake, "explanations", rows)
    names = ("explanation", "n_texts", "n_latents", "latents")
    assert columns_of(found(lake, "alike_explanations", n_rows=5), *names) == [
        (texts[0], 2, 2, [0, 1])
    ]


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", text.lower()))


def random_texts(seed: int, n: int) -> list[str]:
    rng = np.random.default_rng(seed)
    marks = np.array([" ", ", ", " - "])
    return [
        str(rng.choice(marks)).join(
            str(word).title() if rng.random() < 0.5 else str(word)
            for word in rng.choice(["a", "b", "c", "d"], rng.integers(1, 4))
        )
        for _ in range(n)
    ]


def test_alike_explanations_agrees_with_sets(tmp_path: Path) -> None:
    lake, texts = Lake(tmp_path), random_texts(0, 40)
    add(lake, "explanations", [explanation(f"e{i}", i, text) for i, text in enumerate(texts)])
    groups: dict[frozenset[str], list[int]] = {}
    for i, text in enumerate(texts):
        groups.setdefault(words(text), []).append(i)
    expected = sorted(group for group in groups.values() if len(group) > 1)
    assert (
        sorted(row["latents"] for row in found(lake, "alike_explanations", n_rows=99)) == expected
    )


def near(index: int, neighbour: int, rank: int, similarity: float) -> Row:
    return {"latent": index, "neighbour": neighbour, "rank": rank, "similarity": similarity}


def test_neighbours_alike(tmp_path: Path) -> None:
    """2 of 4 words in both; the pair that is in the table twice is there once, as most similar."""
    lake = Lake(tmp_path)
    texts = ["the keyword def", "The keyword class", "digits", "digits", None]
    add(
        lake,
        "explanations",
        [
            explanation(f"e{i}", i, text, failure=None if text else "late")
            for i, text in enumerate(texts)
        ],
    )
    rows = [near(0, 1, 1, 0.5), near(1, 0, 3, 0.75), near(2, 3, 11, 0.9), near(0, 4, 2, 0.9)]
    publish(lake, "neighbours", rows, method="decoder")
    names = ("latent", "neighbour", "method", "similarity", "words_alike", "neighbour_explanation")
    assert columns_of(found(lake, "neighbours_alike", n_rows=5), *names) == [
        (0, 1, "decoder", 0.75, 0.5, "The keyword class")
    ]


def test_neighbours_alike_agrees_with_sets(tmp_path: Path) -> None:
    lake, texts = Lake(tmp_path), random_texts(1, 12)
    add(lake, "explanations", [explanation(f"e{i}", i, text) for i, text in enumerate(texts)])
    rng = np.random.default_rng(1)
    pairs = [pair for pair in combinations(range(12), 2) if rng.random() < 0.3]
    publish(lake, "neighbours", [near(*pair, 1, 0.5) for pair in pairs], method="decoder")
    shown = found(lake, "neighbours_alike", n_rows=99)
    assert {(row["latent"], row["neighbour"]): row["words_alike"] for row in shown} == {
        (i, j): len(words(texts[i]) & words(texts[j])) / len(words(texts[i]) | words(texts[j]))
        for i, j in pairs
    }
    alike = [float(str(row["words_alike"])) for row in shown]
    assert alike == sorted(alike, reverse=True)


def test_positional_latents(tmp_path: Path) -> None:
    """-0.25 with 48 activations is 6 errors away, 0.1 with 12 only 1.2; one fires on firsts."""
    lake = Lake(tmp_path)
    rows = [
        latent(0, {"a": 1.0}, n_activations=48, position_bias=-0.25, first_token_share=0.1),
        latent(1, {"b": 1.0}, n_activations=12, position_bias=0.1, first_token_share=0.0),
        latent(2, {"c": 1.0}, n_activations=3, position_bias=-0.45, first_token_share=0.5),
        latent(3, {}, n_activations=0),
    ]
    publish(lake, "latents", rows)
    add(lake, "explanations", [explanation("e", 0, "early")])
    names = ("latent", "standard_errors", "top_token", "explanation")
    assert columns_of(found(lake, "positional_latents", n_rows=5), *names) == [
        (2, pytest.approx(-2.7), "c", None),
        (0, pytest.approx(-6), "a", "early"),
    ]


def test_positional_latents_of_random_places(tmp_path: Path) -> None:
    """The standard error is that of the mean of uniform places."""
    rng = np.random.default_rng(6)
    means = rng.random((2_000, 30)).mean(axis=1) - 0.5
    lake = Lake(tmp_path)
    rows = [
        latent(i, {}, n_activations=30, position_bias=float(bias)) for i, bias in enumerate(means)
    ]
    publish(lake, "latents", rows)
    shown = found(lake, "positional_latents", n_rows=2_000)
    # 0.27% of a normal distribution is three errors away.
    assert len(shown) < 20
    known = np.flatnonzero(np.abs(means) >= 3 / np.sqrt(12 * 30))
    assert {row["latent"] for row in shown} == set(known.tolist())


def test_never_explained(tmp_path: Path) -> None:
    """Failed wins over rare: it was asked. The last failure is the reason."""
    lake = Lake(tmp_path)
    rows = [
        latent(0, {"a": 1.0}, n_activations=5, n_windows=4),
        latent(1, {"b": 1.0}, n_activations=9, n_windows=3),
        latent(2, {"c": 1.0}, n_activations=9, n_windows=2),
        latent(3, {}, n_activations=0, n_windows=0, reason="dead"),
        latent(4, {}, n_activations=70, n_windows=60),
        latent(5, {"d": 1.0}, n_activations=4, n_windows=3),
    ]
    publish(lake, "latents", rows)
    told = {
        0: "too_few_windows",
        1: "eligible",
        2: "too_few_windows",
        3: "dead",
        5: "too_few_windows",
    }
    for selection, codes in {
        "default": told,
        "other": {0: "eligible", 2: "too_few_windows"},
    }.items():
        rows = [{"latent": i, "code": code, "min_examples": 4} for i, code in codes.items()]
        publish(lake, "eligibility", rows, selection=selection)
    add(
        lake,
        "explanations",
        [
            explanation("a", 0, None, "gpt", failure="early"),
            explanation("b", 0, None, "gpt", failure="late", written_at=WRITTEN.replace(day=2)),
            explanation("c", 4, None, "gpt", failure="once"),
            explanation("d", 4, "said", "gpt"),
        ],
    )
    names = ("latent", "why", "n_latents", "reason", "n_activations", "top_token")
    assert columns_of(found(lake, "never_explained", n_rows=9), *names) == [
        (1, "not asked", 1, None, 9, "b"),
        (2, "too rare", 2, "too_few_windows", 9, "c"),
        (0, "failed", 1, "late", 5, "a"),
        (5, "too rare", 2, "too_few_windows", 4, "d"),
        (3, "never fires", 1, "dead", 0, None),
    ]


def test_never_explained_and_explained_are_all(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    lake, has = Lake(tmp_path), rng.random(30) < 0.5
    publish(
        lake, "latents", [latent(i, {}, n_activations=int(rng.integers(0, 3))) for i in range(30)]
    )
    add(lake, "explanations", [explanation(f"e{i}", i, "x") for i in np.flatnonzero(has).tolist()])
    missing = [row["latent"] for row in found(lake, "never_explained", n_rows=99)]
    assert sorted(missing) == np.flatnonzero(~has).tolist()  # type: ignore[type-var]


def test_explained_by_tokens(tmp_path: Path) -> None:
    """Latent 0: counting 1, the better LLM 0.75; latent 1: 0.75, no LLM; 2 not by counting."""
    lake = Lake(tmp_path)
    rows = [
        latent(0, {" def": 0.9, " class": 0.1}, n_tokens_80=1),
        latent(1, {" a": 0.5}, n_tokens_80=4),
        latent(2, {}, n_tokens_80=4),
    ]
    publish(lake, "latents", rows)
    add(
        lake,
        "explanations",
        [
            explanation("c0", 0, "counted"), explanation("c1", 1, "counted"),
            explanation("c2", 2, "counted"), explanation("g0", 0, "good", "gpt"),
            explanation("h0", 0, "bad", "other"),
        ],
    )  # fmt: skip
    embedded = [(True, 0.9), (True, 0.1), (False, 0.5)]
    add(
        lake,
        "predictions",
        [
            *judged("c0", 0, GOOD), *judged("c1", 1, MIDDLING), *judged("c2", 2, GOOD, model="gpt"),
            *judged("g0", 0, MIDDLING, model="gpt"), *judged("h0", 0, BAD, model="gpt"),
            *judged("g0", 0, GOOD, model="gpt", control="shuffled"),
            *answers("g0", 0, embedded, "embedding", "encoder"),
        ],
    )  # fmt: skip
    names = (
        "latent", "n_tokens_80", "top_tokens", "lexical", "llm", "llm_judge", "gained",
        "llm_explanation", "embedding_auroc",
    )  # fmt: skip
    assert columns_of(found(lake, "explained_by_tokens", scorer="detection", n_rows=9), *names) == [
        (0, 1, [" def", " class"], 1.0, 0.75, "gpt", -0.25, "good", 0.5),
        (1, 4, [" a"], 0.75, None, None, None, None, None),
    ]


def test_explained_by_tokens_agrees_with_a_loop(tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    lake = Lake(tmp_path)
    publish(lake, "latents", [latent(i, {}, n_tokens_80=1) for i in range(12)])
    models = ("lexical", "m1", "m2")
    add(
        lake,
        "explanations",
        [explanation(f"{model}{i}", i, model, model) for i in range(12) for model in models],
    )
    hits = {(model, i): rng.random(8) < 0.6 for i in range(12) for model in models}
    rows = [
        row
        for (model, i), given in hits.items()
        for row in answers(
            f"{model}{i}", i, [*((True, bool(hit)) for hit in given), (False, False)],
            model="lexical" if model == "lexical" else "judge",
        )
    ]  # fmt: skip
    add(lake, "predictions", rows)
    score = {key: (given.mean() + 1) / 2 for key, given in hits.items()}
    shown = found(lake, "explained_by_tokens", scorer="detection", n_rows=99)
    assert {row["latent"]: (row["lexical"], row["llm"]) for row in shown} == {
        i: (
            pytest.approx(score["lexical", i]),
            pytest.approx(max(score["m1", i], score["m2", i])),
        )
        for i in range(12)
    }


COST_COLUMNS = (
    "n_latents", "score", "other_score", "gained", "cost_per_latent", "other_cost_per_latent",
    "n_unpriced", "dollars_per_hundredth",
)  # fmt: skip


def test_cost_against_score(tmp_path: Path) -> None:
    """Two latents by both: 0.625 for 2 cents, 0.875 for 12 cents with the call that failed."""
    lake = Lake(tmp_path)
    texts = [
        explanation("a0", 0, "x", "a", request="ra0"),
        explanation("a1", 1, "x", "a", request="ra1", quick_request="qa1"),
        explanation("a2", 2, "x", "a", request="ra2"),
        explanation("b0", 0, "x", "b", request="rb0"),
        explanation("b1", 1, "x", "b", request="rb1"),
        explanation("c1", 1, None, "b", request="rc1", failure="refused"),
    ]
    add(lake, "explanations", texts)
    costs = {
        "ra0": 0.01,
        "ra1": 0.02,
        "qa1": 0.01,
        "ra2": 9.0,
        "rb0": 0.1,
        "rb1": None,
        "rc1": 0.14,
    }
    rows = [
        {"request": name, "model": "m", "cost": cost, "written_at": WRITTEN}
        for name, cost in costs.items()
    ]
    add(lake, "completions", rows)
    add(
        lake,
        "predictions",
        [
            *judged("a0", 0, BAD, model="j"), *judged("a1", 1, MIDDLING, model="j"),
            *judged("a2", 2, GOOD, model="j"), *judged("b0", 0, GOOD, model="j"),
            *judged("b1", 1, MIDDLING, model="j"),
        ],
    )  # fmt: skip
    (row,) = found(lake, "cost_against_score", scorer="detection", model="a", other_model="b")
    assert columns_of([row], *COST_COLUMNS) == [
        (2, 0.625, 0.875, 0.25, pytest.approx(0.02), pytest.approx(0.12), 1, pytest.approx(0.004))
    ]
    (back,) = found(lake, "cost_against_score", scorer="detection", model="b", other_model="a")
    assert (back["gained"], back["dollars_per_hundredth"]) == (-0.25, None)


def test_cost_against_score_agrees_with_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    lake = Lake(tmp_path)
    costs, hits = rng.random((2, 20)), rng.random((2, 20, 8)) < 0.6
    texts, calls, given = [], [], []
    for number, model in enumerate("ab"):
        for i in range(20):
            name = f"{model}{i}"
            texts.append(explanation(name, i, "x", model, request=name))
            calls.append({"request": name, "cost": float(costs[number, i]), "written_at": WRITTEN})
            said = [*((True, bool(hit)) for hit in hits[number, i]), (False, False)]
            given += answers(name, i, said, model="j")
    add(lake, "explanations", texts)
    add(lake, "completions", calls)
    add(lake, "predictions", given)
    (row,) = found(lake, "cost_against_score", scorer="detection", model="a", other_model="b")
    score = (hits.mean(axis=2) + 1) / 2
    difference = score[1] - score[0]
    half = 2.093 * difference.std(ddof=1) / np.sqrt(20)
    assert row["gained"] == pytest.approx(difference.mean())
    assert row["gained_high"] == pytest.approx(difference.mean() + half, rel=1e-3)
    assert row["other_cost_per_latent"] == pytest.approx(costs[1].mean())


def put(lake: Lake, run: str, table: str, rows: list[Row]) -> None:
    """Add rows to a growing table of another run than the usual one."""
    schema = TABLES[table]
    full = [{name: row.get(name) for name in schema.arrow.names} for row in rows]
    lake.append(schema, {"run": run, "hookpoint": HOOKPOINT}, schema.from_rows(full))


def test_runs_compared(tmp_path: Path) -> None:
    """Latent 0 got another text and lost 0.25 of its last judgement, 1 stayed, 2 is in one run."""
    lake = Lake(tmp_path)
    for run, n in (("one", 5), ("two", 7)):
        publish(lake, "latents", [latent(i, {}, n_activations=n) for i in range(3)], run=run)
    later = WRITTEN.replace(day=2)
    one = [explanation("a0", 0, "old"), explanation("a1", 1, "same"), explanation("a2", 2, "gone")]
    two = [explanation("b0", 0, "new"), explanation("b1", 1, "same")]
    put(lake, "one", "explanations", one)
    put(lake, "two", "explanations", two)
    asked_again = judged("a0", 0, GOOD, judge_hash="again", written_at=later)
    put(lake, "one", "predictions", [*judged("a0", 0, BAD), *asked_again, *judged("a1", 1, BAD)])
    put(lake, "two", "predictions", [*judged("b0", 0, MIDDLING), *judged("b1", 1, BAD)])
    names = (
        "latent", "score", "other_score", "gained", "changed", "explanation", "other_explanation",
        "n_activations", "other_n_activations",
    )  # fmt: skip
    rows = found(lake, "runs_compared", run="one", other_run="two", scorer="detection", n_rows=9)
    assert columns_of(rows, *names) == [
        (0, 1.0, 0.75, -0.25, True, "old", "new", 5, 7),
        (1, 0.5, 0.5, 0.0, False, "same", "same", 5, 7),
        (2, None, None, None, True, "gone", None, 5, 7),
    ]


def test_runs_compared_agrees_with_dictionaries(tmp_path: Path) -> None:
    rng = np.random.default_rng(13)
    lake = Lake(tmp_path)
    held: dict[str, dict[int, float]] = {"one": {}, "two": {}}
    for run, scores in held.items():
        for i in np.flatnonzero(rng.random(30) < 0.7).tolist():
            hits = (rng.random(8) < 0.5).tolist()
            scores[i] = (np.mean(hits) + 1) / 2
            put(lake, run, "explanations", [explanation(f"{run}{i}", i, f"text {i % 3}")])
            given = [*((True, hit) for hit in hits), (False, False)]
            put(lake, run, "predictions", answers(f"{run}{i}", i, given))
    rows = found(lake, "runs_compared", run="one", other_run="two", scorer="detection", n_rows=99)
    assert {row["latent"]: (row["score"], row["other_score"]) for row in rows} == {
        i: (held["one"].get(i), held["two"].get(i)) for i in held["one"].keys() | held["two"].keys()
    }
    gains = [abs(float(str(row["gained"]))) for row in rows if row["gained"] is not None]
    assert gains == sorted(gains, reverse=True)
