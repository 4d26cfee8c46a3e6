"""The view `quantile_scores` and the correlation of simulated activations."""

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from tests.parts.computed_scores import computed
from tests.parts.hand_built import WRITTEN, Row, answers, window

Floats = npt.NDArray[np.float64]


def simulated(
    latent: int, given: list[tuple[int | None, Floats, Floats]]
) -> tuple[list[Row], list[Row]]:
    """Predictions and examples of one latent, from (rank bin, simulated, real) a window."""
    rows = answers("e", latent, [(quantile is not None, True) for quantile, _, _ in given])
    for row, (quantile, expected, _) in zip(rows, given, strict=True):
        row |= {"scorer": "simulation", "prediction": None, "quantile": quantile}
        row["simulated"] = expected.tolist()
    windows = [
        window(latent, example, "test", example * 100, real.tolist())
        for example, (_, _, real) in enumerate(given)
    ]
    return rows, windows


def draw(rng: np.random.Generator, n_windows: int, n_tokens: int) -> tuple[Floats, Floats]:
    """Real activations, and a simulation that errs by window and by token."""
    real = np.maximum(rng.normal(0, 1, (n_windows, n_tokens)) + rng.normal(0, 1, (n_windows, 1)), 0)
    shared = rng.normal(0, 1, (n_windows, 1))
    expected = real + shared + rng.normal(0, 0.5, (n_windows, n_tokens))
    return expected.astype(np.float32).astype(float), real.astype(np.float32).astype(float)


def test_accuracy_by_rank_bin() -> None:
    """Two of three right in bin 0, one failed in bin 3, one silent window wrong."""
    rows = [
        *answers("e", 0, [(True, 0.9), (True, 0.8), (True, 0.2)], quantile=0),
        *answers("e", 0, [(True, "timeout"), (True, 0.7)], quantile=3),
        *answers("e", 0, [(False, 0.6)]),
    ]
    with computed([{**row, "example": i} for i, row in enumerate(rows)]) as con:
        found = con.sql(
            "select quantile, n_examples, n_failed, failed_share, n_right, accuracy, accuracy_low, "
            "accuracy_high from quantile_scores order by quantile nulls last"
        ).fetchall()
    assert [row[:6] for row in found] == [
        (0, 3, 0, 0.0, 2, pytest.approx(2 / 3)),
        (3, 2, 1, 0.5, 1, 1.0),
        (None, 1, 0, 0.0, 0, 0.0),
    ]
    for row, asked in zip(found, (3, 1, 1), strict=True):
        expected = stats.binomtest(row[4], asked).proportion_ci(method="wilson")
        assert row[6:] == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_correlation_by_hand() -> None:
    """Bin 0 exactly alike, bin 1 exactly opposite; laid end to end, 0."""
    up, down = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    rows, windows = simulated(0, [(0, up, up), (1, down, up)])
    with computed(rows, windows) as con:
        (row,) = con.table("scores").to_arrow_table().to_pylist()
        bins = con.sql("select correlation from quantile_scores order by quantile").fetchall()
    assert row["correlation"] == pytest.approx(0.0)
    assert row["correlation_low"] is None
    assert (row["balanced_accuracy"], row["auroc"], row["accuracy"]) == (None, None, None)
    assert bins == [(pytest.approx(1.0),), (pytest.approx(-1.0),)]


def test_negative_activations_are_followed_by_their_magnitude() -> None:
    """A judge says how strongly the latent fires, not in which direction."""
    up = np.array([1.0, 2.0, 3.0])
    rows, windows = simulated(0, [(0, up, -up), (0, up, up)])
    with computed(rows, windows) as con:
        found = con.sql("select correlation from scores").fetchall()
    assert found == [(pytest.approx(1.0),)]


CORRELATION = "correlation, correlation_low, constant_simulation"


def test_a_constant_simulation_counts_as_none_at_all() -> None:
    """A judge that always says the same follows nothing: 0, with a mark, and not left out."""
    up, same = np.array([1.0, 2.0, 4.0]), np.full(3, 0.1)
    rows, windows = simulated(0, [(0, same, up), (1, same, 2 * up), (1, same, up)])
    more, others = simulated(1, [(0, same, up), (1, 2 * same, up), (1, up, up)])
    with computed(rows + more, windows + others) as con:
        overall = con.sql(f"select {CORRELATION} from scores order by latent").fetchall()
        by_bin = con.sql(
            f"select latent, quantile, {CORRELATION} from quantile_scores order by all"
        ).fetchall()
    assert overall[0] == (0.0, None, True)
    assert overall[1][0] > 0
    assert overall[1][2] is False
    assert [row[-1] for row in by_bin] == [True, True, True, False]


def test_nothing_to_follow_gives_no_correlation() -> None:
    """Silent windows alone, where the real activations are all 0; a failure adds no tokens."""
    up, silent = np.array([1.0, 2.0, 4.0]), np.zeros(3)
    rows, windows = simulated(0, [(None, up, silent), (None, silent, silent)])
    more, others = simulated(1, [(0, up, up), (0, -up, up)])
    more[1] |= {"simulated": None, "failure": "timeout"}
    with computed(rows + more, windows + others) as con:
        found = con.sql(f"select {CORRELATION}, n_failed from scores order by latent").fetchall()
    assert found == [(None, None, None, 0), (pytest.approx(1.0), None, False, 1)]


