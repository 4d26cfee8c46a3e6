"""The 95% intervals of `scores`: against scipy, against their formulas, and how often they hold.

The coverage tests draw a thousand explanations with a known true score, and count how often the
interval holds it.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from benchmarks.interval_coverage import Case, Simulated, YesNo, coverages
from benchmarks.interval_coverage import Ranked as RankedCase
from tests.parts.computed_scores import computed
from tests.parts.hand_built import Row, answers

Floats = npt.NDArray[np.float64]


def of_counts(hits: int, misses: int, alarms: int, silent: int) -> Row:
    """The row of `scores` with these confusion counts."""
    given = [
        *[(True, 0.9)] * hits,
        *[(True, 0.1)] * misses,
        *[(False, 0.9)] * alarms,
        *[(False, 0.1)] * silent,
    ]
    with computed(answers("e", 0, given)) as con:
        (row,) = con.table("scores").to_arrow_table().to_pylist()
    return row  # type: ignore[no-any-return]


def wilson(right: int, asked: int) -> tuple[float, float]:
    """scipy's interval."""
    found = stats.binomtest(right, asked).proportion_ci(0.95, method="wilson")
    return found.low, found.high


def interval(row: Row, metric: str) -> tuple[object, object]:
    return row[f"{metric}_low"], row[f"{metric}_high"]


@pytest.mark.parametrize("counts", [(9, 3, 2, 14), (20, 0, 0, 20), (0, 5, 4, 0), (1, 49, 0, 50)])
def test_shares_have_wilsons_interval(counts: tuple[int, int, int, int]) -> None:
    """Recall, specificity and accuracy, some of them 0 or 1."""
    hits, misses, alarms, silent = counts
    row = of_counts(*counts)
    shares = {
        "recall": (hits, hits + misses),
        "specificity": (silent, alarms + silent),
        "accuracy": (hits + silent, sum(counts)),
    }
    for metric, share in shares.items():
        assert interval(row, metric) == pytest.approx(wilson(*share), abs=1e-9), metric


