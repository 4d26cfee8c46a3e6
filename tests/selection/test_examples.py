"""Selection: by hand, and draws by hash against a brute-force reference."""

import hashlib
from collections import defaultdict
from functools import partial
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import ConflictError, NotReadyError, SettingError
from delphi_assets.lake.lake import File, Lake, read_parquet
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.reading.records import LatentRecord, Selection
from delphi_assets.selection.examples import choose_examples, select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.settings import SelectionSettings
from tests.parts.random_lake import (
    HOOKPOINT,
    RandomLake,
    profile_of,
    random_lake,
    write_activations,
    write_corpus,
)

pytestmark = pytest.mark.slow

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
    found = Selection(data.lake, "random", HOOKPOINT, chosen.name).records(parse_latents("all"))
    return {record.latent: record for record in found}


def draw(seed: int, latent: int, position: int) -> int:
    """The window's place in the order of draws, see sql/examples/1_macros/draw.sql."""
    digest = hashlib.md5(f"{seed} random {HOOKPOINT} {latent}".encode()).digest()
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
        next(Selection(data.lake, "random", HOOKPOINT, "default").records(parse_latents("all")))
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


def test_damaged_windows_are_written_again(tmp_path: Path) -> None:
    """A bit of them flips, which their size does not tell."""
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    expected = records(data, selection())
    for path in (tmp_path / "windows").rglob("bucket=*/*.parquet"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert records(data, selection(name="again")) == expected
    with connect(data.lake) as con:
        (twice,) = con.sql(
            "select count(*) - count(distinct (latent, place)) from windows"
        ).fetchall()[0]
    assert twice == 0


@pytest.mark.parametrize("signed", [False, True])
def test_windows_that_were_ranked_by_the_largest_activation(tmp_path: Path, signed: bool) -> None:
    """They are ranked again where an activation is negative, and good as they are elsewhere."""
    data = random_lake(tmp_path, example_ctx_len=WINDOW, signed=signed)
    expected = records(data, selection())
    config = data.profile.hookpoint_config(HOOKPOINT)
    for manifest in data.lake.manifests("windows"):
        rows = read_parquet(data.lake, data.lake.checked("windows", manifest.files))
        for file in manifest.files:
            data.lake.discard(file.path)
        data.lake.publish(manifest.unit, [File(rows)], config)
    before = [manifest.written_at for manifest in data.lake.manifests("windows")]
    assert records(data, selection(name="again")) == expected
    after = [manifest.written_at for manifest in data.lake.manifests("windows")]
    assert (before != after) == signed


def test_hookpoints_draw_for_themselves(tmp_path: Path) -> None:
    """Two hookpoints with the same firings drew the same windows for the same latent."""
    same = {}
    for by_hookpoint in (False, True):
        chosen = selection(
            name=f"{by_hookpoint}", train_type="random", draw_by_hookpoint=by_hookpoint
        )
        found = []
        for hookpoint in ("layers.0", "layers.1"):
            data = random_lake(
                tmp_path / f"{by_hookpoint}-{hookpoint}",
                n_tokens=4_000,
                hookpoint=hookpoint,
                example_ctx_len=WINDOW,
            )
            rows = choose_examples(data.profile, data.lake, hookpoint, chosen)
            table = rows.select(["latent", "activating", "split", "position"]).to_pylist()
            found.append({tuple(row.values()) for row in table})
        first, second = found
        same[by_hookpoint] = len(first & second) / len(first)
    assert same[False] == 1
    assert same[True] < 0.5