def test_whoever_simulates_is_correlated() -> None:
    """A scorer of one's own, under any name, and of two answers about a window the last."""
    up, down = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    rows, windows = simulated(0, [(0, up, up), (0, up, up)])
    first, _ = simulated(0, [(0, down, up), (0, down, up)])
    for row in first:
        row["written_at"] = WRITTEN - timedelta(days=1)
    with computed([{**row, "scorer": "my_own"} for row in rows + first], windows) as con:
        for view in ("scores", "quantile_scores"):
            found = con.sql(f"select scorer, n_examples, {CORRELATION} from {view}").fetchall()
            assert found == [("my_own", 2, pytest.approx(1.0), None, False)], view


def test_perfect_simulations_correlate_by_one_at_most() -> None:
    """Rounding can lead a correlation beyond 1, and its interval with it to no number."""
    rng = np.random.default_rng(5)
    rows: list[Row] = []
    windows: list[Row] = []
    for latent in range(50):
        drawn = rng.integers(0, 50, (4, 7)).astype(float)
        more = simulated(latent, [(0, 3 * real, real) for real in drawn])
        rows += more[0]
        windows += more[1]
    with computed(rows, windows) as con:
        found = con.sql("select correlation from scores").fetchall()
    assert len(found) == 50
    assert all(1 - 1e-6 < correlation <= 1 for (correlation,) in found)


def test_chance_is_that_of_the_picks_answered() -> None:
    """One of four, one of two, and one of ten that failed; a verdict has none."""
    rows = answers("e", 0, [(True, True), (True, False), (True, "timeout")], "discrimination")
    for row, chance in zip(rows, (0.25, 0.5, 0.1), strict=True):
        row["chance"] = chance
    with computed(rows + answers("e", 0, [(True, True)])) as con:
        for view in ("scores", "quantile_scores"):
            found = con.sql(f"select scorer, chance from {view} order by scorer").fetchall()
            assert found == [("detection", None), ("discrimination", 0.375)], view


def test_correlation_agrees_with_scipy() -> None:
    """Overall and by rank bin, several latents at once, over all tokens laid end to end."""
    rng = np.random.default_rng(3)
    rows: list[Row] = []
    windows: list[Row] = []
    drawn = {}
    for latent in range(4):
        expected, real = drawn[latent] = draw(rng, 12, 5)
        bins = [number % 3 for number in range(12)]
        more = simulated(latent, list(zip(bins, expected, real, strict=True)))
        rows += more[0]
        windows += more[1]
    with computed(rows, windows) as con:
        overall = con.sql("select latent, correlation from scores").fetchall()
        by_bin = con.sql("select latent, quantile, correlation from quantile_scores").fetchall()
    assert (len(overall), len(by_bin)) == (4, 12)
    for latent, correlation in overall:
        expected, real = drawn[latent]
        assert correlation == pytest.approx(stats.pearsonr(expected.ravel(), real.ravel())[0])
    for latent, number, correlation in by_bin:
        expected, real = (side[number::3].ravel() for side in drawn[latent])
        assert correlation == pytest.approx(stats.pearsonr(expected, real)[0])


def test_correlation_interval_is_the_jackknifes() -> None:
    """Every window left out in turn; windows of different lengths."""
    rng = np.random.default_rng(6)
    given = [draw(rng, 1, length) for length in rng.integers(4, 12, 9)]
    rows, windows = simulated(0, [(0, expected[0], real[0]) for expected, real in given])
    with computed(rows, windows) as con:
        [found] = con.sql(
            "select correlation_low, correlation_high, effective_windows from scores"
        ).fetchall()

    def z(kept: list[tuple[Floats, Floats]]) -> float:
        real, told = (np.concatenate([pair[side][0] for pair in kept]) for side in (0, 1))
        return float(np.arctanh(np.corrcoef(real, told)[0, 1]))

    without = np.array([z(given[:i] + given[i + 1 :]) for i in range(9)])
    squares = (without - without.mean()) ** 2
    effective = squares.sum() ** 2 / (squares**2).sum()
    half = stats.t.ppf(0.975, effective) * np.sqrt(squares.sum() * 8 / 9)
    middle = 9 * z(given) - 8 * without.mean()
    assert found[2] == pytest.approx(effective)
    assert found[:2] == pytest.approx(tuple(np.tanh([middle - half, middle + half])), abs=0.03)


def test_a_judge_that_hits_nothing_by_chance_is_not_certain() -> None:
    """No simulated token meets a real one: every window left out gives nearly the same."""
    rows, windows = simulated(
        0,
        [
            (0, np.eye(8)[0], np.eye(8)[5]) if i % 2 else (0, np.eye(8)[2], np.zeros(8))
            for i in range(20)
        ],
    )
    with computed(rows, windows) as con:
        [(low, high)] = con.sql("select correlation_low, correlation_high from scores").fetchall()
    assert low < 0 < high


def test_correlation_interval_holds_the_truth() -> None:
    """Tokens of a window share an error: Fisher's interval over tokens would hold it far less."""
    rng = np.random.default_rng(4)
    told, fired = (side.ravel() for side in draw(rng, 200_000, 8))
    truth = float(np.corrcoef(told, fired)[0, 1])
    rows: list[Row] = []
    windows: list[Row] = []
    naive = []
    for latent in range(300):
        expected, real = draw(rng, 30, 8)
        more = simulated(latent, [(0, *pair) for pair in zip(expected, real, strict=True)])
        rows += more[0]
        windows += more[1]
        ends = stats.pearsonr(expected.ravel(), real.ravel()).confidence_interval()
        naive.append(ends.low <= truth <= ends.high)
    with computed(rows, windows) as con:
        ends = con.sql("select correlation_low, correlation_high from scores").fetchall()
    held = np.mean([low <= truth <= high for low, high in ends])
    assert np.mean(naive) < 0.85
    assert 0.9 <= held <= 0.99
