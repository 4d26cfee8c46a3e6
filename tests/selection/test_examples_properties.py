"""Selection on random caches, for every sampler: what was chosen follows the rules, and nothing
else that could be otherwise (files, buckets, threads, other latents) changes it.

The rules are those of `delphi_assets/selection/examples.py` and the headers of `sql/examples/`, in
plain Python with fractions. Draws by hash are left open here: of them the bins and the counts are
checked, and that they depend on nothing but seed, run, latent and window. `test_examples.py` has
the hash.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import combinations, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from delphi_assets import connect
from delphi_assets.caching.activations import merge_shards
from delphi_assets.lake import parquet
from delphi_assets.lake.lake import File, Lake
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.units import captured_unit
from delphi_assets.selection.examples import select_examples
from delphi_assets.settings import Profile, SelectionSettings
from tests.parts.random_lake import (
    HOOKPOINT,
    VOCABULARY,
    profile_of,
    write_activations,
    write_corpus,
)

pytestmark = pytest.mark.slow

TRAIN = ("top", "random", "quantiles", "mix")
TEST = ("quantiles", "activations")
DENSITIES = (0, 0.004, 0.03, 0.1, 0.4, 0.95)
"""Of the latents: the first never fires, the last nearly everywhere."""

GENERATED = settings(phases=[Phase.explicit, Phase.generate])
"""A failing cache is not made smaller, which would take minutes."""

Fired = Mapping[int, Mapping[int, float]]
"""Activation by position, by latent."""

Rows = list[dict[str, Any]]


class Cache(NamedTuple):
    """A corpus and what fired on it. Activations are few eighths, so ties are common; of a signed
    coder, some or all of them are negative."""

    window: int
    ctx_len: int
    tokens: list[int]
    fired: Fired
    documents: list[str | None]
    """Of every token."""

    def documents_of(self, position: int) -> set[str]:
        """Of the tokens of a window."""
        within = self.documents[position : position + self.window]
        return {document for document in within if document is not None}


@st.composite
def caches(draw: st.DrawFn) -> Cache:
    """Random caches; the last context and the last window may be cut off."""
    window = draw(st.sampled_from([8, 5, 2]))
    ctx_len = window * draw(st.sampled_from([3, 1, 4]))
    n_tokens = window * draw(st.sampled_from([70, 48, 100])) + draw(st.integers(0, window - 1))
    n_values = draw(st.sampled_from([3, 79, 1]))
    signs = draw(st.sampled_from([(1, -1), (1,), (-1,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    fired = {}
    for latent, density in enumerate(DENSITIES):
        positions = np.flatnonzero(rng.random(n_tokens) < density).tolist()
        values = (
            rng.integers(1, n_values + 1, len(positions)) * rng.choice(signs, len(positions)) / 8
        )
        fired[latent] = dict(zip(positions, values.tolist(), strict=True))
    documents = documents_drawn(rng, n_tokens, ctx_len, draw(st.sampled_from([9, 2, 60, 5_000])))
    return Cache(window, ctx_len, rng.integers(0, VOCABULARY, n_tokens).tolist(), fired, documents)


def documents_drawn(
    rng: np.random.Generator, n_tokens: int, ctx_len: int, usual_length: int
) -> list[str | None]:
    """Documents one after the other, some of which come twice; contexts begin with a token of none.

    So two stretches of one document are parted by it, and never run into each other.
    """
    edges = (rng.random(n_tokens) < 1 / usual_length).cumsum()
    names = rng.integers(0, edges[-1] * 4 + 1, edges[-1] + 1)
    return [f"d{names[edges[at]]}" if at % ctx_len else None for at in range(n_tokens)]


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, int | float]:
    """How many windows are asked for, from a pool that may be smaller than what there is."""
    n_train, n_test = draw(st.sampled_from([5, 1, 2, 14])), draw(st.sampled_from([7, 0, 3, 12]))
    min_examples = draw(st.sampled_from([3, 1, 8]))
    least = max(min_examples, n_train + n_test)
    return {
        "n_examples_train": n_train,
        "n_examples_test": n_test,
        "n_non_activating": draw(st.sampled_from([6, 0, 20, 60])),
        "n_quantiles": draw(st.sampled_from([3, 1, 7, 12])),
        "min_examples": min_examples,
        "max_examples": draw(st.sampled_from([least + 5, least, least + 1_000])),
        "split_documents": draw(st.sampled_from([True, False])),
        "ratio_top": draw(st.sampled_from([0.3, 0, 0.1, 0.5, 0.75, 1])),
    }


def profile(cache: Cache, seed: int = 22) -> Profile:
    made = profile_of(len(cache.tokens), cache.ctx_len, 1, example_ctx_len=cache.window)
    return made.model_copy(update={"run": made.run.model_copy(update={"seed": seed})})


def lake_of(folder: Path, cache: Cache, made: Profile) -> Lake:
    """A lake with the corpus and the activations of a cache."""
    lake = Lake(folder)
    lake.claim_run(made.run.name, made.run_config())
    write_corpus(lake, made, cache.tokens, cache.documents)
    write_activations(lake, made, cache.fired, len(cache.fired))
    return lake


def selected(
    made: Profile, lake: Lake, wanted: Sequence[SelectionSettings]
) -> dict[str, tuple[Rows, Rows]]:
    """The examples and the shortfalls of selections by name, as they stand in the lake."""
    for selection in wanted:
        select_examples(made, lake, HOOKPOINT, selection)
    with connect(lake) as con:

        def rows(statement: str, name: str) -> Rows:
            found: Rows = con.sql(statement, params={"name": name}).to_arrow_table().to_pylist()
            return found

        return {
            name: (
                rows("from examples where selection = $name order by latent, example", name),
                rows("from shortfalls where selection = $name order by latent", name),
            )
            for name in (selection.name for selection in wanted)
        }


def selection_of(
    cache: Cache, train: str, test: str, centred: bool, asked: Mapping[str, int | float | str]
) -> SelectionSettings:
    return SelectionSettings.model_validate(
        {
            "name": f"{train}-{test}-{centred}",
            "example_ctx_len": cache.window,
            "train_type": train,
            "test_type": test,
            "center_examples": centred,
            **asked,
        }
    )


class Window(NamedTuple):
    """A window that may be shown: its first token and its strongest activation."""

    position: int
    strongest: float

    @property
    def strength(self) -> float:
        return abs(self.strongest)


def strength(activation: float) -> tuple[float, bool]:
    """What orders activations: their magnitude, of two signs the positive one."""
    return abs(activation), activation > 0


def ranked_windows(cache: Cache, latent: int, centred: bool) -> list[Window]:
    """Windows of a latent that share no token, the strongest first, by the documented rules."""
    length, n_tokens, fired = cache.window, len(cache.tokens), cache.fired[latent]
    peaks: dict[int, int] = {}
    for position in sorted(fired):
        start = position - position % length
        if start not in peaks or strength(fired[position]) > strength(fired[peaks[start]]):
            peaks[start] = position
    if not centred:
        whole = [
            Window(start, fired[peak])
            for start, peak in peaks.items()
            if start + length <= n_tokens
        ]
        return sorted(whole, key=lambda window: (-window.strength, window.position))
    placed: list[Window] = []
    for peak in sorted(peaks.values(), key=lambda peak: (-abs(fired[peak]), peak)):
        start = peak - peak % cache.ctx_len
        end = min(start + cache.ctx_len, n_tokens)
        first = max(start, min(peak - length // 2, end - length))
        reached = [abs(fired.get(position, 0)) for position in range(first, first + length)]
        if end - start >= length and max(reached) == abs(fired[peak]):
            placed.append(Window(first, fired[peak]))
    return [
        window
        for place, window in enumerate(placed)
        if all(abs(window.position - stronger.position) >= length for stronger in placed[:place])
    ]


def value_bin(strength: float, pool: Sequence[Window], n_bins: int) -> int:
    """The equally wide range of activation that a window is in, 0 the strongest."""
    strongest, weakest = pool[0].strength, pool[-1].strength
    if strongest == weakest:
        return 0
    share = (Fraction(strongest) - Fraction(strength)) / (Fraction(strongest) - Fraction(weakest))
    return min(n_bins - 1, math.floor(share * n_bins))


def in_turns(sizes: Mapping[int, int], n: int) -> Counter[int]:
    """How many windows each bin gives when they are asked in turns, the strongest bin first."""
    taken: Counter[int] = Counter()
    while taken.total() < n and taken.total() < sum(sizes.values()):
        for number in sorted(sizes):
            if taken[number] < sizes[number] and taken.total() < n:
                taken[number] += 1
    return taken


def check_draws(cache: Cache, latent: int, rows: Rows, asked: SelectionSettings) -> int:
    """Train and test windows of a latent are those that the rules give; returns the pool."""
    ranked = ranked_windows(cache, latent, asked.center_examples)
    pool = ranked[: asked.max_examples]
    if len(pool) < asked.min_examples:
        assert not rows
        return len(pool)
    train = [row for row in rows if row["split"] == "train"]
    test = [row for row in rows if row["activating"] and row["split"] == "test"]
    places = {window.position: place for place, window in enumerate(pool)}
    ranks = {p: place * asked.n_quantiles // len(pool) for p, place in places.items()}
    ranges = {w.position: value_bin(w.strength, pool, asked.n_quantiles) for w in pool}
    drawn = [row["position"] for row in train + test]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) <= set(places)
    assert [row["quantile"] for row in train] == [ranks[row["position"]] for row in train]
    bins = ranks if asked.test_type == "quantiles" else ranges
    assert [row["quantile"] for row in test] == [bins[row["position"]] for row in test]
    assert {row["source"] for row in train} <= {asked.train_type}
    assert {row["source"] for row in test} <= {asked.test_type}

    n_train, got = asked.n_examples_train, sorted(places[row["position"]] for row in train)
    assert len(train) == min(n_train, len(pool))
    n_top = {"top": n_train, "mix": math.floor(n_train * asked.ratio_top + 0.5)}
    top = min(n_top.get(asked.train_type, 0), len(pool))
    assert got[:top] == list(range(top))
    if asked.train_type in ("quantiles", "mix"):
        rest = Counter(ranks[pool[place].position] for place in range(top, len(pool)))
        turns = in_turns(rest, n_train - top)
        assert Counter(ranks[pool[place].position] for place in got[top:]) == turns

    left = [p for p in places if p not in {row["position"] for row in train}]
    check_test(cache, left, bins, rows, asked)
    assert {row["n_weaker"] for row in rows} <= {len(ranked) - len(pool)}
    of_bins = Counter(bins[position] for position in left)
    for row in rows:
        assert row["n_in_bin"] == (of_bins[row["quantile"]] if row in test else None)
    return len(pool)


def check_test(
    cache: Cache, left: Sequence[int], bins: Mapping[int, int], rows: Rows, asked: SelectionSettings
) -> None:
    """Test windows are drawn from those left over, and by document where there are enough."""
    n = asked.n_examples_test
    train, test = (
        [row for row in rows if row["activating"] and row["split"] == split]
        for split in ("train", "test")
    )
    of_train = set[str]().union(*(cache.documents_of(row["position"]) for row in train))
    apart = [position for position in left if not cache.documents_of(position) & of_train]
    shared = [row for row in test if cache.documents_of(row["position"]) & of_train]
    given = Counter(row["quantile"] for row in test)
    assert len(test) == min(n, len(left))
    if not asked.split_documents:
        assert given == in_turns(Counter(bins[position] for position in left), n)
    elif len(apart) >= n:
        assert given == in_turns(Counter(bins[position] for position in apart), n)
        assert not shared
    else:
        assert len(test) - len(shared) == len(apart)
    known = any(document is not None for document in cache.documents)
    share = pytest.approx(len(shared) / len(test)) if test and known else None
    assert all(row["shared_document_share"] == share for row in rows)


def check_contents(cache: Cache, latent: int, rows: Rows, centred: bool) -> None:
    """What stands in a window is what the cache has there."""
    fired = cache.fired[latent]
    latent_max = ranked_windows(cache, latent, centred)[0].strongest
    for row in rows:
        span = range(row["position"], row["position"] + cache.window)
        values = [fired.get(position, 0.0) for position in span]
        assert row["tokens"] == [cache.tokens[position] for position in span]
        assert row["str_tokens"] == [f" t{token}" for token in row["tokens"]]
        assert row["activations"] == values
        strongest = max(values, key=strength)
        # A centred window may reach a token as strong as the one in its middle, of the other sign.
        assert row["max_activation"] in ((strongest, -strongest) if centred else (strongest,))
        assert row["max_activation"] in values
        assert row["latent_max"] == latent_max
        scaled = [math.ceil(10 * abs(Fraction(value) / Fraction(latent_max))) for value in values]
        signs = [math.copysign(1, value) for value in values]
        assert row["normalized"] == [s * min(10, v) for s, v in zip(signs, scaled, strict=True)]
        assert row["activating"] == any(values)


def check_silent(cache: Cache, latent: int, rows: Rows, asked: SelectionSettings) -> None:
    """Silent windows are aligned, whole and distinct, share no token, and are as many as asked."""
    length = cache.window
    drawn = [row for row in rows if not row["activating"]]
    assert {(row["source"], row["quantile"]) for row in drawn} <= {("random", None)}
    silent = [row["position"] for row in drawn]
    shown = [row["position"] for row in rows if row["activating"]]
    reached = {(first + offset) // length for first in shown for offset in (0, length - 1)}
    firing = {position // length for position in cache.fired[latent]}
    free = set(range(len(cache.tokens) // length)) - reached - firing
    assert len(silent) == len(set(silent)) == min(asked.n_non_activating, len(free))
    assert {Fraction(position, length) for position in silent} <= free


def check_selection(
    cache: Cache, selection: SelectionSettings, rows: Rows, shortfalls: Rows
) -> None:
    """The examples follow the rules, and what is missing of them is a shortfall."""
    short = {row["latent"]: row for row in shortfalls}
    wanted = (
        selection.n_examples_train,
        selection.n_examples_test,
        selection.n_non_activating,
    )
    for latent in cache.fired:
        found = [row for row in rows if row["latent"] == latent]
        n_pool = check_draws(cache, latent, found, selection)
        if found:
            check_silent(cache, latent, found, selection)
            check_contents(cache, latent, found, selection.center_examples)
        assert [row["example"] for row in found] == list(range(len(found)))
        kinds = Counter((row["split"], row["activating"]) for row in found)
        counts = (kinds["train", True], kinds["test", True], kinds["test", False])
        missing = tuple(n - count for n, count in zip(wanted, counts, strict=True))
        assert (latent in short) == any(missing)
        if latent in short:
            row, names = short[latent], ("train", "test", "non_activating")
            assert tuple(row[name] for name in names) == counts
            assert tuple(row[f"{name}_missing"] for name in names) == missing
            assert row["pool"] == n_pool
            activating, silent = any(missing[:2]), missing[2] > 0
            if n_pool < selection.min_examples:
                assert row["reason"] == ("too_few_windows" if cache.fired[latent] else "dead")
            elif activating:
                assert row["reason"] == ("too_few_of_both" if silent else "too_few_activating")
            else:
                assert row["reason"] == "too_few_silent"
            assert (row["lacking"] is not None) == silent


SAMPLERS = tuple(product(TRAIN, TEST, (False, True)))
"""Train sampler, test sampler, whether windows are centred."""

SOME_SAMPLERS = SAMPLERS[0::4] + SAMPLERS[3::4]
"""Aligned windows with one test sampler and centred ones with the other, of every train sampler."""


@settings(GENERATED, max_examples=4)
@given(cache=caches(), asked=numbers())
def test_what_is_chosen_follows_the_rules(cache: Cache, asked: dict[str, int | float]) -> None:
    """Of every sampler, on one lake."""
    wanted = {
        selection.name: selection
        for selection in (selection_of(cache, *sampler, asked) for sampler in SAMPLERS)
    }
    with TemporaryDirectory() as folder:
        made = profile(cache)
        found = selected(made, lake_of(Path(folder), cache, made), list(wanted.values()))
    for name, (rows, shortfalls) in found.items():
        note(name)
        check_selection(cache, wanted[name], rows, shortfalls)


def results(
    cache: Cache,
    made: Profile,
    lake: Lake,
    asked: Mapping[str, int | float | str],
    samplers: Sequence[tuple[str, str, bool]],
) -> dict[str, tuple[Rows, Rows]]:
    """What the samplers give on one lake."""
    return selected(made, lake, [selection_of(cache, *sampler, asked) for sampler in samplers])


@contextmanager
def small_row_groups(size: int) -> Iterator[None]:
    with patch.object(parquet, "ROW_GROUP", size):
        yield


@contextmanager
def duckdb_threads(n: int) -> Iterator[None]:
    with patch.object(duckdb, "connect", partial(duckdb.connect, config={"threads": n})):
        yield


def captured_lake(folder: Path, cache: Cache, made: Profile, rng: np.random.Generator) -> Lake:
    """The same from token shards: the last one first, the rows of each in any order, merged."""
    lake = Lake(folder)
    lake.claim_run(made.run.name, made.run_config())
    write_corpus(lake, made, cache.tokens, cache.documents)
    write_activations(lake, made, {latent: {} for latent in cache.fired}, len(cache.fired))
    for path in (folder / "manifests/activations").rglob("*.json"):
        path.unlink()
    config, size = made.hookpoint_config(HOOKPOINT), made.cache.shard_tokens
    for shard in reversed(range(made.n_shards)):
        rows = [
            {"latent": latent, "position": position, "activation": value}
            for latent, positions in cache.fired.items()
            for position, value in positions.items()
            if position // size == shard
        ]
        rng.shuffle(rows)  # type: ignore[arg-type]
        facts = {
            "num_latents": len(cache.fired),
            FINGERPRINT: "none",
            "positions": size,
            "tokens": size,
            "seconds": 0,
            "device": "cpu",
            "torch": "none",
        }
        schema = pa.schema(
            [("latent", pa.int32()), ("position", pa.int64()), ("activation", pa.float32())]
        )
        file = File(pa.Table.from_pylist(rows, schema), {"part": 0})
        lake.publish(captured_unit(made.run.name, HOOKPOINT, shard), [file], config, facts)
    merge_shards(made, lake, HOOKPOINT)
    return lake


@settings(GENERATED, max_examples=2)
@given(cache=caches(), asked=numbers(), seed=st.integers(0, 99))
def test_files_do_not_matter(cache: Cache, asked: dict[str, int | float], seed: int) -> None:
    """Neither the number of buckets, nor the row groups, nor how the shards were captured."""
    with TemporaryDirectory() as folder:
        made = profile(cache)
        lake = lake_of(Path(folder, "one"), cache, made)
        expected = results(cache, made, lake, asked, SOME_SAMPLERS)
        # More than ten shards, so that the names of their files are not in their order.
        n_contexts = -(-len(cache.tokens) // cache.ctx_len)
        shards = {"shard_tokens": cache.ctx_len * (n_contexts // 11), "n_buckets": 2}
        made = made.model_copy(update={"cache": made.cache.model_copy(update=shards)})
        assert made.n_shards > 10
        with small_row_groups(50):
            rng = np.random.default_rng(seed)
            lake = captured_lake(Path(folder, "captured"), cache, made, rng)
            assert results(cache, made, lake, asked, SOME_SAMPLERS) == expected


@settings(GENERATED, max_examples=2)
@given(cache=caches(), asked=numbers(), kept=st.sampled_from([{2, 4}, {1, 3, 5}]))
def test_other_latents_do_not_matter(
    cache: Cache, asked: dict[str, int | float], kept: set[int]
) -> None:
    """What a latent gets, its silent windows too, is the same when others never fire."""
    alone = cache._replace(
        fired={latent: cache.fired[latent] if latent in kept else {} for latent in cache.fired}
    )
    with TemporaryDirectory() as folder:
        made = profile(cache)
        expected, found = (
            results(held, made, lake_of(Path(folder, name), held, made), asked, SOME_SAMPLERS)
            for name, held in (("all", cache), ("kept", alone))
        )
    for name, tables in expected.items():
        for before, after in zip(tables, found[name], strict=True):
            assert [row for row in before if row["latent"] in kept] == [
                row for row in after if row["latent"] in kept
            ]


@pytest.fixture(scope="module")
def large() -> Cache:
    """A cache of enough row groups that every thread gets some."""
    rng = np.random.default_rng(5)
    n_tokens, n_latents = 6_000, 24
    fired = {}
    for latent in range(n_latents):
        positions = np.flatnonzero(rng.random(n_tokens) < 0.15).tolist()
        values = (rng.integers(1, 9, len(positions)) / 8).tolist()
        fired[latent] = dict(zip(positions, values, strict=True))
    documents = documents_drawn(rng, n_tokens, 32, 40)
    return Cache(8, 32, rng.integers(0, VOCABULARY, n_tokens).tolist(), fired, documents)


ASKED: dict[str, int | float | str] = {
    "n_examples_train": 20,
    "n_examples_test": 20,
    "n_non_activating": 20,
    "n_quantiles": 6,
    "min_examples": 8,
    "max_examples": 300,
}


def test_threads_do_not_matter(tmp_path: Path, large: Cache) -> None:
    found = []
    for n in (1, 4):
        made = profile(large)
        with duckdb_threads(n), small_row_groups(100):
            lake = lake_of(tmp_path / str(n), large, made)
            with connect(lake) as con:
                assert con.sql("select current_setting('threads')").fetchall() == [(n,)]
            found.append(results(large, made, lake, ASKED, SOME_SAMPLERS))
    assert found[0] == found[1]
    assert all(len(rows) == len(large.fired) * 60 for rows, _ in found[0].values())


@pytest.mark.parametrize("centred", [False, True])
def test_draws_are_random(tmp_path: Path, large: Cache, centred: bool) -> None:
    """Another seed draws other windows; drawing more keeps what was drawn; ranks are even."""
    drawn: dict[tuple[int, int], dict[int, list[int]]] = {}
    silent: dict[tuple[int, int], dict[int, list[int]]] = {}
    for seed in (1, 2):
        made = profile(large, seed=seed)
        wanted = [
            selection_of(
                large,
                "random",
                "quantiles",
                centred,
                {**ASKED, "n_examples_train": n, "max_examples": 10_000, "name": f"{n}"},
            )
            for n in (10, 20)
        ]
        found = selected(made, lake_of(tmp_path / str(seed), large, made), wanted)
        for n in (10, 20):
            rows, _ = found[f"{n}"]
            drawn[seed, n], silent[seed, n] = (
                {
                    latent: [
                        row["position"]
                        for row in rows
                        if row["latent"] == latent and row["split"] == split
                        if row["activating"] == (split == "train")
                    ]
                    for latent in large.fired
                }
                for split in ("train", "test")
            )
    shares = []
    for latent in large.fired:
        ranked = [window.position for window in ranked_windows(large, latent, centred)]
        for seed in (1, 2):
            assert set(drawn[seed, 10][latent]) < set(drawn[seed, 20][latent])
            shares += [ranked.index(position) / len(ranked) for position in drawn[seed, 20][latent]]
        assert set(drawn[1, 20][latent]) != set(drawn[2, 20][latent])
        assert set(silent[1, 20][latent]) != set(silent[2, 20][latent])
    # The mean of 960 even shares is within five standard errors of a half.
    assert len(shares) == 2 * 20 * len(large.fired)
    assert abs(np.mean(shares) - 0.5) < 5 * math.sqrt(1 / 12 / len(shares))
    # Two latents share half a window by chance, and 5 or more if they drew in one order.
    for drawn_by in (drawn[1, 20], silent[1, 20]):
        shared = [len(set(a) & set(b)) for a, b in combinations(drawn_by.values(), 2)]
        assert np.mean(shared) < 2
