"""What each document adds to the scores of latents, and the intervals of means made of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from delphi_assets import connect
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import CONTEXTS
from delphi_assets.scorers.kept_scores import keep_influences, keep_scores
from tests.parts.hand_built import (
    PLACE,
    RUN,
    Row,
    add,
    answers,
    explanation,
    latent,
    publish,
    window,
)

Floats = npt.NDArray[np.float64]
LENGTH = 8


def write_contexts(lake: Lake, documents: list[list[str]]) -> None:
    """Contexts of two windows each; of two documents, the second begins with the second window."""
    rows: list[Row] = [
        {
            "context": context,
            "tokens": [0] * 2 * LENGTH,
            "document_ids": ids,
            "document_starts": [0, LENGTH][: len(ids)],
        }
        for context, ids in enumerate(documents)
    ]
    full = [{name: row.get(name) for name in CONTEXTS.arrow.names} for row in rows]
    unit = Unit("contexts", {"run": RUN, "shard": 0})
    lake.publish(unit, [File(CONTEXTS.from_rows(full))], config={})


def weighted_auprc(truth: Floats, given: Floats, weights: Floats) -> float:
    """Average precision of weighted answers."""
    parts = [
        weights[i] * (weights * truth)[given >= given[i]].sum() / weights[given >= given[i]].sum()
        for i in range(len(truth))
        if truth[i]
    ]
    return float(np.sum(parts) / (weights * truth).sum())


def weighted(truth: Floats, given: Floats, weights: Floats) -> dict[str, float]:
    """Scores of weighted answers."""
    said = given >= 0.5
    hits, alarms = (weights * truth * said).sum(), (weights * (1 - truth) * said).sum()
    true, false = (weights * truth).sum(), (weights * (1 - truth)).sum()
    won = (given[:, None] > given) + (given[:, None] == given) / 2
    recall, specificity = hits / true, 1 - alarms / false
    return {
        "precision": hits / (hits + alarms),
        "recall": recall,
        "specificity": specificity,
        "f1": 2 * hits / (hits + alarms + true),
        "accuracy": (hits + false - alarms) / (true + false),
        "balanced_accuracy": (recall + specificity) / 2,
        "auroc": (weights * truth) @ won @ (weights * (1 - truth)) / true / false,
    }


def derivative(score: Callable[[Floats], float], n: int) -> Floats:
    """Of a score in each answer's weight."""
    return np.array([(score(1 + one) - score(1 - one)) / 2e-5 for one in 1e-5 * np.eye(n)])


def of_given_counts(derivatives: Floats, truth: npt.NDArray[np.bool_]) -> Floats:
    """Less their mean, of true and of false answers each."""
    means = np.where(truth, derivatives[truth].mean(), derivatives[~truth].mean())
    return np.asarray(derivatives - means)


def influences(lake: Lake) -> dict[str, dict[str, float]]:
    """By metric and document."""
    with connect(lake) as con:
        found = con.sql(
            "select metric, document, influence from document_influences($run, $hookpoint)",
            params=PLACE,
        ).fetchall()
    by: dict[str, dict[str, float]] = {}
    for metric, document, influence in found:
        by.setdefault(metric, {})[document] = influence
    return by


