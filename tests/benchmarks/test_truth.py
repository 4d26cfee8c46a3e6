"""What `truth` counts in Python, by hand and against libraries."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks.parts.shares import wilson
from benchmarks.parts.truth_lake import Known
from benchmarks.parts.truth_matching import second_descriptions
from benchmarks.parts.truth_metrics import Windows, auroc, metrics


def windows(strength: Any, says: Any) -> Windows:
    return Windows(np.array(strength, float), np.array(says, bool))


def test_metrics_by_hand() -> None:
    """Of two windows that fire one is found, of two silent ones too."""
    fires = [[3, 0], [0, 1], [0, 0], [0, 0]]
    says = [[1, 0], [0, 0], [0, 1], [0, 0]]
    found = metrics(windows(fires, says))
    assert found["correlation"] == pytest.approx(np.corrcoef(np.ravel(fires), np.ravel(says))[0, 1])
    assert {name: value for name, value in found.items() if name != "correlation"} == {
        "accuracy": 0.5,
        "balanced_accuracy": 0.5,
        "recall": 0.5,
        "precision": 0.5,
        "f1": 0.5,
        "auroc": 0.5,
        "mass_explained": 0.75 - 0.5,
    }


def test_a_description_that_finds_nothing() -> None:
    found = metrics(windows([[1, 0], [0, 0]], [[0, 0], [0, 0]]))
    assert (found["precision"], found["f1"], found["correlation"]) == (0, 0, 0)
    assert found["balanced_accuracy"] == 0.5


def test_auroc_agrees_with_scipy() -> None:
    draw = np.random.default_rng(0)
    values, truth = draw.integers(0, 4, 60), draw.random(60) < 0.3
    pairs = stats.mannwhitneyu(values[truth], values[~truth]).statistic
    assert auroc(values, truth) == pytest.approx(pairs / (truth.sum() * (~truth).sum()))


@pytest.mark.parametrize(("share", "n"), [(0.0, 5), (0.5, 8), (1.0, 40), (0.25, 100)])
def test_wilson_agrees_with_scipy(share: float, n: int) -> None:
    expected = stats.binomtest(round(share * n), n).proportion_ci(method="wilson")
    assert wilson(share, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_second_descriptions_are_in_other_words() -> None:
    known = [
        Known(0, "token-the", "token", 'The word "the" in lower case.'),
        Known(1, "nowhere", "token", "A predicate that is not shipped."),
    ]
    assert second_descriptions(known) == {0: "Only the text 'the', spelled just like that."}
