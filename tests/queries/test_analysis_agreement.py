"""Statements of `sql/analysis/` that compare scorers, judges and probabilities.

By hand on a few answers, and against scipy and scikit-learn on random ones.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from tests.parts.hand_built import PLACE, Row, add, answers, explanation

TRUTHS = (True, True, False, False)


def judged(explanation_id: str, index: int, verdicts: str, **columns: Any) -> list[Row]:
    """Answers on two true and two false windows; `verdicts` is y or n for each."""
    scorer, model = (str(columns.pop(key, held)) for key, held in
                     (("scorer", "detection"), ("model", "lexical")))  # fmt: skip
    given = zip(TRUTHS, (verdict == "y" for verdict in verdicts), strict=True)
    return answers(explanation_id, index, given, scorer, model, **columns)


def found(lake: Lake, name: str, **parameters: object) -> list[Row]:
    with connect(lake) as con:
        rows: list[Row] = query(con, f"analysis/{name}", **PLACE, **parameters).to_pylist()  # type: ignore[arg-type]
    return rows


def columns_of(rows: list[Row], *names: str) -> list[tuple[object, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def scored(tmp_path: Path) -> Lake:
    """Detection gives four latents 1, 0.75, 0.5, 0; fuzz 1, 0.5, 0.75, 0; another floor counts not.

    A scorer without an explanation gives two of them 1 and 0.
    """
    lake = Lake(tmp_path)
    add(lake, "explanations", [explanation(f"e{i}", i, f"text {i}") for i in range(4)])
    detection, fuzz = ("yynn", "ynnn", "nnnn", "nnyy"), ("yynn", "nnnn", "ynnn", "nnyy")
    rows = []
    for i in range(4):
        rows += judged(f"e{i}", i, detection[i]) + judged(f"e{i}", i, fuzz[i], scorer="fuzz")
        rows += judged(f"e{i}", i, "nnyy", scorer="fuzz", control="shuffled")
    for i, given in ((0, "yynn"), (3, "nnyy")):
        rows += judged("none", i, given, scorer="intruder")
    add(lake, "predictions", rows)
    return lake


def test_agreement_of_scorers(tmp_path: Path) -> None:
    """Ranks 4, 3, 2, 1 and 4, 2, 3, 1: 1 - 6 * 2 / 60 = 0.8. Without explanation: two latents."""
    rows = found(scored(tmp_path), "agreement_of_scorers")
    names = ("scorer", "other_scorer", "metric", "n_explanations", "rank_correlation")
    assert columns_of(rows, *names) == [
        ("detection", "fuzz", "balanced_accuracy", 4, pytest.approx(0.8)),
        ("detection", "intruder", "balanced_accuracy", 2, pytest.approx(1)),
        ("fuzz", "intruder", "balanced_accuracy", 2, pytest.approx(1)),
    ]
    # atanh(0.8) = 1.0986, error sqrt(1 + 0.64 / 2) = 1.149.
    half = stats.norm.ppf(0.975) * np.sqrt(1.32)
    assert rows[0]["rank_correlation_low"] == pytest.approx(np.tanh(np.arctanh(0.8) - half))
    assert rows[0]["rank_correlation_high"] == pytest.approx(np.tanh(np.arctanh(0.8) + half))
    assert rows[1]["rank_correlation_low"] is None


def test_a_scorer_that_tells_nothing_apart_has_no_correlation(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = [row for i in range(3) for row in judged(f"e{i}", i, "nnnn")]
    rows += [
        row for i in range(3) for row in judged(f"e{i}", i, "yynn"[i:] + "nnn"[:i], scorer="fuzz")
    ]
    add(lake, "predictions", rows)
    assert columns_of(
        found(lake, "agreement_of_scorers"), "n_explanations", "rank_correlation"
    ) == [(3, None)]


def test_agreement_of_scorers_agrees_with_scipy(tmp_path: Path) -> None:
    """Sixty latents, scores with many ties, and one scorer that only ranks."""
    rng = np.random.default_rng(3)
    lake = Lake(tmp_path)
    hits = {scorer: rng.integers(0, 5, 60) for scorer in ("detection", "fuzz")}
    rows = []
    for scorer, of_latents in hits.items():
        for i, right in enumerate(of_latents):
            given = [(True, place < right) for place in range(4)] + [(False, False)]
            rows += answers(f"e{i}", i, given, scorer)
    values = rng.integers(0, 4, (60, 6)) / 4
    for i, of_latent in enumerate(values):
        given = [(place < 3, float(value)) for place, value in enumerate(of_latent)]
        rows += [
            {**row, "prediction": None, "probability": None, "value": row["probability"]}
            for row in answers(f"e{i}", i, given, "surprisal")
        ]
    add(lake, "predictions", rows)
    auroc = [
        np.mean([(t > f) + (t == f) / 2 for t in of_latent[:3] for f in of_latent[3:]])
        for of_latent in values
    ]
    known = {**hits, "surprisal": np.array(auroc)}
    shown = found(lake, "agreement_of_scorers")
    assert len(shown) == 3
    for row in shown:
        one, other = known[str(row["scorer"])], known[str(row["other_scorer"])]
        expected = stats.spearmanr(one, other).statistic
        assert row["rank_correlation"] == pytest.approx(expected, abs=1e-9)


def test_scorers_disagree(tmp_path: Path) -> None:
    """Latent 1 is second of four by detection and third by fuzz, latent 2 the other way round."""
    lake = scored(tmp_path)
    rows = found(lake, "scorers_disagree", scorer="detection", other_scorer="fuzz", n_rows=3)
    names = ("latent", "score", "other_score", "place", "other_place", "difference", "explanation")
    third, two_thirds = pytest.approx(1 / 3), pytest.approx(2 / 3)
    assert columns_of(rows, *names) == [
        (1, 0.75, 0.5, two_thirds, third, third, "text 1"),
        (2, 0.5, 0.75, third, two_thirds, pytest.approx(-1 / 3), "text 2"),
        (0, 1.0, 1.0, 1.0, 1.0, 0.0, "text 0"),
    ]
    rows = found(lake, "scorers_disagree", scorer="intruder", other_scorer="fuzz", n_rows=9)
    assert columns_of(rows, "latent", "explanation", "difference") == [
        (0, "text 0", 0.0), (3, "text 3", 0.0),
    ]  # fmt: skip


def test_scorers_disagree_agrees_with_a_sort(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    lake = Lake(tmp_path)
    hits = rng.integers(0, 11, (2, 25))
    rows = [
        row
        for scorer, of_latents in zip(("detection", "fuzz"), hits, strict=True)
        for i, right in enumerate(of_latents)
        for row in answers(
            f"e{i}", i, [*((True, n < right) for n in range(10)), (False, False)], scorer
        )
    ]
    add(lake, "predictions", rows)
    below = [(held[:, None] > held[None, :]).sum(axis=1) / 24 for held in hits]
    difference = below[0] - below[1]
    order = sorted(range(25), key=lambda i: (-abs(difference[i]), i))
    shown = found(lake, "scorers_disagree", scorer="detection", other_scorer="fuzz", n_rows=25)
    # Equal distances may differ in the last bit.
    assert [abs(float(str(row["difference"]))) for row in shown] == pytest.approx(
        [abs(difference[i]) for i in order]
    )
    assert {row["latent"]: row["difference"] for row in shown} == pytest.approx(
        dict(enumerate(difference))
    )


def test_agreement_of_judges(tmp_path: Path) -> None:
    """Eight windows: six equal; the first says yes to 4, the second to 4: chance 1/2, kappa 1/2."""
    lake = Lake(tmp_path)
    rows = [
        *judged("e0", 0, "yynn", model="a"), *judged("e1", 1, "nnyy", model="a"),
        *judged("e0", 0, "yynn", model="b"), *judged("e1", 1, "ynny", model="b"),
        *answers("e0", 0, [(True, "late")], "detection", "c"),
        *judged("e0", 0, "yyyy", model="b", control="shuffled"),
        *judged("e2", 2, "yyyy", model="b"),
    ]  # fmt: skip
    add(lake, "predictions", rows)
    (row,) = found(lake, "agreement_of_judges")
    assert columns_of(
        [row], "scorer", "judge", "other_judge", "n_latents", "n_answers", "agreement", "kappa",
        "share_right", "other_share_right", "share_both_wrong",
    ) == [("detection", "a", "b", 2, 8, 0.75, 0.5, 0.5, 0.75, 0.25)]  # fmt: skip


def test_agreement_of_judges_agrees_with_scikit_learn(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lake = Lake(tmp_path)
    truth = rng.random((20, 10)) < 0.5
    said = {name: rng.random((20, 10)) < 0.3 + 0.4 * truth for name in "abc"}
    add(
        lake,
        "predictions",
        [
            row
            for name, given in said.items()
            for i in range(20)
            for row in answers(
                f"e{i}",
                i,
                list(zip(truth[i].tolist(), given[i].tolist(), strict=True)),
                model=name,
            )
        ],
    )
    rows = found(lake, "agreement_of_judges")
    assert columns_of(rows, "judge", "other_judge") == [("a", "b"), ("a", "c"), ("b", "c")]
    for row in rows:
        one, other = (said[str(row[key])] for key in ("judge", "other_judge"))
        assert row["kappa"] == pytest.approx(cohen_kappa_score(one.ravel(), other.ravel()))
        assert row["share_both_wrong"] == pytest.approx(((one != truth) & (other != truth)).mean())


def test_calibration(tmp_path: Path) -> None:
    """0.9 and 1.0 are one bin; 2 of 3 there are true, none of 1 at 0.25: (3 * 0.267 + 0.25) / 4."""
    lake = Lake(tmp_path)
    add(
        lake,
        "predictions",
        [
            *answers("e", 0, [(True, 0.9), (True, 1.0), (False, 0.25), (True, "late")]),
            *answers("e", 1, [(False, 0.9)]),
            *answers("e", 0, [(True, 0.3)], control="shuffled"),
            *answers("e", 0, [(True, 0.3)], "discrimination", chance=0.2),
            *answers("e", 0, [(True, True)], model="gpt"),
        ],
    )
    names = (
        "scorer", "probability_from", "probability_to", "n_latents", "n_answers",
        "mean_probability", "share_true", "calibration_error",
    )  # fmt: skip
    mean = 2.8 / 3
    error = pytest.approx((3 * (mean - 2 / 3) + 0.25) / 4)
    rows = found(lake, "calibration")
    assert columns_of(rows, *names) == [
        ("detection", 0.2, 0.3, 1, 1, 0.25, 0.0, error),
        ("detection", 0.9, 1.0, 2, 3, pytest.approx(mean), pytest.approx(2 / 3), error),
    ]
    assert rows[0]["share_true_low"] is None
    assert 0 < float(str(rows[1]["share_true_low"])) < 2 / 3


def test_calibration_agrees_with_numpy(tmp_path: Path) -> None:
    """One answer a latent: the interval is then about Wilson's of so many answers."""
    rng = np.random.default_rng(4)
    probability, lake = np.round(rng.random(400), 3), Lake(tmp_path)
    truth = rng.random(400) < probability**2
    rows = [
        row
        for i, (true, held) in enumerate(zip(truth.tolist(), probability.tolist(), strict=True))
        for row in answers("e", i, [(true, held)])
    ]
    add(lake, "predictions", rows)
    bins = np.minimum(9, np.floor(10 * probability)).astype(int)
    error = 0.0
    shown = found(lake, "calibration")
    assert len(shown) == 10
    for number, row in enumerate(shown):
        inside = bins == number
        assert row["n_answers"] == inside.sum()
        assert row["mean_probability"] == pytest.approx(probability[inside].mean())
        assert row["share_true"] == pytest.approx(truth[inside].mean())
        error += abs(probability[inside].mean() - truth[inside].mean()) * inside.mean()
        if 0 < truth[inside].mean() < 1:
            wilson = stats.binomtest(int(truth[inside].sum()), int(inside.sum())).proportion_ci(
                method="wilson"
            )
            assert row["share_true_low"] == pytest.approx(wilson.low, abs=0.01)
    assert shown[0]["calibration_error"] == pytest.approx(error)


