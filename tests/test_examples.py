"""Selection: by hand, against a brute-force reference, and by properties on random caches."""

import hashlib
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delphi_assets import connect
from delphi_assets.errors import ConflictError, NotReadyError, SettingError
from delphi_assets.examples import select_examples
from delphi_assets.lake import Lake
from delphi_assets.latents import describe_latents
from delphi_assets.records import LatentRecord, read_records
from delphi_assets.settings import SelectionSettings, parse_latents
from tests.random_lake import (
    HOOKPOINT,
    RandomLake,
    profile_of,
    random_lake,
    write_activations,
    write_corpus,
)

WINDOW = 8


def selection(**changes: object) -> SelectionSettings:
    base: dict[str, object] = {
        "example_ctx_len": WINDOW,
        "min_examples": 4,
        "max_examples": 40,
        "n_examples_train": 7,
        "n_examples_test": 6,
        "n_non_activating": 9,
        "n_quantiles": 3,
    }
    return SelectionSettings.model_validate({**base, **changes})


def records(data: RandomLake, chosen: SelectionSettings) -> dict[int, LatentRecord]:
    select_examples(data.profile, data.lake, HOOKPOINT, chosen)
    found = read_records(data.lake, "random", HOOKPOINT, chosen.name, parse_latents("all"))
    return {record.latent: record for record in found}


def draw(seed: int, latent: int, position: int) -> int:
    """The window's place in the order of draws, see sql/examples/draw.sql."""
    digest = hashlib.md5(f"{seed} random {latent}".encode()).digest()
    x = position // WINDOW ^ int.from_bytes(digest[8:], "little") % 2**32
    for _ in range(2):
        x = (x ^ x >> 16) * 73244475 % 2**32
    return x ^ x >> 16


def pool_of(data: RandomLake, latent: int, chosen: SelectionSettings) -> list[tuple[int, float]]:
    """The pool of aligned windows (position, maximum), strongest first, by brute force."""
    maxima: dict[int, float] = defaultdict(float)
    for position, value in data.fired[latent].items():
        start = position // WINDOW * WINDOW
        if start + WINDOW <= len(data.tokens):
            maxima[start] = max(maxima[start], value)
    ranked = sorted(maxima.items(), key=lambda item: (-item[1], item[0]))
    pool = ranked[: chosen.max_examples]
    return pool if len(pool) >= chosen.min_examples else []


def turns(pool: list[tuple[int, int]], latent: int, seed: int, count: int) -> list[int]:
    """Round robin over the quantiles of (position, quantile), each in its hashed order."""
    by_quantile: dict[int, list[int]] = defaultdict(list)
    for position, quantile in pool:
        by_quantile[quantile].append(position)
    order = [
        (turn, quantile, position)
        for quantile, positions in by_quantile.items()
        for turn, position in enumerate(
            sorted(positions, key=lambda position: (draw(seed, latent, position), position))
        )
    ]
    return [position for _, _, position in sorted(order)[:count]]


