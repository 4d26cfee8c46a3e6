"""The 95% intervals of `scores`: against scipy, against their formulas, and how often they hold.

The coverage tests draw a thousand explanations with a known true score, and count how often the
interval holds it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from tests.computed_scores import computed
from tests.hand_built import Row, answers

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
    """Precision, recall, specificity and accuracy, some of them 0 or 1."""
    hits, misses, alarms, silent = counts
    row = of_counts(*counts)
    shares = {
        "precision": (hits, hits + alarms),
        "recall": (hits, hits + misses),
        "specificity": (silent, alarms + silent),
        "accuracy": (hits + silent, sum(counts)),
    }
    for metric, share in shares.items():
        assert interval(row, metric) == pytest.approx(wilson(*share), abs=1e-9), metric


def test_balanced_accuracy_and_f1_by_hand() -> None:
    """Newcombe's sum of two Wilson intervals; Wilson's of 9 of 14, as 2 j / (1 + j)."""
    row = of_counts(9, 3, 2, 14)
    (recall_low, recall_high), (silent_low, silent_high) = wilson(9, 12), wilson(14, 16)
    below = np.hypot(9 / 12 - recall_low, 14 / 16 - silent_low) / 2
    above = np.hypot(recall_high - 9 / 12, silent_high - 14 / 16) / 2
    middle = (9 / 12 + 14 / 16) / 2
    assert row["balanced_accuracy"] == pytest.approx(middle)
    assert interval(row, "balanced_accuracy") == pytest.approx((middle - below, middle + above))
    assert row["f1"] == pytest.approx(18 / 23)
    expected = [2 * end / (1 + end) for end in wilson(9, 14)]
    assert interval(row, "f1") == pytest.approx(tuple(expected), abs=1e-9)


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


def coverage(low: Floats, high: Floats, truth: float) -> float:
    """Share of the intervals that hold `truth`."""
    return float(np.mean((low <= truth + 1e-12) & (truth <= high + 1e-12)))


@pytest.mark.parametrize(("distance", "bounds"), [(0.0, (0.93, 0.98)), (1.5, (0.93, 0.99))])
def test_auroc_interval_holds_the_truth(distance: float, bounds: tuple[float, float]) -> None:
    """Normal answers `distance` standard deviations apart, 20 true and 20 false."""
    rng = np.random.default_rng(1)
    found = Ranked(rng.normal(distance, 1, (500, 20)), rng.normal(0, 1, (500, 20))).scores()
    truth = float(stats.norm.cdf(distance / np.sqrt(2)))
    assert bounds[0] <= coverage(found["auroc_low"], found["auroc_high"], truth) <= bounds[1]


@pytest.mark.parametrize(("recall", "specificity"), [(0.5, 0.5), (0.9, 0.7), (0.98, 0.95)])
def test_balanced_accuracy_interval_holds_the_truth(recall: float, specificity: float) -> None:
    """Yes and no with these rates, on 20 true and 20 false windows."""
    rng = np.random.default_rng(2)
    true, false = rng.random((500, 20)) < recall, rng.random((500, 20)) >= specificity
    found = Ranked(true.astype(float), false.astype(float)).scores()
    held = coverage(
        found["balanced_accuracy_low"],
        found["balanced_accuracy_high"],
        (recall + specificity) / 2,
    )
    assert 0.92 <= held <= 0.99


def test_a_perfect_ranking_is_not_certain() -> None:
    """Ten of each, all in order: DeLong's variance is 0, the interval is Wilson's of 20 of 20."""
    row = of_counts(10, 0, 0, 10)
    assert row["auroc"] == 1.0
    assert interval(row, "auroc") == pytest.approx(wilson(20, 20))
    assert interval(row, "auprc") == pytest.approx(wilson(10, 10))


def test_students_quantile() -> None:
    """Close to scipy's from three degrees of freedom on; null below two."""
    with computed([]) as con:
        found = con.sql("select df, student95(df) as t from range(1, 60) as degrees(df)").fetchall()
    assert found[0] == (1, None)
    assert found[1][1] == pytest.approx(stats.t.ppf(0.975, 2), rel=0.07)
    for df, quantile in found[2:]:
        assert quantile == pytest.approx(stats.t.ppf(0.975, df), rel=0.01 if df < 6 else 0.001)