def test_strong_only(tmp_path: Path) -> None:
    """Latent 0 drops from 1 to 0.5, latent 1 rises by 0.5, latent 2 has one rank bin only."""
    lake = Lake(tmp_path)
    add(lake, "explanations", [explanation(f"e{i}", i, f"text {i}") for i in range(3)])
    given: dict[int, list[tuple[int, bool | str]]] = {
        0: [(0, True), (0, True), (1, False), (4, True), (4, False), (4, "late")],
        1: [(0, True), (0, False), (4, True)],
        2: [(0, True)],
    }
    rows = [
        {**row, "quantile": quantile}
        for i, of_latent in given.items()
        for (quantile, _), row in zip(
            of_latent, answers(f"e{i}", i, [(True, said) for _, said in of_latent]), strict=True
        )
    ]
    add(lake, "predictions", [*rows, *answers("e0", 0, [(False, False)], scorer="fuzz")])
    names = (
        "latent", "strongest", "n_strongest", "weakest", "n_weakest", "drop_to_weakest",
        "explanation",
    )  # fmt: skip
    assert columns_of(found(lake, "strong_only", scorer="detection", n_rows=5), *names) == [
        (0, 1.0, 2, 0.5, 2, 0.5, "text 0"),
        (1, 0.5, 2, 1.0, 1, -0.5, "text 1"),
    ]


def test_strong_only_agrees_with_a_loop(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    lake = Lake(tmp_path)
    add(lake, "explanations", [explanation(f"e{i}", i, "x") for i in range(15)])
    said = rng.random((15, 5, 4)) < 0.6
    rows = [
        {**row, "quantile": number // 4}
        for i in range(15)
        for number, row in enumerate(
            answers(f"e{i}", i, [(True, bool(one)) for one in said[i].ravel()])
        )
    ]
    add(lake, "predictions", rows)
    drop = said[:, 0].mean(axis=1) - said[:, 4].mean(axis=1)
    shown = found(lake, "strong_only", scorer="detection", n_rows=15)
    assert columns_of(shown, "latent", "drop_to_weakest") == [
        (i, pytest.approx(drop[i])) for i in sorted(range(15), key=lambda i: (-drop[i], i))
    ]
