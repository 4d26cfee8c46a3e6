"""The merged table holds what the shards gave, and a damaged file never becomes data."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delphi_assets import connect
from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.caching.published import published_buckets
from delphi_assets.errors import ConflictError, DataError, NotReadyError
from delphi_assets.lake.buckets import bucket_ranges
from delphi_assets.lake.database import open_database, stream
from delphi_assets.lake.lake import Draft, Lake, read_parquet
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import ACTIVATIONS
from delphi_assets.selection.latents import describe_latents
from delphi_assets.settings import Profile
from tests.parts.tiny_parts import LATENTS

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

HOOKPOINT = "layers.0"

Row = tuple[int, int, float]


@pytest.fixture
def profile(tiny_profile: Callable[..., Profile]) -> Profile:
    """One hookpoint in three shards and three buckets."""
    return tiny_profile(cache={"hookpoints": [HOOKPOINT]})


@pytest.fixture
def lake(profile: Profile) -> Lake:
    """A lake with captured shards."""
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    prepare_coder(profile, lake, HOOKPOINT)
    capture(profile, lake, range(profile.n_shards))
    return lake


def rows(lake: Lake, table: str) -> list[Row]:
    held = read_parquet(lake, lake.files(table, run="tiny", hookpoint=HOOKPOINT))
    names = ("latent", "position", "activation")
    return list(zip(*(held[name].to_pylist() for name in names), strict=True))


def test_the_shards_become_one_sorted_file_a_bucket(profile: Profile, lake: Lake) -> None:
    before = sorted(rows(lake, "captured"))
    report = merge_shards(profile, lake, HOOKPOINT)
    assert rows(lake, "activations") == before
    assert (report.rows, report.new_rows) == (len(before), len(before))
    for bucket, held in zip(
        bucket_ranges(LATENTS, 3), published_buckets(Place(profile, lake, HOOKPOINT)), strict=True
    ):
        (file,) = held.files
        assert f"/bucket={bucket.number}/" in file.path
        latents = read_parquet(lake, [lake.location(file.path)])["latent"].to_pylist()
        assert latents == sorted(latents)
        assert all(bucket.first <= latent < bucket.last for latent in latents)
        assert held.facts["tokens"] == len({position for _, position, _ in before})
        assert (held.facts["num_latents"], held.facts["device"]) == (LATENTS, "cpu")


def test_captured_files_are_taken_away_and_not_captured_again(profile: Profile, lake: Lake) -> None:
    merge_shards(profile, lake, HOOKPOINT)
    assert not list(Path(lake.root, "captured").rglob("*.parquet"))
    again = capture(profile, lake, range(profile.n_shards))
    assert (again.rows, again.new_rows) == (len(rows(lake, "activations")), 0)
    assert merge_shards(profile, lake, HOOKPOINT).new_rows == 0


def test_every_shard_must_be_there(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile(cache={"hookpoints": [HOOKPOINT]})
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    prepare_coder(profile, lake, HOOKPOINT)
    capture(profile, lake, [0, 2])
    with pytest.raises(NotReadyError, match=r"lacks 1 of 3 token shards.*first of them 1;.*'capt"):
        merge_shards(profile, lake, HOOKPOINT)
    with pytest.raises(NotReadyError, match=r"0 of 3 buckets.*materialize the asset 'activations'"):
        describe_latents(profile, lake, HOOKPOINT)
    capture(profile, lake, [1])
    merge_shards(profile, lake, HOOKPOINT)
    assert describe_latents(profile, lake, HOOKPOINT).rows == LATENTS


def test_an_interrupted_merge_goes_on(
    profile: Profile, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, publish = sorted(rows(lake, "captured")), Draft.publish

    def fail_on_the_second(self: Draft, *rest: Any, **named: Any) -> object:
        if self._unit.keys["bucket"] == 1:
            raise KeyboardInterrupt
        return publish(self, *rest, **named)

    monkeypatch.setattr(Draft, "publish", fail_on_the_second)
    with pytest.raises(KeyboardInterrupt):
        merge_shards(profile, lake, HOOKPOINT)
    monkeypatch.undo()
    assert sorted(rows(lake, "captured")) == before
    with pytest.raises(NotReadyError, match=r"[12] of 3 buckets"):
        published_buckets(Place(profile, lake, HOOKPOINT))
    report = merge_shards(profile, lake, HOOKPOINT)
    assert 0 < report.new_rows < report.rows
    assert rows(lake, "activations") == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def file_of(lake: Lake, table: str) -> Path:
    return Path(lake.files(table, run="tiny", hookpoint=HOOKPOINT)[1])


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_cut_shard_is_named_and_captured_again(
    profile: Profile,
    lake: Lake,
    damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before, file = sorted(rows(lake, "captured")), file_of(lake, "captured")
    damage(file)
    with pytest.raises(NotReadyError, match="lacks 1 of 3 token shards"):
        merge_shards(profile, lake, HOOKPOINT)
    assert str(file) in caplog.text
    report = capture(profile, lake, range(profile.n_shards))
    assert 0 < report.new_rows < report.rows
    merge_shards(profile, lake, HOOKPOINT)
    assert rows(lake, "activations") == before


def test_a_changed_shard_is_named_and_never_merged(profile: Profile, lake: Lake) -> None:
    before, file = sorted(rows(lake, "captured")), file_of(lake, "captured")
    flip(file)
    with pytest.raises(DataError, match=rf"{file} is not as it was written: delete it; mat"):
        merge_shards(profile, lake, HOOKPOINT)
    file.unlink()
    capture(profile, lake, range(profile.n_shards))
    merge_shards(profile, lake, HOOKPOINT)
    assert rows(lake, "activations") == before


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
def test_a_damaged_bucket_is_named_and_written_again(
    profile: Profile,
    lake: Lake,
    damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    merge_shards(profile, lake, HOOKPOINT)
    before, file = rows(lake, "activations"), file_of(lake, "activations")
    others = [path for path in lake.files("activations", run="tiny") if path != str(file)]
    written = [Path(path).stat().st_mtime_ns for path in others]
    damage(file)
    with pytest.raises(DataError, match=rf"{file} .*materialize the asset 'activations' again"):
        describe_latents(profile, lake, HOOKPOINT)
    if damage is flip:
        file.unlink()
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(NotReadyError, match=r"lacks 3 of 3.*'captured'"),
    ):
        merge_shards(profile, lake, HOOKPOINT)
    assert str(file) in caplog.text
    capture(profile, lake, range(profile.n_shards))
    report = merge_shards(profile, lake, HOOKPOINT)
    assert 0 < report.new_rows < report.rows
    assert rows(lake, "activations") == before
    assert [Path(path).stat().st_mtime_ns for path in others] == written


def test_other_settings_are_refused(
    profile: Profile, lake: Lake, tiny_profile: Callable[..., Profile]
) -> None:
    merge_shards(profile, lake, HOOKPOINT)
    other = tiny_profile(
        cache={"hookpoints": [HOOKPOINT], "activation_dtype": "float32"},
    )
    for stage in (merge_shards, describe_latents):
        with pytest.raises(ConflictError, match=r"cache\.activation_dtype = 'float16', now"):
            stage(other, lake, HOOKPOINT)


def test_another_coder_under_the_same_name_is_refused(
    profile: Profile, lake: Lake, tiny_profile: Callable[..., Profile], tiny_coder: Path
) -> None:
    def named(source: str) -> Profile:
        return tiny_profile(
            cache={"hookpoints": ["layers.0@one"]}, coder={"sparse_models": {"one": source}}
        )

    first, second = named(str(tiny_coder)), named(str(tiny_coder) + "/")
    prepare_coder(first, lake, "layers.0@one")
    capture(first, lake, range(first.n_shards))
    merge_shards(first, lake, "layers.0@one")
    assert describe_latents(first, lake, "layers.0@one").rows == LATENTS
    for stage in (merge_shards, describe_latents):
        with pytest.raises(ConflictError, match=r"coder\.sparse_model = .*run\.name"):
            stage(second, lake, "layers.0@one")


def test_a_latents_rows_are_found_through_the_view(profile: Profile, lake: Lake) -> None:
    """Row groups say which latents they hold; DuckDB reads by them."""
    merge_shards(profile, lake, HOOKPOINT)
    file = pq.ParquetFile(file_of(lake, "activations"))
    held, latents = file.read()["latent"].to_pylist(), file.metadata.row_group(0).column(0)
    assert (latents.statistics.min, latents.statistics.max) == (held[0], held[-1])
    assert set(latents.encodings) == {"DELTA_BINARY_PACKED", "RLE"}
    expected = [row[1:] for row in rows(lake, "activations") if row[0] == 20]
    with connect(lake) as con:
        found: pa.Table = con.sql(
            "select position, activation from activations where latent = 20 order by position"
        ).to_arrow_table()
    assert list(zip(*(column.to_pylist() for column in found.columns), strict=True)) == expected


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 5), row_group=st.integers(1, 20))
def test_merging_is_sorting(tmp_path: Path, seed: int, n_parts: int, row_group: int) -> None:
    """Parts with positions of their own; latents that never, seldom or often fire."""
    rng = np.random.default_rng(seed)
    density, expected, files = rng.choice([0.0, 0.05, 0.9], 12), [], []
    for part in range(n_parts):
        fired = sorted(
            (latent, 30 * part + offset, float(rng.integers(1, 9)))
            for latent in range(12)
            for offset in range(30)
            if rng.random() < density[latent]
        )
        expected += [row for row in fired if 3 <= row[0] < 9]
        columns = [list(column) for column in zip(*fired, strict=True)] or [[], [], []]
        names = ACTIVATIONS.arrow.names
        rows_of_part = pa.table(dict(zip(names, columns, strict=True)), ACTIVATIONS.arrow)
        files.append(str(tmp_path / f"{part}.parquet"))
        pq.write_table(rows_of_part, files[-1], row_group_size=row_group)
    with open_database(Lake(tmp_path)) as con:
        tables = list(stream(con, "activations/merged", captured=files, first=3, last=9))
    found = [
        row
        for held in tables
        for row in zip(*(column.to_pylist() for column in held.columns), strict=True)
    ]
    assert found == sorted(expected)


def test_more_than_memory_holds_is_sorted_on_disk(tmp_path: Path) -> None:
    """12 million rows, 192 MB, in 64 MiB."""
    rng, files, n = np.random.default_rng(0), [], 3_000_000
    for part in range(4):
        latents = np.sort(rng.integers(0, 1000, n, dtype=np.int32))
        columns = {
            "latent": latents,
            "position": rng.integers(0, 10**6, n) + part * 10**6,
            "activation": np.ones(n, dtype=np.float32),
        }
        files.append(str(tmp_path / f"{part}.parquet"))
        pq.write_table(pa.table(columns, ACTIVATIONS.arrow), files[-1])
    count, last = 0, (-1, -1)
    with open_database(Lake(tmp_path), memory_limit="64MiB") as con:
        for held in stream(con, "activations/merged", captured=files, first=0, last=1000):
            latents, positions = held["latent"].to_numpy(), held["position"].to_numpy()
            keys = latents.astype(np.int64) * 10**7 + positions
            assert (np.diff(keys) >= 0).all()
            assert (latents[0], positions[0]) >= last
            count, last = count + held.num_rows, (latents[-1], positions[-1])
    assert count == 4 * n
