"""What is stored is what a dense pass over whole contexts gives, however it was interrupted."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from delphi_assets import connect
from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.caching.entries import capacity
from delphi_assets.coders import load_coder
from delphi_assets.errors import ConflictError, DataError, NotReadyError, SettingError
from delphi_assets.lake.buckets import bucket_ranges
from delphi_assets.lake.lake import Draft, Lake, read_parquet
from delphi_assets.models.subject import Hook, forward_to, load_subject
from delphi_assets.settings import Profile
from tests.parts.tiny_parts import LATENTS, make_coder

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

Entry = tuple[int, int, float]


def prepared(profile: Profile) -> Lake:
    lake = Lake(profile.run.lake)
    prepare(profile, lake)
    return lake


def prepare(profile: Profile, lake: Lake) -> None:
    """Everything that a capture needs."""
    build_contexts(profile, lake)
    for hookpoint in profile.cache.hookpoints:
        prepare_coder(profile, lake, hookpoint)


def stored(profile: Profile, lake: Lake, hookpoint: str) -> pa.Table:
    return read_parquet(lake, lake.files("captured", run=profile.run.name, hookpoint=hookpoint))


def entries(rows: pa.Table) -> list[Entry]:
    columns = ("latent", "position", "activation")
    return sorted(zip(*(rows[name].to_pylist() for name in columns), strict=True))


def brute_force(profile: Profile, lake: Lake, hookpoint: str, source: str | None) -> list[Entry]:
    """One whole context at a time through the whole model, and a dense matrix of latents."""
    assert source is not None
    subject, coder = load_subject(profile.model), load_coder(source, hookpoint)
    module = subject.model.get_submodule(hookpoint)
    seen: dict[str, torch.Tensor] = {}
    module.register_forward_hook(lambda _, args, out: seen.update(input=args[0], output=out))
    contexts = read_parquet(lake, lake.files("contexts", run=profile.run.name))
    found = []
    for number, tokens in zip(
        contexts["context"].to_pylist(), contexts["tokens"].to_pylist(), strict=True
    ):
        subject.model(input_ids=torch.tensor([tokens]))
        fired = coder.encode(seen[coder.shape.side][0])
        dense = torch.zeros(len(tokens), LATENTS)
        dense[fired.row, fired.latent] = fired.value
        special = [0, 1, 2] if profile.cache.filter_bos else []
        found += [
            (latent, number * profile.cache.cache_ctx_len + offset, float(dense[offset, latent]))
            for offset, latent in dense.nonzero().tolist()
            if tokens[offset] not in special
        ]
    return sorted(found)


@pytest.mark.parametrize("filter_bos", [True, False])
def test_capture_equals_a_dense_pass(
    tiny_profile: Callable[..., Profile], filter_bos: bool
) -> None:
    profile = tiny_profile(cache={"filter_bos": filter_bos})
    lake = prepared(profile)
    report = capture(profile, lake, range(profile.n_shards))
    total = 0
    for hookpoint in profile.cache.hookpoints:
        rows = entries(stored(profile, lake, hookpoint))
        expected = brute_force(profile, lake, hookpoint, profile.coder.sparse_model)
        assert [row[:2] for row in rows] == [row[:2] for row in expected]
        assert [row[2] for row in rows] == pytest.approx([row[2] for row in expected], rel=2e-3)
        assert all(row[2] == float(torch.tensor(row[2]).half()) for row in rows)
        total += len(rows)
    assert report.rows == report.new_rows == total


def test_files_are_sorted_with_row_groups_that_end_where_a_bucket_does(
    tiny_profile: Callable[..., Profile],
) -> None:
    profile = tiny_profile()
    lake = prepared(profile)
    capture(profile, lake, range(profile.n_shards))
    buckets = bucket_ranges(LATENTS, profile.cache.n_buckets)
    for shard in range(profile.n_shards):
        (manifest,) = lake.manifests("captured", run="tiny", hookpoint="layers.0", shard=shard)
        (file,) = manifest.files
        assert f"/shard={shard}/part=0/" in file.path
        parquet = pq.ParquetFile(lake.location(file.path))
        assert parquet.num_row_groups == len(buckets)
        pairs: list[tuple[int, int]] = []
        for bucket in buckets:
            rows = parquet.read_row_group(bucket.number)
            assert all(
                bucket.first <= latent < bucket.last for latent in rows["latent"].to_pylist()
            )
            pairs += zip(rows["latent"].to_pylist(), rows["position"].to_pylist(), strict=True)
        assert pairs == sorted(set(pairs))
        first = shard * profile.cache.shard_tokens
        assert all(first <= p < first + profile.cache.shard_tokens for _, p in pairs)


def test_a_full_buffer_is_written_as_a_part(
    tiny_profile: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tiny_profile()
    parts = tiny_profile(run={"name": "parts"}, cache={"buffer_mib": 64})
    lake = prepared(profile)
    prepare(parts, lake)
    capture(profile, lake, range(profile.n_shards))
    # As if sorting took so much that 900 entries of a hookpoint fill the smallest buffer.
    monkeypatch.setattr("delphi_assets.caching.entries.SORTED_BYTES", 64 * 2**20 // 900)
    capture(parts, lake, range(parts.n_shards))
    (manifest,) = lake.manifests("captured", run="parts", hookpoint="layers.0", shard=0)
    rows = [pq.read_metadata(lake.location(file.path)).num_rows for file in manifest.files]
    assert len(rows) > 1
    room = capacity(64 * 2**20, 2)
    assert room < 900
    assert set(rows[:-1]) == {room}
    assert 0 <= rows[-1] <= room
    for hookpoint in profile.cache.hookpoints:
        assert entries(stored(parts, lake, hookpoint)) == entries(stored(profile, lake, hookpoint))


def test_several_coders_on_one_module_take_one_pass(
    tiny_profile: Callable[..., Profile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SAE, a wider one, and a transcoder of the module's input, each as if it were alone."""
    wide = make_coder(tmp_path / "wide", "layers.1", seed=8, num_latents=2 * LATENTS)
    inputs = make_coder(tmp_path / "inputs", "layers.1", seed=9, transcode=True)
    names = ["layers.1", "layers.1@wide", "layers.1@inputs"]
    sources = {"wide": str(wide), "inputs": str(inputs)}
    together = tiny_profile(cache={"hookpoints": names}, coder={"sparse_models": sources})
    lake = prepared(together)
    passes = []

    def counted(model: Any, hooks: Any, *batch: Any) -> Any:
        passes.append(set(hooks))
        return forward_to(model, hooks, *batch)

    monkeypatch.setattr("delphi_assets.caching.capture.forward_to", counted)
    capture(together, lake, range(together.n_shards))
    assert set(map(frozenset, passes)) == {
        frozenset({Hook("layers.1", "output"), Hook("layers.1", "input")})
    }
    assert len(passes) == sum(-(-rows // 5) for rows in (12, 12, 8))
    for name in names:
        source = together.sparse_model_of(name)
        alone = tiny_profile(
            run={"name": "alone", "lake": str(tmp_path / name)},
            cache={"hookpoints": ["layers.1"]},
            coder={"sparse_model": source, "sparse_models": {}},
        )
        other = prepared(alone)
        capture(alone, other, range(alone.n_shards))
        expected = entries(stored(alone, other, "layers.1"))
        assert entries(stored(together, lake, name)) == expected
        assert expected
    merge_shards(together, lake, "layers.1@wide")
    with connect(lake) as con:
        shown = con.sql("select hookpoint, max(latent) from activations group by all").fetchall()
    ((name, largest),) = shown
    assert (name, LATENTS <= largest < 2 * LATENTS) == ("layers.1@wide", True)


def test_single_precision_is_kept_when_asked_for(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    coders = make_coder(tmp_path / "coders", "layers.0")
    break_coder(coders, 1e6)
    profile = tiny_profile(
        cache={"hookpoints": ["layers.0"], "activation_dtype": "float32"},
        coder={"sparse_model": str(coders)},
    )
    lake = prepared(profile)
    capture(profile, lake, range(profile.n_shards))
    rows = entries(stored(profile, lake, "layers.0"))
    expected = brute_force(profile, lake, "layers.0", str(coders))
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    assert [row[2] for row in rows] == pytest.approx([row[2] for row in expected], rel=1e-5)
    assert max(row[2] for row in rows) > 65_504
    assert any(row[2] != float(torch.tensor(row[2]).half()) for row in rows)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_encoders_precision_is_a_setting(
    tiny_profile: Callable[..., Profile], dtype: str
) -> None:
    profile = tiny_profile(coder={"dtype": dtype}, cache={"hookpoints": ["layers.0"]})
    lake = prepared(profile)
    capture(profile, lake, [0])
    (manifest,) = lake.manifests("captured", run="tiny")
    assert (manifest.config["coder.dtype"], manifest.facts["device"]) == (dtype, "cpu")
    values = torch.tensor(stored(profile, lake, "layers.0")["activation"].to_pylist())
    torch.testing.assert_close(values, values.to(getattr(torch, dtype)).float(), rtol=0, atol=0)


def test_batch_size_and_shards_change_nothing(tiny_profile: Callable[..., Profile]) -> None:
    one = tiny_profile()
    other = tiny_profile(
        run={"name": "other"}, cache={"batch_size": 100, "shard_tokens": 1024, "n_buckets": 1}
    )
    lake = prepared(one)
    prepare(other, lake)
    for profile in (one, other):
        capture(profile, lake, range(profile.n_shards))
    for hookpoint in one.cache.hookpoints:
        a, b = (entries(stored(profile, lake, hookpoint)) for profile in (one, other))
        assert [row[:2] for row in a] == [row[:2] for row in b]
        assert [row[2] for row in a] == pytest.approx([row[2] for row in b], rel=2e-3)


def test_a_corpus_shorter_than_a_batch_is_captured(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    (tmp_path / "short.txt").write_text("a few words")
    profile = tiny_profile(corpus={"dataset_repo": str(tmp_path / "short.txt")})
    lake = prepared(profile)
    report = capture(profile, lake, range(profile.n_shards))
    assert report.facts["tokens"] == len(set(stored(profile, lake, "layers.0")["position"]))
    assert entries(stored(profile, lake, "layers.0")) == brute_force_rounded(profile, lake)


def brute_force_rounded(profile: Profile, lake: Lake) -> list[Any]:
    return [
        (latent, position, pytest.approx(value, rel=2e-3))
        for latent, position, value in brute_force(
            profile, lake, "layers.0", profile.coder.sparse_model
        )
    ]


def test_an_interrupted_capture_ends_with_the_same_rows(
    tiny_profile: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tiny_profile()
    lake = prepared(profile)
    publish, drafts = Draft.publish, []

    def fail_on_the_fourth(self: Draft, *rest: Any, **named: Any) -> Any:
        drafts.append(self)
        if len(drafts) == 4:
            raise KeyboardInterrupt
        return publish(self, *rest, **named)

    monkeypatch.setattr(Draft, "publish", fail_on_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        capture(profile, lake, range(profile.n_shards))
    monkeypatch.setattr(Draft, "publish", publish)
    assert not list(Path(lake.root, "staging").iterdir())
    before = {path: Path(path).stat().st_mtime_ns for path in lake.files("captured", run="tiny")}
    report = capture(profile, lake, range(profile.n_shards))
    assert {path: Path(path).stat().st_mtime_ns for path in before} == before
    assert 0 < report.new_rows < report.rows

    whole = tiny_profile(run={"name": "whole"})
    prepare(whole, lake)
    capture(whole, lake, range(whole.n_shards))
    for hookpoint in profile.cache.hookpoints:
        rows = entries(stored(profile, lake, hookpoint))
        assert rows == entries(stored(whole, lake, hookpoint))
    again = capture(profile, lake, range(profile.n_shards))
    assert (again.rows, again.new_rows) == (report.rows, 0)


def test_shards_can_be_captured_apart(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile()
    lake = prepared(profile)
    parts = [capture(profile, lake, [shard]) for shard in reversed(range(profile.n_shards))]
    whole = capture(profile, lake, range(profile.n_shards))
    assert whole.rows == sum(part.rows for part in parts)
    assert whole.new_rows == 0


def test_padding_and_special_tokens_never_fire(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile()
    lake = prepared(profile)
    capture(profile, lake, range(profile.n_shards))
    contexts = read_parquet(lake, lake.files("contexts", run="tiny"))
    tokens = {
        number * 32 + offset: token
        for number, row in zip(
            contexts["context"].to_pylist(), contexts["tokens"].to_pylist(), strict=True
        )
        for offset, token in enumerate(row)
    }
    fired = {
        tokens[position] for position in stored(profile, lake, "layers.0")["position"].to_pylist()
    }
    assert fired
    assert not fired & {0, 1, 2}
    assert pc.min(stored(profile, lake, "layers.0")["activation"]).as_py() > 0


def break_coder(folder: Path, value: float) -> None:
    path = folder / "layers.0" / "sae.safetensors"
    tensors = load_file(path)
    tensors["encoder.bias"][5] = value
    save_file(tensors, path)


def test_what_half_precision_cannot_hold_is_refused(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    coders = make_coder(tmp_path / "coders", "layers.0")
    break_coder(coders, 1e6)
    profile = tiny_profile(cache={"hookpoints": ["layers.0"]}, coder={"sparse_model": str(coders)})
    lake = prepared(profile)
    with pytest.raises(
        DataError, match=r"latent 5 of hookpoint 'layers\.0'.*position 1;.*too large.*'float32'"
    ):
        capture(profile, lake, [0])
    assert not lake.manifests("captured", run="tiny")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(
    tiny_profile: Callable[..., Profile],
    tiny_model: Path,
    tmp_path: Path,
    value: float,
    dtype: str,
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    tensors = load_file(model / "model.safetensors")
    tensors["model.layers.0.mlp.down_proj.weight"][5] = value
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    profile = tiny_profile(
        model={"name": str(model), "dtype": dtype}, cache={"hookpoints": ["layers.0"]}
    )
    lake = prepared(profile)
    with pytest.raises(
        DataError,
        match=r"latent \d+ of hookpoint 'layers\.0' has activation (nan|inf) at position 1;",
    ) as refusal:
        capture(profile, lake, [0])
    assert not lake.manifests("captured", run="tiny")
    assert ("model.dtype = 'float32'" in str(refusal.value)) == (dtype == "bfloat16")


def test_contexts_come_first(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile()
    with pytest.raises(NotReadyError, match="materialize the asset 'contexts' first"):
        capture(profile, Lake(profile.run.lake), [0])


def test_a_coder_must_be_described_first(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile()
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    with pytest.raises(NotReadyError, match="materialize the asset 'sparse_coder' first"):
        capture(profile, lake, [0])
    assert not lake.manifests("captured", run="tiny")


@pytest.mark.parametrize("changes", [{"num_latents": LATENTS + 24}, {"seed": 99}])
def test_a_coder_replaced_between_shards_is_refused(
    tiny_profile: Callable[..., Profile], tmp_path: Path, changes: dict[str, Any]
) -> None:
    coders = make_coder(tmp_path / "coders", "layers.0", seed=1)
    profile = tiny_profile(cache={"hookpoints": ["layers.0"]}, coder={"sparse_model": str(coders)})
    lake = prepared(profile)
    capture(profile, lake, [0])
    make_coder(coders, "layers.0", **{"seed": 1, **changes})
    with pytest.raises(ConflictError, match=r"its files were replaced.*run\.name"):
        capture(profile, lake, [1])
    with pytest.raises(ConflictError, match=r"its files were replaced.*run\.name"):
        capture(profile, lake, [0])

    Path(lake.root, "manifests/weights/run=tiny/hookpoint=layers.0/all.json").unlink()
    with pytest.raises(ConflictError, match=r"captured \(.*shard=0\).*were replaced"):
        prepare_coder(profile, lake, "layers.0")
    make_coder(coders, "layers.0", seed=1)
    prepare_coder(profile, lake, "layers.0")
    assert capture(profile, lake, [1]).new_rows > 0


def test_a_shard_that_does_not_exist_is_refused(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile()
    with pytest.raises(SettingError, match="shard 3 does not exist; expected 0 to 2"):
        capture(profile, Lake(profile.run.lake), [3])


def test_other_settings_under_the_same_name_are_refused(
    tiny_profile: Callable[..., Profile],
) -> None:
    profile = tiny_profile()
    lake = prepared(profile)
    capture(profile, lake, [0])
    with pytest.raises(ConflictError, match=r"model\.dtype"):
        capture(tiny_profile(model={"dtype": "bfloat16"}), lake, [0])
    with pytest.raises(ConflictError, match=r"model\.dtype"):
        capture(tiny_profile(model={"dtype": "bfloat16"}), lake, [1])
