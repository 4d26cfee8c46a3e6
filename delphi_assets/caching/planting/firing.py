"""Firing: from where predicates hold to activations, with defects at known rates.

In: a predicate, the positions of a shard, and where it and others hold. Out: where the latent fires
and how strongly, and counts of what was left out and added.

Every draw is a hash of the seed, the latent's name, what is drawn and the position, or for whole
contexts their number: it depends on nothing else in the file, on no shard and on no machine. With u
uniform in [0, 1):

1. It holds on a token and is missed there: u < miss_rate.
2. The predicate that absorbs it holds there too: u < absorbed_rate.
3. The context is silent: u < silent_rate, of the context. It does not fire there at all.
4. It does not hold, and fires: u < false_fire_rate.
5. A strength is strength * exp(SPREAD z), z standard normal by Box and Muller (1958) from two more
   hashes, times strength_factor where that is said, times FALSE_STRENGTH where it fires falsely,
   with the latent's sign.

The hash is SplitMix64's finalizer (Steele, Lea and Flood 2014) of key + position * golden ratio.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from delphi_assets.caching.planting.passages import Mask
from delphi_assets.caching.planting.predicates import Predicate

SPREAD = 0.4
"""Standard deviation of the logarithm of a strength: 95% lie within a factor of 2.2."""

FALSE_STRENGTH = 0.5
"""A false activation is half as strong."""

Positions: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Counts:
    """Tokens of a latent."""

    n_true: int = 0
    """On which its predicate holds."""
    n_missed: int = 0
    """Of these, on which it does not fire, for whatever reason."""
    n_false: int = 0
    """On which it fires and its predicate does not hold."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.n_true + other.n_true,
            self.n_missed + other.n_missed,
            self.n_false + other.n_false,
        )


class Fired(NamedTuple):
    """Where a latent fires [k], ascending, how strongly [k], and what was counted."""

    positions: Positions
    values: Floats
    counts: Counts


class Draws(NamedTuple):
    """What is drawn of one latent."""

    seed: str
    name: str

    def uniform(self, what: str, positions: Positions) -> Floats:
        """Numbers [n] in [0, 1), one a position."""
        text = f"{self.seed}|{self.name}|{what}".encode()
        key = np.uint64(int.from_bytes(hashlib.sha256(text).digest()[:8], "little"))
        with np.errstate(over="ignore"):
            x = positions.astype(np.uint64) * np.uint64(_GOLDEN) + key
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x = x ^ (x >> np.uint64(31))
        # The high 53 bits, as many as a double holds.
        return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, positions: Positions) -> Floats:
        """Standard normal numbers [n], one a position."""
        first, second = self.uniform("radius", positions), self.uniform("angle", positions)
        normal: Floats = np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
        return normal


def fire(
    predicate: Predicate,
    positions: Positions,
    cache_ctx_len: int,
    masks: Mapping[str, Mask],
    seed: str,
) -> Fired:
    """What the latent of a predicate does on positions [n]; `masks` [n] are those of all."""
    stated, holds = predicate.stated, masks[predicate.name]
    defects, draws = stated.defects, Draws(seed, predicate.name)
    lost = draws.uniform("miss", positions) < defects.miss_rate
    if defects.absorbed_by is not None:
        absorbed = draws.uniform("absorb", positions) < defects.absorbed_rate
        lost |= masks[defects.absorbed_by] & absorbed
    silent = draws.uniform("silent", positions // cache_ctx_len) < defects.silent_rate
    true = holds & ~lost & ~silent
    false = ~holds & (draws.uniform("false", positions) < defects.false_fire_rate) & ~silent
    counts = Counts(int(holds.sum()), int(holds.sum() - true.sum()), int(false.sum()))
    fired = np.flatnonzero(true | false)
    at = positions[fired]
    values = stated.sign * stated.strength * np.exp(SPREAD * draws.normal(at))
    if defects.stronger_at is not None:
        values = np.where(masks[defects.stronger_at][fired], defects.strength_factor, 1.0) * values
    if not _is_all_false(predicate):
        values = np.where(false[fired], FALSE_STRENGTH, 1.0) * values
    return Fired(at, values, counts)


def _is_all_false(predicate: Predicate) -> bool:
    """Whether it fires without a pattern, so that nothing is weaker than anything else."""
    return predicate.kind_name == "random"