def wilson_of(share: float, size: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's interval with an effective sample size."""
    middle = (share + z * z / 2 / size) / (1 + z * z / size)
    half = np.sqrt(share * (1 - share) / size + (z / size / 2) ** 2) * z / (1 + z * z / size)
    return middle - half, middle + half


def test_balanced_accuracy_precision_and_f1_by_hand() -> None:
    """Newcombe's sum of two Wilson intervals; Wilson's with the variance that the rates give."""
    row = of_counts(9, 3, 2, 14)
    (recall_low, recall_high), (silent_low, silent_high) = wilson(9, 12), wilson(14, 16)
    below = np.hypot(9 / 12 - recall_low, 14 / 16 - silent_low) / 2
    above = np.hypot(recall_high - 9 / 12, silent_high - 14 / 16) / 2
    middle = (9 / 12 + 14 / 16) / 2
    assert row["balanced_accuracy"] == pytest.approx(middle)
    assert interval(row, "balanced_accuracy") == pytest.approx((middle - below, middle + above))
    # Of hits and false alarms, by the delta method.
    of_hits, of_alarms = 12 * 9 / 12 * 3 / 12, 16 * 2 / 16 * 14 / 16
    precision = 9 / 11
    variance = (2 / 11**2) ** 2 * of_hits + (9 / 11**2) ** 2 * of_alarms
    size = precision * (1 - precision) / variance
    assert interval(row, "precision") == pytest.approx(wilson_of(precision, size))
    assert row["f1"] == pytest.approx(18 / 23)
    jaccard = 9 / 14
    variance = of_hits / 14**2 + (9 / 14**2) ** 2 * of_alarms
    size = jaccard * (1 - jaccard) / variance
    expected = [2 * end / (1 + end) for end in wilson_of(jaccard, size)]
    assert interval(row, "f1") == pytest.approx(tuple(expected))


def test_precision_and_f1_of_counts_without_variance() -> None:
    """All right; all answered with yes; no hit."""
    row = of_counts(10, 0, 0, 10)
    assert interval(row, "precision") == pytest.approx(wilson(10, 10))
    assert interval(row, "f1") == pytest.approx([2 * end / (1 + end) for end in wilson(10, 10)])
    assert interval(of_counts(10, 0, 10, 0), "precision") == pytest.approx(wilson(10, 20))
    assert interval(of_counts(0, 10, 5, 5), "precision") == pytest.approx(wilson(0, 5))


class Ranked(NamedTuple):
    """Answers about true and about false windows, [explanations, windows]."""

    true: Floats
    false: Floats

    def scores(self) -> dict[str, Floats]:
        """Columns of `scores`, in the order of the explanations."""
        rows = [
            row
            for index, (true, false) in enumerate(zip(self.true, self.false, strict=True))
            for row in answers(
                "e", index, [(True, float(x)) for x in true] + [(False, float(x)) for x in false]
            )
        ]
        with computed(rows) as con:
            return (
                con.table("scores").order("latent").to_arrow_table().to_pandas().to_dict("series")
            )


def delong(true: Floats, false: Floats) -> tuple[float, float]:
    """AUROC and DeLong's variance, from every pair."""
    won = (true[:, None] > false) + (true[:, None] == false) / 2
    variance = won.mean(1).var(ddof=1) / len(true) + won.mean(0).var(ddof=1) / len(false)
    return float(won.mean()), float(variance)


def test_auroc_interval_is_wilsons_with_delongs_variance() -> None:
    """Ties within and across; never wider information than there are answers."""
    rng = np.random.default_rng(0)
    drawn = Ranked(
        rng.integers(1, 9, (50, 7)).astype(float), rng.integers(0, 7, (50, 11)).astype(float)
    )
    found = drawn.scores()
    for index, (true, false) in enumerate(zip(drawn.true, drawn.false, strict=True)):
        auroc, variance = delong(true, false)
        size = min(18.0, auroc * (1 - auroc) / variance) if variance > 0 else 18.0
        z = stats.norm.ppf(0.975)
        middle = (auroc + z * z / 2 / size) / (1 + z * z / size)
        half = np.sqrt(auroc * (1 - auroc) / size + (z / size / 2) ** 2) * z / (1 + z * z / size)
        ends = (found["auroc_low"][index], found["auroc_high"][index])
        assert found["auroc"][index] == pytest.approx(auroc)
        assert ends == pytest.approx((middle - half, middle + half), abs=1e-9)


def average_precision(true: Floats, false: Floats) -> float:
    """Precision at each true answer, ties with it included."""
    return float(
        np.mean([(true >= x).sum() / ((true >= x).sum() + (false >= x).sum()) for x in true])
    )


def test_auprc_interval_is_wilsons_with_the_jackknifes_variance() -> None:
    """Every answer left out in turn; ties within and across."""
    rng = np.random.default_rng(0)
    drawn = Ranked(
        rng.integers(1, 9, (50, 7)).astype(float), rng.integers(0, 7, (50, 11)).astype(float)
    )
    found = drawn.scores()
    for index, (true, false) in enumerate(zip(drawn.true, drawn.false, strict=True)):
        auprc = average_precision(true, false)
        without_true = [average_precision(np.delete(true, i), false) for i in range(7)]
        without_false = [average_precision(true, np.delete(false, i)) for i in range(11)]
        variance = 6 * np.var(without_true) + 10 * np.var(without_false)
        size = min(21.0, 27.0, auprc * (1 - auprc) / float(variance)) if variance > 0 else 21.0
        quantile = stats.t.ppf(0.975, 6)
        ends = (found["auprc_low"][index], found["auprc_high"][index])
        assert found["auprc"][index] == pytest.approx(auprc)
        assert ends == pytest.approx(wilson_of(auprc, size, quantile), abs=1e-3)


def test_auprc_chance_is_the_mean_over_all_orders() -> None:
    """Three true and three false answers, two of them tied, dealt in every way."""
    answered = np.array([0.1, 0.4, 0.4, 0.6, 0.8, 0.9])
    dealt = [
        average_precision(answered[list(order[:3])], answered[list(order[3:])])
        for order in permutations(range(6))
    ]
    found = Ranked(answered[None, :3], answered[None, 3:]).scores()
    assert found["auprc_chance"][0] == pytest.approx(np.mean(dealt))


def coverage(low: Floats, high: Floats, truth: float) -> float:
    """Share of the intervals that hold `truth`."""
    return float(np.mean((low <= truth + 1e-12) & (truth <= high + 1e-12)))


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """A part of `benchmarks/interval_coverage.py`; docs/scorers.md has all of it."""
    cases: dict[str, Case] = {
        "verdicts": YesNo(0.7, 0.8),
        "chance": RankedCase(0.0, in_tenths=False),
        "ranked": RankedCase(1.5, in_tenths=False),
        "ties": RankedCase(1.0, in_tenths=True),
        "followed": Simulated(0.95, 0.05, 0.4),
        "half followed": Simulated(0.5, 0.3, 0.4),
    }
    for size in (20, 50):
        seen = list(coverages(cases, 400, size))
        assert len(seen) == 6 + 3 * 2 + 2
        for one in seen:
            # Two standard errors of 400 on either side of 0.93 to 0.97.
            assert 0.905 <= one.held <= 0.99, one


def test_a_perfect_ranking_is_not_certain() -> None:
    """Ten of each, all in order: DeLong's variance is 0, the interval is Wilson's of 20 of 20."""
    row = of_counts(10, 0, 0, 10)
    assert row["auroc"] == 1.0
    assert interval(row, "auroc") == pytest.approx(wilson(20, 20))
    quantile = stats.t.ppf(0.975, 9)
    assert interval(row, "auprc") == pytest.approx(wilson_of(1.0, 30, quantile), abs=1e-4)


def test_students_quantile() -> None:
    """Close to scipy's from three degrees of freedom on; null below two."""
    with computed([]) as con:
        found = con.sql("select df, student95(df) as t from range(1, 60) as degrees(df)").fetchall()
    assert found[0] == (1, None)
    assert found[1][1] == pytest.approx(stats.t.ppf(0.975, 2), rel=0.07)
    for df, quantile in found[2:]:
        assert quantile == pytest.approx(stats.t.ppf(0.975, df), rel=0.01 if df < 6 else 0.001)