def test_influences_are_the_derivatives_of_the_scores(tmp_path: Path) -> None:
    """Each window of a document of its own; ties within and across."""
    rng = np.random.default_rng(0)
    n = 60
    truth = np.arange(n) % 2 == 0
    given = np.round(np.clip(rng.normal(0.45 + 0.2 * truth, 0.2), 0.01, 0.99), 1)
    lake = Lake(tmp_path)
    lake.initialize()
    write_contexts(lake, [[f"d{2 * i}", f"d{2 * i + 1}"] for i in range(n // 2)])
    windows = [window(0, i, "test", i * LENGTH, [0.0] * LENGTH) for i in range(n)]
    publish(lake, "examples", windows, selection="default")
    add(lake, "predictions", answers("e", 0, zip(truth.tolist(), given.tolist(), strict=True)))
    found = influences(lake)
    for metric in weighted(truth, given, np.ones(n)):
        derivatives = derivative(lambda w, m=metric: weighted(truth, given, w)[m], n)  # type: ignore[misc]
        seen = [found[metric].get(f"d{i}", 0.0) for i in range(n)]
        assert seen == pytest.approx(of_given_counts(derivatives, truth), abs=1e-6), metric
    # Leaving an answer out is no derivative, but near it.
    expected = of_given_counts(derivative(lambda w: weighted_auprc(truth, given, w), n), truth)
    seen = [found["auprc"][f"d{i}"] for i in range(n)]
    assert np.corrcoef(seen, expected)[0, 1] > 0.99
    assert np.std(seen) == pytest.approx(np.std(expected), rel=0.1)
    assert sum(seen) == pytest.approx(0, abs=1e-9)


def test_influences_on_the_mass_explained(tmp_path: Path) -> None:
    """Bins of two sizes, and a failed answer; as weights of windows stand for more of them."""
    rng = np.random.default_rng(2)
    n, strengths = 40, rng.lognormal(0, 1, 40).astype(np.float32).astype(float)
    truth = np.arange(n) % 2 == 0
    said = rng.random(n) < 0.3 + 0.4 * truth
    bins, sizes = np.where(np.arange(n) < 12, 0, 1), np.array([6, 50])
    lake = Lake(tmp_path)
    lake.initialize()
    write_contexts(lake, [[f"d{2 * i}", f"d{2 * i + 1}"] for i in range(n // 2)])
    windows = [
        window(0, i, "test", i * LENGTH, [truth[i] * strengths[i]], n_in_bin=sizes[bins[i]])
        for i in range(n)
    ]
    publish(lake, "examples", windows, selection="default")
    given = [*zip(truth.tolist(), said.tolist(), strict=True)]
    rows = answers("e", 0, [*given[:-2], (True, "timeout"), given[-1]])
    for row, quantile in zip(rows, bins.tolist(), strict=True):
        row["quantile"] = quantile if row["truth"] else None
    add(lake, "predictions", rows)
    answered = np.arange(n) != n - 2
    drawn = np.array([(truth & answered & (bins == one)).sum() for one in bins])
    masses = strengths * sizes[bins] / drawn * (truth & answered)

    def explained(weights: Floats) -> float:
        silent = weights * ~truth
        found = (weights * masses * said).sum() / (weights * masses).sum()
        return float(found - (silent * said).sum() / silent.sum())

    found = influences(lake)
    expected = derivative(explained, n)
    assert [found["mass_explained"].get(f"d{i}", 0.0) for i in range(n)] == pytest.approx(
        expected, abs=1e-6
    )
    silent_only = [found["specificity"].get(f"d{i}", 0.0) for i in range(n)]
    assert [found["mass_found"].get(f"d{i}", 0.0) for i in range(n)] == pytest.approx(
        expected - silent_only, abs=1e-6
    )


def test_influences_on_the_correlation(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    real = np.maximum(rng.normal(0, 1, (12, LENGTH)), 0).astype(np.float32).astype(float)
    expected = (real + rng.normal(0, 1, (12, LENGTH))).astype(np.float32).astype(float)
    lake = Lake(tmp_path)
    lake.initialize()
    write_contexts(lake, [[f"d{2 * i}", f"d{2 * i + 1}"] for i in range(6)])
    windows = [window(0, i, "test", i * LENGTH, one.tolist()) for i, one in enumerate(real)]
    publish(lake, "examples", windows, selection="default")
    rows = answers("e", 0, [(True, True)] * 12, scorer="simulation")
    for row, simulated in zip(rows, expected, strict=True):
        row |= {"prediction": None, "simulated": simulated.tolist()}
    add(lake, "predictions", rows)

    def correlation(weights: Floats) -> float:
        tokens = np.repeat(weights, LENGTH)
        spread = np.cov(real.ravel(), expected.ravel(), aweights=tokens, ddof=0)
        return float(spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1]))

    found = influences(lake)["correlation"]
    seen = [found[f"d{i}"] for i in range(12)]
    assert seen == pytest.approx(derivative(correlation, 12), abs=1e-6)


@pytest.fixture
def shared(tmp_path: Path) -> Lake:
    """Six latents judged on a window of each of eight documents, which are hard for all or none."""
    lake = Lake(tmp_path)
    lake.initialize()
    documents = [[f"d{2 * (i % 4)}", f"d{2 * (i % 4) + 1}"] for i in range(24)]
    write_contexts(lake, documents)
    fire = [latent(index, {}, n_activations=index + 1, n_tokens_80=1) for index in range(6)]
    add(lake, "latents", fire)
    said = [(truth, False) for truth, _ in given(0)]
    for index in range(6):
        # The floors know nothing; one of them has no answer about its first window.
        add(lake, "predictions", answers(f"e{index}", index, given(index)))
        others = answers(f"e{(index + 1) % 6}", index, said, control="shuffled")
        add(lake, "predictions", others)
        add(lake, "predictions", answers("none", index, said[:-1], control="empty"))
    explained = [explanation(f"e{index}", index, "text") for index in range(6)]
    add(lake, "explanations", explained)
    windows = [
        window(index, i, "test", (index * 8 + i) * LENGTH, [0.0] * LENGTH)
        for index in range(6)
        for i in range(8)
    ]
    publish(lake, "examples", windows, selection="default")
    return lake


def given(index: int) -> list[tuple[bool, bool]]:
    """Documents 0 and 1 are judged wrongly, and one more that differs from latent to latent."""
    truths = [i % 2 == 0 for i in range(8)]
    return [(truth, truth != (i in (0, 1, 2 + index))) for i, truth in enumerate(truths)]


def test_means_are_clustered_by_latent_and_document(shared: Lake) -> None:
    """Cameron, Gelbach and Miller's variance, less what both clusterings count."""
    right = np.array([[truth == said for truth, said in given(index)] for index in range(6)])
    rates = np.stack([right[:, ::2].mean(1), right[:, 1::2].mean(1)])
    scores = rates.mean(0)
    moved = (right - rates[np.arange(8) % 2].T) / 8
    of_documents = (moved.sum(0) ** 2).sum() - (moved**2).sum()
    variance = scores.var(ddof=1) / 6 + of_documents / 36
    assert of_documents > 0
    with connect(shared) as con:
        rows = query(con, "analysis/hookpoint_scores", **PLACE).to_pylist()
    [row] = [
        row for row in rows if (row["metric"], row["control"]) == ("balanced_accuracy", "none")
    ]
    half = stats.t.ppf(0.975, 5) * np.sqrt(variance)
    assert row["n_documents"] == 8
    assert row["mean"] == pytest.approx(scores.mean())
    assert row["mean_high"] - row["mean"] == pytest.approx(half, rel=0.01)
    weights = np.arange(1, 7)
    weighted_mean = (weights * scores).sum() / weights.sum()
    of_latents = 6 / 5 * ((weights * (scores - weighted_mean)) ** 2).sum()
    both = weights[:, None] * moved
    of_documents = (both.sum(0) ** 2).sum() - (both**2).sum()
    size = weights.sum() ** 2 / (weights**2).sum()
    half = stats.t.ppf(0.975, size - 1) * np.sqrt(of_latents + of_documents) / weights.sum()
    assert row["weighted_mean"] == pytest.approx(weighted_mean)
    assert row["weighted_mean_high"] - row["weighted_mean"] == pytest.approx(half, rel=0.01)


def test_differences_from_floors_are_clustered_too(shared: Lake) -> None:
    """A floor that always says no has a balanced accuracy of 0.5 and moves with no document."""
    with connect(shared) as con:
        means = query(con, "analysis/hookpoint_scores", **PLACE).to_pylist()
        floors = query(con, "analysis/own_against_floors", **PLACE, most_tokens=None).to_pylist()
    [own] = [
        row for row in means if (row["metric"], row["control"]) == ("balanced_accuracy", "none")
    ]
    [row] = [row for row in floors if row["metric"] == "balanced_accuracy"]
    for floor in ("shuffled", "empty"):
        assert row[f"n_{floor}"] == 6
        ends = (row[f"above_{floor}_low"] + 0.5, row[f"above_{floor}_high"] + 0.5)
        assert ends == pytest.approx((own["mean_low"], own["mean_high"])), floor


def test_explanations_of_one_latent_count_with_their_mean(tmp_path: Path) -> None:
    """Of those for which the metric is defined: one that never says yes has no precision."""
    found = []
    truths = [i % 2 == 0 for i in range(8)]
    mixed = [(truth, truth != (i in (0, 3))) for i, truth in enumerate(truths)]
    silent = [(truth, False) for truth in truths]
    asked = {"mixed": mixed, "wrong": given(0), "silent": silent}
    for names in (("mixed",), ("wrong",), ("mixed", "wrong", "silent")):
        lake = Lake(tmp_path / "-".join(names))
        lake.initialize()
        write_contexts(lake, [[f"d{2 * i}", f"d{2 * i + 1}"] for i in range(4)])
        windows = [window(0, i, "test", i * LENGTH, [0.0] * LENGTH) for i in range(8)]
        publish(lake, "examples", windows, selection="default")
        add(lake, "explanations", [explanation(name, 0, name) for name in names])
        for name in names:
            add(lake, "predictions", answers(name, 0, asked[name]))
        found.append(influences(lake))
    of_mixed, of_wrong, together = found
    for metric, n_defined in (("precision", 2), ("recall", 3), ("balanced_accuracy", 3)):
        means = {
            document: (influence + of_wrong[metric][document]) / n_defined
            for document, influence in of_mixed[metric].items()
        }
        assert together[metric] == pytest.approx(means), metric
        assert any(abs(mean) > 0.01 for mean in means.values())


def test_statements_read_no_answer_again_that_is_kept(shared: Lake) -> None:
    """They say what they said, though the answers are gone; nothing of another hookpoint."""
    with connect(shared) as con:

        def said(**place: str) -> list[Row]:
            found = query(con, "analysis/own_against_floors", **place, most_tokens=None)
            return [
                *query(con, "analysis/hookpoint_scores", **place).to_pylist(),
                *found.to_pylist(),
            ]

        expected = said(**PLACE)
        keep_scores(con, **PLACE, parts=None)
        keep_influences(con, **PLACE)
        shutil.rmtree(shared.location("predictions"))
        assert len(expected) > 20
        # The last digits of a sum depend on the order of its parts.
        for row, before in zip(said(**PLACE), expected, strict=True):
            assert row == pytest.approx(before)
        assert said(run=RUN, hookpoint="elsewhere") == []
