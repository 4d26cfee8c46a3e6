"""Which metrics notice that half of a true description is gone, or as much again is made up?

In: planted latents without defects, whose description is what they do. Out: by metric, the share of
latents whose score falls, and by how much.

The tests are those of Oikarinen, Yan and Weng 2025 (arXiv:2506.05774), on tokens:

1. `exact`: the description holds on the tokens on which the latent fires.
2. `half missing`: on half of them, drawn by a seed.
3. `as many extra`: on all of them, and as many others, drawn from all the run's tokens.

A window is found where the description holds on one of its tokens; its value is their number.
Metrics are computed once over all windows of the run, and once over a sample of as many activating
as silent windows, as scorers see them. A metric passes where it falls in at least 90% of latents.
`mass_explained` is the share of activation in windows that are found, less the share of silent
windows that are found.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.parts.truth_lake import Planted

Floats = npt.NDArray[np.floating]
Bits = npt.NDArray[np.bool_]

PASSES = 0.9
TESTS = ("half missing", "as many extra")
DESIGNS = ("all windows", "20 + 20")
_WINDOW, _SAMPLED = 32, 20
_LEAST_FALL = 1e-9


class Windows(NamedTuple):
    """Some windows: what fires in them, and what a description says."""

    strength: Floats
    """[windows, tokens]"""
    says: Bits
    """[windows, tokens]"""

    @property
    def truth(self) -> Bits:
        """Whether the latent fires [windows]."""
        return np.asarray((self.strength > 0).any(1))

    @property
    def found(self) -> Bits:
        """Whether the description holds anywhere [windows]."""
        return np.asarray(self.says.any(1))


class Sanity(NamedTuple):
    """What a metric makes of a description that is half wrong."""

    design: str
    metric: str
    test: str
    latents: int
    falls: float
    """Share of the latents whose score is lower than with the exact description."""
    by: float
    """Mean fall."""

    @property
    def passes(self) -> bool:
        """Whether it notices."""
        return self.falls >= PASSES


def sanity(planted: Planted, seed: int = 22) -> list[Sanity]:
    """Every metric in both designs and tests."""
    draw, straying = np.random.default_rng(seed), planted.straying()
    falls: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for latent, strength in planted.strength.items():
        if latent in straying:
            continue
        for (design, test), (exact, other) in _cases(strength, draw):
            whole, less = metrics(exact), metrics(other)
            for metric, value in whole.items():
                falls[design, metric, test].append(value - less[metric])
    return [
        Sanity(*case, len(by), float(np.mean(np.array(by) > _LEAST_FALL)), float(np.mean(by)))
        for case, by in sorted(falls.items())
    ]


def _cases(
    strength: Floats, draw: np.random.Generator
) -> Iterator[tuple[tuple[str, str], tuple[Windows, Windows]]]:
    """By design and test, the exact description and the other one on the same windows."""
    shape = (-1, _WINDOW)
    fires = strength > 0
    where = np.flatnonzero(fires)
    kept = fires.copy()
    kept[draw.choice(where, len(where) // 2, replace=False)] = False
    more = fires.copy()
    more[draw.choice(np.flatnonzero(~fires), len(where), replace=False)] = True
    whole = Windows(strength.reshape(shape), fires.reshape(shape))
    sampled = _sample(whole.truth, draw)
    for test, says in zip(TESTS, (kept, more), strict=True):
        other = whole._replace(says=says.reshape(shape))
        yield (DESIGNS[0], test), (whole, other)
        pair = (Windows(one.strength[sampled], one.says[sampled]) for one in (whole, other))
        exact, changed = pair
        yield (DESIGNS[1], test), (exact, changed)


def _sample(truth: Bits, draw: np.random.Generator) -> npt.NDArray[np.intp]:
    """As many windows in which it fires as others, 20 each where there are so many."""
    kinds = (np.flatnonzero(truth), np.flatnonzero(~truth))
    drawn = [draw.choice(kind, min(_SAMPLED, len(kind)), replace=False) for kind in kinds]
    return np.concatenate(drawn)


def metrics(windows: Windows) -> dict[str, float]:
    """Every metric of a description on some windows, of which both kinds are there."""
    truth, found = windows.truth, windows.found
    hits, alarms = float(found[truth].mean()), float(found[~truth].mean())
    said = found.sum()
    precision = float((found & truth).sum() / said) if said else 0.0
    both = 2 * precision * hits / (precision + hits) if precision + hits else 0.0
    mass = windows.strength.sum(1)
    return {
        "accuracy": float((found == truth).mean()),
        "balanced_accuracy": (hits + 1 - alarms) / 2,
        "recall": hits,
        "precision": precision,
        "f1": both,
        "auroc": auroc(windows.says.sum(1), truth),
        "correlation": _correlation(windows),
        "mass_explained": float(mass[found].sum() / mass.sum()) - alarms,
    }


def auroc(values: npt.NDArray[np.integer], truth: Bits) -> float:
    """Share of pairs of a true and a false window in which the true one is higher, ties half."""
    ranks = stats.rankdata(values)
    n = int(truth.sum())
    return float((ranks[truth].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)))


def _correlation(windows: Windows) -> float:
    """Pearson's, of what is said of a token and its activation."""
    says, strength = windows.says.ravel().astype(float), windows.strength.ravel()
    if not says.any() or says.all():
        return 0.0
    return float(np.corrcoef(says, strength)[0, 1])
