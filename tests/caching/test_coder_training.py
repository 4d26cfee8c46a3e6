"""A trained coder explains what it was trained on, and reads raw activations after folding."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.coder_training import (
    auxk_loss,
    collect,
    fit,
    fold,
    standardize,
    unexplained,
)
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.caching.origins import check_coder
from delphi_assets.caching.prepared_coder import coder_source, load_described, load_prepared
from delphi_assets.coders import load_coder
from delphi_assets.errors import ConflictError, DataError, NotReadyError
from delphi_assets.lake.lake import Lake, Unit, read_parquet
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.place import Place, RunPlace
from delphi_assets.lake.units import weights_unit
from delphi_assets.models.subject import load_subject
from delphi_assets.settings import CoderSettings, Profile
from tests.parts.tiny_parts import LATENTS, make_coder

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

WIDTH = 24


def settings(**changes: Any) -> CoderSettings:
    chosen = {"expansion_factor": 4, "k": 3, "epochs": 20, "train_batch": 128, "lr": 3e-3}
    return CoderSettings(sparse_model="embedded:train", **{**chosen, **changes})


def sparse_data(n: int = 1_024, seed: int = 0) -> torch.Tensor:
    """Sums of three of 40 directions, in dimensions of very different scale and mean."""
    draw = torch.Generator().manual_seed(seed)
    directions = torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(99))
    chosen = torch.rand(n, 40, generator=draw).topk(3, dim=1).indices
    strength = 1 + torch.rand(n, 3, generator=draw)
    scale = torch.logspace(-2, 3, WIDTH)
    return (directions[chosen] * strength[..., None]).sum(1) * scale + 5 * scale


def test_a_dictionary_is_learned(tmp_path: Path) -> None:
    data = sparse_data()
    standardization = standardize(data)
    coder, steps = fit(data, standardization, settings(), seed=1)
    fold(coder, standardization)
    coder.save_to_disk(tmp_path)
    saved, unseen = load_coder(tmp_path, "layers.0"), sparse_data(seed=5)
    assert steps == 20 * 8
    assert unexplained(saved, unseen, standardization.deviation) < 0.35
    assert unexplained(saved, unseen) < 0.35


def test_folding_is_exact(tmp_path: Path) -> None:
    data = sparse_data(256)
    standardization = standardize(data)
    coder, _ = fit(data, standardization, settings(epochs=2), seed=1)
    standardized = (data - standardization.mean) / standardization.deviation
    with torch.no_grad():
        before = coder(standardized)
    fold(coder, standardization)
    coder.save_to_disk(tmp_path)
    saved = load_coder(tmp_path, "layers.0")
    fired = saved.encode(data)
    expected = torch.zeros(len(data), 4 * WIDTH)
    expected.scatter_(1, before.latent_indices, before.latent_acts)
    got = torch.zeros_like(expected)
    got[fired.row, fired.latent] = fired.value
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    rebuilt = before.sae_out * standardization.deviation + standardization.mean
    error = (saved.decode(data, fired) - rebuilt) / standardization.deviation
    assert error.abs().max() < 1e-3


def test_the_same_seed_gives_the_same_coder() -> None:
    data = sparse_data(256)
    coders = [fit(data, standardize(data), settings(epochs=2), seed)[0] for seed in (1, 1, 2)]
    assert coders[0].W_dec.equal(coders[1].W_dec)
    assert not coders[0].W_dec.equal(coders[2].W_dec)


def test_decoder_rows_keep_unit_norm() -> None:
    data = sparse_data(256)
    coder, _ = fit(data, standardize(data), settings(epochs=2), seed=1)
    norms = coder.W_dec.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-4, atol=1e-4)


def test_a_dimension_that_never_changes_does_no_harm() -> None:
    data = sparse_data(256)
    data[:, 4] = 7.0
    coder, _ = fit(data, standardize(data), settings(epochs=2), seed=1)
    assert all(parameter.isfinite().all() for parameter in coder.parameters())


def test_dead_latents_get_a_gradient_from_auxk() -> None:
    data = sparse_data(64)
    standardization = standardize(data)
    coder, _ = fit(data, standardization, settings(epochs=1), seed=1)
    x = (data - standardization.mean) / standardization.deviation
    dead = torch.tensor([3, 50])
    auxk_loss(coder, x, x, dead, 6).backward()  # type: ignore[no-untyped-call]
    moved = coder.encoder.weight.grad.abs().sum(1).nonzero().squeeze(1)
    assert moved.tolist() == dead.tolist()


def test_variance_left_is_zero_for_a_perfect_coder_and_one_for_the_mean() -> None:
    class Perfect:
        def encode(self, x: torch.Tensor) -> None: ...
        def decode(self, x: torch.Tensor, _: None) -> torch.Tensor:
            return x

    data = sparse_data(64)

    class Mean(Perfect):
        def decode(self, x: torch.Tensor, _: None) -> torch.Tensor:
            return data.mean(0).expand_as(x)

    assert unexplained(Perfect(), data) == 0  # type: ignore[arg-type]
    assert unexplained(Mean(), data, standardize(data).deviation) == pytest.approx(1)  # type: ignore[arg-type]


def test_standardization_by_hand() -> None:
    data = torch.tensor([[0.0, 10.0], [2.0, 30.0]])
    mean, deviation = standardize(data)
    torch.testing.assert_close(mean, torch.tensor([1.0, 20.0]))
    torch.testing.assert_close(deviation, torch.tensor([2**0.5, 200**0.5]))


@pytest.fixture
def training(tiny_profile: Callable[..., Profile]) -> Profile:
    return tiny_profile(
        cache={"hookpoints": ["layers.1"]},
        coder={
            "sparse_model": "embedded:train",
            "expansion_factor": 2,
            "k": 4,
            "train_tokens": 700,
            "epochs": 3,
            "train_batch": 64,
        },
    )


def test_training_tokens_hold_no_special_ones(training: Profile) -> None:
    lake = Lake(training.run.lake)
    build_contexts(training, lake)
    subject = load_subject(training.model)
    assert collect(RunPlace(training, lake), subject, "layers.1").shape == (700, 16)
    more = training.model_copy(
        update={"coder": training.coder.model_copy(update={"train_tokens": 10_000})}
    )
    tokens = read_parquet(lake, lake.files("contexts", run="tiny"))["tokens"].to_pylist()
    usual = sum(token > 2 for row in tokens for token in row)
    assert len(collect(RunPlace(more, lake), subject, "layers.1")) == usual


def test_a_coder_is_trained_once_and_described(training: Profile) -> None:
    lake = Lake(training.run.lake)
    build_contexts(training, lake)
    report = prepare_coder(training, lake, "layers.1")
    assert report.rows == report.new_rows == report.facts["num_latents"] == 32
    assert report.facts["train_tokens"] == 630
    assert 0 < float(report.facts["fvu_standardized"]) < 1
    assert 0 < float(report.facts["live_share_10"]) <= float(report.facts["live_share"]) <= 1
    with coder_source(Place(training, lake, "layers.1")) as source:
        coder = load_coder(source, "layers.1")
    rows = read_parquet(lake, lake.files("weights", run="tiny", hookpoint="layers.1"))
    assert rows["latent"].to_pylist() == list(range(32))
    assert rows["decoder_norm"].to_pylist() == pytest.approx(
        coder.decoder_rows.norm(dim=1).tolist()
    )
    again = prepare_coder(training, lake, "layers.1")
    assert (again.rows, again.new_rows, again.facts) == (32, 0, report.facts)


def test_training_is_not_repeated_when_only_the_table_is_missing(
    training: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(training.run.lake)
    build_contexts(training, lake)
    publish = Lake.publish

    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Lake, "publish", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare_coder(training, lake, "layers.1")
    monkeypatch.setattr(Lake, "publish", publish)
    monkeypatch.setattr("delphi_assets.caching.coder_training.train_coder", fail)
    assert prepare_coder(training, lake, "layers.1").facts["steps"] == 30


def test_the_coder_that_came_first_is_described(
    training: Profile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lake = Lake(training.run.lake)
    build_contexts(training, lake)
    put_folder, faster = Lake.put_folder, tmp_path / "faster"

    def late(self: Lake, source: Path, relative: str) -> None:
        """As if another process had published its coder a moment before."""
        make_coder(faster, ".", seed=5)
        facts = json.loads((source / "facts.json").read_text())
        (faster / "facts.json").write_text(json.dumps({**facts, "steps": 77}))
        put_folder(self, faster, relative)
        put_folder(self, source, relative)

    monkeypatch.setattr(Lake, "put_folder", late)
    report = prepare_coder(training, lake, "layers.1")
    assert report.facts["steps"] == 77
    assert report.facts["coder_fingerprint"] == load_coder(faster, "layers.1").fingerprint


def test_a_coder_folder_that_is_not_whole_is_refused(training: Profile) -> None:
    lake = Lake(training.run.lake)
    build_contexts(training, lake)
    (Path(lake.root) / "coders/run=tiny/layers.1").mkdir(parents=True)
    with pytest.raises(DataError, match=r"facts\.json.*delete the folder"):
        prepare_coder(training, lake, "layers.1")


def test_a_coder_that_is_there_is_only_described(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile()
    lake = Lake(profile.run.lake)
    report = prepare_coder(profile, lake, "layers.1.mlp")
    fingerprint = load_coder(profile.sparse_model_of("layers.1.mlp"), "layers.1.mlp").fingerprint
    assert report.facts == {
        "d_in": 16,
        "side": "input",
        "num_latents": 48,
        "coder_fingerprint": fingerprint,
        "coder_folder": f"{profile.coder.sparse_model}/layers.1.mlp",
        "coder_files": "cfg.json, sae.safetensors",
    }
    with coder_source(Place(profile, lake, "layers.1.mlp")) as source:
        assert source == profile.coder.sparse_model


def two_coders(tiny_profile: Callable[..., Profile], folder: Path, **coder: Any) -> Profile:
    """Two coders of layers.1, of which the second is twice as wide."""
    make_coder(folder / "wide", ".", seed=8, num_latents=2 * LATENTS)
    return tiny_profile(
        cache={"hookpoints": ["layers.1", "layers.1@wide"]},
        coder={"sparse_models": {"wide": str(folder / "wide")}, **coder},
    )


def test_coders_of_one_module_are_described_apart(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    profile = two_coders(tiny_profile, tmp_path)
    lake, sources = Lake(profile.run.lake), [profile.coder.sparse_model, str(tmp_path / "wide")]
    for hookpoint, source, latents in zip(
        profile.cache.hookpoints, sources, (LATENTS, 2 * LATENTS), strict=True
    ):
        assert source is not None
        assert prepare_coder(profile, lake, hookpoint).rows == latents
        assert prepare_coder(profile, lake, hookpoint).new_rows == 0
        manifest = lake.manifest(weights_unit(profile.run.name, hookpoint))
        assert manifest is not None
        assert manifest.config == {
            "coder.sparse_model": source,
            "coder.transcoder_subtracts_b_dec": False,
        }
        rows = read_parquet(lake, lake.files("weights", run="tiny", hookpoint=hookpoint))
        coder = load_coder(source, "layers.1")
        assert rows["decoder_norm"].to_pylist() == coder.decoder_rows.norm(dim=1).tolist()
        assert load_described(Place(profile, lake, hookpoint)).fingerprint == coder.fingerprint


@pytest.mark.parametrize("trained", [True, False])
def test_a_floor_is_made_from_the_coder_of_its_module(
    training: Profile, tmp_path: Path, trained: bool
) -> None:
    """Its own table and fingerprint; who trains the coder does not matter, nor in what order."""
    source = "embedded:train" if trained else str(make_coder(tmp_path / "coder", "layers.1"))
    floors = {"random": "embedded:random", "shuffled": "embedded:shuffled"}
    hookpoints = ("layers.1@random", "layers.1@shuffled", "layers.1")
    coder = training.coder.model_copy(update={"sparse_model": source, "sparse_models": floors})
    cache = training.cache.model_copy(update={"hookpoints": hookpoints})
    profile = training.model_copy(update={"coder": coder, "cache": cache})
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    reports = [prepare_coder(profile, lake, hookpoint) for hookpoint in hookpoints]
    assert len({report.facts[FINGERPRINT] for report in reports}) == 3
    made_from = {report.facts.get("coder_made_from") for report in reports[:2]}
    assert made_from == {reports[2].facts[FINGERPRINT]}
    assert "fvu" not in reports[0].facts, "what training came to is no fact of a floor"
    for hookpoint in hookpoints:
        assert prepare_coder(profile, lake, hookpoint).new_rows == 0
        place = Place(profile, lake, hookpoint)
        encoder = load_described(place)
        expected = load_prepared(place)
        x = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
        assert torch.equal(encoder.encode(x).latent, expected.encode(x).latent)
    if not trained:
        make_coder(tmp_path / "coder", "layers.1", seed=77)
        with pytest.raises(ConflictError, match=r"'layers\.1@random' .* were replaced"):
            prepare_coder(profile, lake, "layers.1@random")
        with pytest.raises(ConflictError, match=r"'layers\.1@random' .* were replaced"):
            check_coder(Place(profile, lake, "layers.1@random"))


def test_another_source_under_the_same_name_is_a_conflict(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    profile = two_coders(tiny_profile, tmp_path)
    lake = Lake(profile.run.lake)
    prepare_coder(profile, lake, "layers.1@wide")
    other = str(make_coder(tmp_path / "other", ".", seed=9))
    changed = tiny_profile(
        cache={"hookpoints": ["layers.1", "layers.1@wide"]},
        coder={"sparse_models": {"wide": other}},
    )
    with pytest.raises(
        ConflictError, match=r"layers\.1@wide\) .* made with coder\.sparse_model = "
    ):
        prepare_coder(changed, lake, "layers.1@wide")
    assert prepare_coder(changed, lake, "layers.1").rows == LATENTS


@pytest.mark.parametrize("table", ["captured", "activations"])
def test_a_coder_replaced_after_capturing_is_refused_by_its_setting(
    tiny_profile: Callable[..., Profile], tmp_path: Path, table: str
) -> None:
    profile = two_coders(tiny_profile, tmp_path)
    lake = Lake(profile.run.lake)
    unit = Unit(table, weights_unit(profile.run.name, "layers.1@wide").keys)
    lake.publish(unit, [], {}, {FINGERPRINT: "another"})
    with pytest.raises(
        ConflictError,
        match=rf"'layers\.1@wide' \(coder\.sparse_models\.wide = .*{table} \(run=tiny, hookpoint=",
    ):
        prepare_coder(profile, lake, "layers.1@wide")
    assert prepare_coder(profile, lake, "layers.1").rows == LATENTS


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_precision_of_capturing_is_not_that_of_the_weights(
    tiny_profile: Callable[..., Profile], tmp_path: Path, dtype: str
) -> None:
    found = []
    for name, coder in (("single", {}), ("low", {"dtype": dtype})):
        profile = two_coders(tiny_profile, tmp_path, **coder)
        lake = Lake(tmp_path / name)
        prepare_coder(profile, lake, "layers.1@wide")
        manifest = lake.manifest(weights_unit(profile.run.name, "layers.1@wide"))
        assert manifest is not None
        rows = read_parquet(lake, lake.files("weights", run="tiny"))
        found.append((rows, manifest.config, manifest.facts))
        encoder = load_described(Place(profile, lake, "layers.1@wide"))
        fired = encoder.encode(torch.randn(9, 16, generator=torch.Generator().manual_seed(2)))
        assert fired.value.dtype == getattr(torch, profile.coder.dtype)
        assert encoder.fingerprint == manifest.facts[FINGERPRINT]
        assert not hasattr(encoder, "decoder_rows")
    assert found[0] == found[1]


def test_a_trained_coder_stands_beside_one_that_is_there(training: Profile, tmp_path: Path) -> None:
    wide = make_coder(tmp_path / "wide", ".", num_latents=2 * LATENTS)
    cache = training.cache.model_copy(update={"hookpoints": ("layers.1", "layers.1@wide")})
    changes = {"sparse_models": {"wide": str(wide)}, "dtype": "bfloat16"}
    coder = training.coder.model_copy(update=changes)
    both = training.model_copy(update={"cache": cache, "coder": coder})
    lake = Lake(both.run.lake)
    assert prepare_coder(both, lake, "layers.1@wide").rows == 2 * LATENTS
    build_contexts(both, lake)
    assert prepare_coder(both, lake, "layers.1").facts["steps"] == 30
    described = lake.manifest(weights_unit(both.run.name, "layers.1"))
    assert described is not None
    assert described.config["coder.k"] == 4
    assert "coder.dtype" not in described.config
    assert load_described(Place(both, lake, "layers.1")).shape.num_latents == 32


def test_training_needs_contexts_and_capture_a_coder(training: Profile) -> None:
    lake = Lake(training.run.lake)
    with pytest.raises(NotReadyError, match="asset 'contexts' first"):
        prepare_coder(training, lake, "layers.1")
    with (
        pytest.raises(NotReadyError, match="asset 'sparse_coder' first"),
        coder_source(Place(training, lake, "layers.1")),
    ):
        pass


def test_too_few_tokens_to_train_on_are_refused(training: Profile, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("ab")
    corpus = training.corpus.model_copy(update={"dataset_repo": str(tmp_path / "short.txt")})
    short = training.model_copy(update={"corpus": corpus})
    lake = Lake(short.run.lake)
    build_contexts(short, lake)
    with pytest.raises(DataError, match="tokens to train a coder on"):
        prepare_coder(short, lake, "layers.1")
