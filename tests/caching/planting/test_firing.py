"""Firing: defects at their rates, the same on any cut of the positions."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest, norm, uniform

from delphi_assets.caching.planting.firing import FALSE_STRENGTH, SPREAD, Draws, Fired, fire
from delphi_assets.caching.planting.kinds import Random, Words
from delphi_assets.caching.planting.predicates import Defects, Predicate, Stated

CTX, N = 32, 64_000
POSITIONS = np.arange(N, dtype=np.int64)
OTHER = POSITIONS % 4 == 0
HOLDS = POSITIONS % 8 < 3


def predicate(
    name: str = "own", kind: str = "words", sign: int = 1, **defects: object
) -> Predicate:
    made = Words(words=("a",)) if kind == "words" else Random()
    stated = Stated.model_validate(
        {"name": name, "text": "t", "sign": sign, "defects": Defects.model_validate(defects)}
    )
    return Predicate(stated, kind, made)


def fired(one: Predicate, chosen: slice = slice(None), seed: str = "0") -> Fired:
    masks = {one.name: HOLDS[chosen], "other": OTHER[chosen]}
    return fire(one, POSITIONS[chosen], CTX, masks, seed)


def is_likely(count: int, n: int, rate: float) -> bool:
    """Whether a count is between the 1e-6 quantiles of the binomial distribution."""
    return bool(binom.ppf(1e-6, n, rate) <= count <= binom.isf(1e-6, n, rate))


def test_without_defects_it_fires_where_it_holds() -> None:
    found = fired(predicate())
    assert found.positions.tolist() == np.flatnonzero(HOLDS).tolist()
    assert (found.counts.n_true, found.counts.n_missed, found.counts.n_false) == (24_000, 0, 0)
    assert (found.values > 0).all()


@given(st.sampled_from([0.01, 0.2, 0.5, 0.9]), st.integers(0, 10))
@settings(max_examples=15, deadline=None)
def test_rates_are_those_that_were_planted(rate: float, seed: int) -> None:
    missed = fired(predicate(miss_rate=rate), seed=str(seed)).counts
    assert is_likely(missed.n_missed, missed.n_true, rate)
    assert missed.n_false == 0
    false = fired(predicate(false_fire_rate=rate), seed=str(seed)).counts
    assert is_likely(false.n_false, N - false.n_true, rate)
    assert false.n_missed == 0


def test_what_another_one_absorbs_is_missed_there_alone() -> None:
    found = fired(predicate(absorbed_by="other", absorbed_rate=0.7))
    lost = np.setdiff1d(np.flatnonzero(HOLDS), found.positions)
    assert OTHER[lost].all()
    assert is_likely(len(lost), int((HOLDS & OTHER).sum()), 0.7)


def test_a_context_is_silent_as_a_whole() -> None:
    found = fired(predicate(silent_rate=0.4, false_fire_rate=0.3))
    loud = np.unique(found.positions // CTX)
    assert is_likely(N // CTX - len(loud), N // CTX, 0.4)
    # In a context that is not silent nothing is missed.
    here = np.isin(POSITIONS // CTX, loud)
    assert np.isin(np.flatnonzero(HOLDS & here), found.positions).all()


def test_strength_depends_on_another_one_and_on_truth() -> None:
    plain = fired(predicate(false_fire_rate=0.5))
    changed = fired(predicate(false_fire_rate=0.5, stronger_at="other", strength_factor=3.0))
    ratio = changed.values / plain.values
    assert np.allclose(ratio, np.where(OTHER[changed.positions], 3.0, 1.0))
    logs = np.log(plain.values / 8)
    true = HOLDS[plain.positions]
    assert kstest(logs[true], norm(0, SPREAD).cdf).pvalue > 1e-4
    assert kstest(logs[~true], norm(np.log(FALSE_STRENGTH), SPREAD).cdf).pvalue > 1e-4


def test_a_negative_one_is_the_same_with_a_sign() -> None:
    plus, minus = fired(predicate()), fired(predicate(sign=-1))
    assert np.array_equal(plus.values, -minus.values)


def test_one_without_a_pattern_is_as_strong_as_others() -> None:
    nothing = {"own": np.zeros(N, dtype=np.bool_)}
    one = predicate(kind="random", false_fire_rate=0.2)
    found = fire(one, POSITIONS, CTX, nothing, "0")
    assert kstest(np.log(found.values / 8), norm(0, SPREAD).cdf).pvalue > 1e-4
    assert found.counts.n_true == 0


@given(st.integers(1, N - 1))
@settings(max_examples=10, deadline=None)
def test_a_cut_of_the_positions_changes_nothing(at: int) -> None:
    one = predicate(miss_rate=0.2, false_fire_rate=0.1, silent_rate=0.3)
    whole = fired(one)
    parts = [fired(one, slice(0, at)), fired(one, slice(at, None))]
    assert np.array_equal(whole.positions, np.concatenate([part.positions for part in parts]))
    assert np.array_equal(whole.values, np.concatenate([part.values for part in parts]))
    assert parts[0].counts + parts[1].counts == whole.counts


def test_draws_are_uniform_and_independent() -> None:
    draws = Draws("0", "own")
    first, second = draws.uniform("miss", POSITIONS), draws.uniform("false", POSITIONS)
    assert kstest(first, uniform.cdf).pvalue > 1e-4
    for other in (second, Draws("1", "own").uniform("miss", POSITIONS), np.roll(first, 1)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 5 / np.sqrt(N)


@pytest.mark.parametrize("position", [0, 1, 2**40 + 7])
def test_a_draw_is_the_same_on_every_machine(position: int) -> None:
    found = Draws("seed", "name").uniform("miss", np.array([position]))[0]
    assert found == (_split_mix(b"seed|name|miss", position) >> 11) / 2**53


def _split_mix(text: bytes, position: int) -> int:
    """SplitMix64 in Python's own integers, of a key and a position."""
    most = 2**64 - 1
    key = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
    x = (position * 0x9E3779B97F4A7C15 + key) & most
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & most
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & most
    return x ^ (x >> 31)