def reference(
    data: RandomLake, latent: int, chosen: SelectionSettings
) -> tuple[list[int], list[int]]:
    """Train and test positions by the rules, written down without SQL."""
    seed = data.profile.run.seed
    ranked = pool_of(data, latent, chosen)
    bins = [
        (position, place * chosen.n_quantiles // len(ranked))
        for place, (position, _) in enumerate(ranked)
    ]
    n_train = chosen.n_examples_train
    if chosen.train_type == "top":
        train = [position for position, _ in ranked[:n_train]]
    elif chosen.train_type == "random":
        train = sorted(
            (position for position, _ in ranked), key=lambda p: (draw(seed, latent, p), p)
        )[:n_train]
    elif chosen.train_type == "quantiles":
        train = turns(bins, latent, seed, n_train)
    else:
        n_top = round(n_train * chosen.ratio_top)
        rest = turns(bins[n_top:], latent, seed, max(0, n_train - n_top))
        train = [position for position, _ in ranked[:n_top]] + rest
    if ranked and chosen.test_type == "activations":
        strengths = [value for _, value in ranked]
        width = (max(strengths) - min(strengths)) / chosen.n_quantiles
        bins = [
            (position, min(chosen.n_quantiles - 1, int((max(strengths) - value) / (width or 1))))
            for position, value in ranked
        ]
    held_out = [item for item in bins if item[0] not in set(train)]
    return sorted(train), sorted(turns(held_out, latent, seed, chosen.n_examples_test))


@pytest.mark.parametrize("test_type", ["quantiles", "activations"])
@pytest.mark.parametrize("train_type", ["top", "random", "quantiles", "mix"])
def test_aligned_windows_equal_the_reference(
    tmp_path: Path, train_type: str, test_type: str
) -> None:
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    chosen = selection(train_type=train_type, test_type=test_type, ratio_top=0.4, n_quantiles=4)
    found = records(data, chosen)
    compared = 0
    for latent in data.fired:
        train, test = reference(data, latent, chosen)
        if not train:
            assert latent not in found
            continue
        record = found[latent]
        assert sorted(example.position for example in record.train) == train
        assert sorted(example.position for example in record.test) == test
        compared += 1
    assert compared >= 8


def test_rows_carry_the_right_tokens_activations_and_scale(tmp_path: Path) -> None:
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    for record in records(data, selection()).values():
        fired = data.fired[record.latent]
        strongest = pool_of(data, record.latent, selection())[0][1]
        assert [example.example for example in record.examples] == list(range(len(record.examples)))
        for example in record.examples:
            places = range(example.position, example.position + WINDOW)
            assert example.tokens == [data.tokens[place] for place in places]
            assert example.str_tokens == [f" t{data.tokens[place]}" for place in places]
            assert example.activations == [fired.get(place, 0.0) for place in places]
            assert example.max_activation == max(example.activations)
            assert example.latent_max == strongest
            for value, normalized in zip(example.activations, example.normalized, strict=True):
                assert normalized == min(10, -int(-10 * value // strongest))


def test_quantile_zero_is_the_strongest(tmp_path: Path) -> None:
    data = random_lake(tmp_path, n_tokens=4_000, example_ctx_len=WINDOW)
    chosen = selection(n_examples_train=9, n_examples_test=9, max_examples=1_000)
    for record in records(data, chosen).values():
        weakest: dict[int | None, float] = {}
        strongest: dict[int | None, float] = {}
        for example in record.train + record.test:
            bin_ = example.quantile
            weakest[bin_] = min(weakest.get(bin_, 99), example.max_activation)
            strongest[bin_] = max(strongest.get(bin_, 0), example.max_activation)
        assert weakest[0] >= strongest[1]
        assert weakest[1] >= strongest[2]
        assert Counter(example.quantile for example in record.train) == {0: 3, 1: 3, 2: 3}
        assert all(example.quantile is None for example in record.non_activating)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_tokens=st.integers(200, 1_500),
    train_type=st.sampled_from(["top", "random", "quantiles", "mix"]),
    test_type=st.sampled_from(["quantiles", "activations"]),
    centred=st.booleans(),
    n_train=st.integers(1, 12),
    n_test=st.integers(0, 12),
    n_silent=st.integers(0, 30),
)
def test_properties(
    seed: int,
    n_tokens: int,
    train_type: str,
    test_type: str,
    centred: bool,
    n_train: int,
    n_test: int,
    n_silent: int,
) -> None:
    with TemporaryDirectory() as folder:
        data = random_lake(Path(folder), seed=seed, n_tokens=n_tokens, example_ctx_len=WINDOW)
        chosen = selection(
            train_type=train_type,
            test_type=test_type,
            center_examples=centred,
            n_examples_train=n_train,
            n_examples_test=n_test,
            n_non_activating=n_silent,
        )
        found = records(data, chosen)
        shortfalls = {
            row["latent"]: row
            for row in connect(data.lake).sql("from shortfalls").to_arrow_table().to_pylist()
        }
        for latent, fired in data.fired.items():
            if latent not in found:
                assert shortfalls[latent]["pool"] < 4
                continue
            record = found[latent]
            _assert_disjoint(record)
            _assert_silent_and_distinct(record, fired)
            _assert_counts(data, record, chosen, shortfalls.get(latent))
            if centred:
                _assert_centred(record, n_tokens, data.profile.cache.cache_ctx_len)


def _assert_disjoint(record: LatentRecord) -> None:
    places = [
        place
        for example in record.examples
        for place in range(example.position, example.position + WINDOW)
    ]
    assert len(places) == len(set(places))


def _assert_silent_and_distinct(record: LatentRecord, fired: dict[int, float]) -> None:
    starts = [example.position for example in record.non_activating]
    assert len(starts) == len(set(starts))
    for start in starts:
        assert not any(place in fired for place in range(start, start + WINDOW))


def _assert_counts(
    data: RandomLake,
    record: LatentRecord,
    chosen: SelectionSettings,
    shortfall: dict[str, int] | None,
) -> None:
    n_windows = len(data.tokens) // WINDOW
    taken = {place // WINDOW for place in data.fired[record.latent]}
    for example in record.train + record.test:
        taken |= {example.position // WINDOW, (example.position + WINDOW - 1) // WINDOW}
    n_silent = sum(window not in taken for window in range(n_windows))
    assert len(record.non_activating) == min(chosen.n_non_activating, n_silent)
    missing = (
        chosen.n_examples_train - len(record.train),
        chosen.n_examples_test - len(record.test),
        chosen.n_non_activating - len(record.non_activating),
    )
    if shortfall is None:
        assert missing == (0, 0, 0)
    else:
        names = ("train_missing", "test_missing", "non_activating_missing")
        assert tuple(shortfall[name] for name in names) == missing
        drawn = len(record.train) + len(record.test)
        asked = chosen.n_examples_train + chosen.n_examples_test
        assert drawn == min(asked, shortfall["pool"])


def _assert_centred(record: LatentRecord, n_tokens: int, ctx_len: int) -> None:
    for example in record.train + record.test:
        first, last = example.position, example.position + WINDOW
        assert first // ctx_len == (last - 1) // ctx_len
        assert last <= n_tokens
        strongest = example.activations[WINDOW // 2] == example.max_activation
        edge = first % ctx_len == 0 or last % ctx_len == 0 or last == n_tokens
        assert strongest or edge


def test_negatives_differ_between_latents(tmp_path: Path) -> None:
    data = random_lake(tmp_path, n_tokens=8_000, example_ctx_len=WINDOW)
    drawn = [
        frozenset(example.position for example in record.non_activating)
        for record in records(data, selection()).values()
    ]
    assert len(drawn) > 5
    assert len(set(drawn)) == len(drawn)


def test_same_rows_under_any_bucket_count(tmp_path: Path) -> None:
    rows = []
    for n_buckets in (1, 5):
        data = random_lake(tmp_path / str(n_buckets), n_buckets=n_buckets, example_ctx_len=WINDOW)
        rows.append(records(data, selection()))
    assert rows[0] == rows[1]


def test_by_hand(tmp_path: Path) -> None:
    """Windows of 8 in contexts of 32: latent 1 fires at 3 (4.0), 9 (2.0), 12 (3.0) and 40 (1.0)."""
    data = random_lake(tmp_path, n_tokens=64, num_latents=2, n_buckets=1, example_ctx_len=WINDOW)
    data.fired[1].clear()
    data.fired[1].update({3: 4.0, 9: 2.0, 12: 3.0, 40: 1.0})
    fresh = RandomLake(Lake(tmp_path / "hand"), data.profile, data.tokens, data.fired)
    fresh.lake.claim_run("random", data.profile.run_config())
    write_corpus(fresh.lake, fresh.profile, fresh.tokens)
    write_activations(fresh.lake, fresh.profile, fresh.fired, 2)
    chosen = selection(
        min_examples=1, n_examples_train=2, n_examples_test=5, train_type="top", n_quantiles=3
    )
    record = records(fresh, chosen)[1]
    assert [(e.position, e.max_activation, e.quantile) for e in record.train] == [
        (0, 4.0, 0),
        (8, 3.0, 1),
    ]
    assert [(e.position, e.activations, e.normalized) for e in record.test] == [
        (40, [1.0, 0, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0])
    ]
    assert record.train[1].activations == [0, 2.0, 0, 0, 3.0, 0, 0, 0]
    assert sorted(e.position for e in record.non_activating) == [16, 24, 32, 48, 56]
    (shortfall,) = (
        connect(fresh.lake).sql("from shortfalls where latent = 1").to_arrow_table().to_pylist()
    )
    assert (shortfall["test_missing"], shortfall["non_activating_missing"]) == (4, 4)
    centred = records(fresh, chosen.model_copy(update={"name": "c", "center_examples": True}))[1]
    # 3 is near the context's start; the window around 12 starts at 8; that around 40 at 36.
    assert [e.position for e in centred.train + centred.test] == [0, 8, 36]


def test_a_taken_name_is_refused_and_a_second_call_adds_nothing(tmp_path: Path) -> None:
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    first = select_examples(data.profile, data.lake, HOOKPOINT, selection())
    again = select_examples(data.profile, data.lake, HOOKPOINT, selection())
    assert first.new_rows == first.rows == again.rows > 0
    assert again.new_rows == 0
    with pytest.raises(ConflictError, match="train_type = 'quantiles', now train_type = 'top'"):
        select_examples(data.profile, data.lake, HOOKPOINT, selection(train_type="top"))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    profile = profile_of(100, 32, 2, example_ctx_len=WINDOW)
    with pytest.raises(NotReadyError, match=r"no run 'random'.* 'contexts'"):
        select_examples(profile, Lake(tmp_path / "new"), HOOKPOINT, selection())
    data = random_lake(tmp_path / "lake", example_ctx_len=WINDOW)
    manifests = tmp_path / "lake/manifests"
    select_examples(data.profile, data.lake, HOOKPOINT, selection())
    (bucket,) = manifests.glob("examples/*/*/*/bucket-00001.json")
    bucket.unlink()
    with pytest.raises(NotReadyError, match=r"2 of 3 buckets .* 'examples'"):
        next(read_records(data.lake, "random", HOOKPOINT, "default", parse_latents("all")))
    (weights,) = manifests.glob("weights/*/*/all.json")
    weights.unlink()
    with pytest.raises(NotReadyError, match=r"no weights .* 'sparse_coder'"):
        select_examples(data.profile, data.lake, HOOKPOINT, selection())
    (bucket,) = manifests.glob("activations/*/*/bucket=1/all.json")
    bucket.unlink()
    with pytest.raises(NotReadyError, match=r"2 of 3 buckets .* 'activations'"):
        select_examples(data.profile, data.lake, HOOKPOINT, selection())


def test_a_changed_run_and_a_window_that_does_not_fit_are_refused(tmp_path: Path) -> None:
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    cache = data.profile.cache.model_copy(update={"n_buckets": 2})
    changed = data.profile.model_copy(update={"cache": cache})
    for stage in (describe_latents, partial(select_examples, selection=selection())):
        with pytest.raises(ConflictError, match=r"cache.n_buckets = 3, now cache.n_buckets = 2"):
            stage(changed, data.lake, HOOKPOINT)
    with pytest.raises(SettingError, match=r"example_ctx_len = 12 does not divide .* = 32"):
        select_examples(data.profile, data.lake, HOOKPOINT, selection(example_ctx_len=12))


def test_windows_are_ranked_once(tmp_path: Path) -> None:
    """The table holds every whole window by strength; a second selection finds it there."""
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    select_examples(data.profile, data.lake, HOOKPOINT, selection())
    with connect(data.lake) as con:
        rows = con.sql("from windows order by latent, place").to_arrow_table().to_pylist()
    everything = selection(max_examples=10_000, min_examples=1)
    for latent in data.fired:
        found = [row for row in rows if row["latent"] == latent]
        expected = pool_of(data, latent, everything)
        assert [(row["position"], row["max_activation"]) for row in found] == expected
        assert [row["place"] for row in found] == list(range(1, len(found) + 1))
        assert {row["example_ctx_len"] for row in found} <= {WINDOW}
    written = [path.stat().st_mtime_ns for path in (tmp_path / "windows").rglob("*.parquet")]
    select_examples(data.profile, data.lake, HOOKPOINT, selection(name="other", train_type="top"))
    again = [path.stat().st_mtime_ns for path in (tmp_path / "windows").rglob("*.parquet")]
    assert sorted(again) == sorted(written)
