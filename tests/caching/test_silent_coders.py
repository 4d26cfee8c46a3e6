"""A coder of which nothing fires is told of where it is first seen, and at every later stage."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from delphi_assets.caching import capture as capturing
from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.batches import read_batches
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.errors import DataError
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import ALL
from delphi_assets.scorers.predictions import score
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.settings import Profile
from tests.parts.tiny_parts import make_coder

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

SILENT, LOUD = "layers.0", "layers.1"
SAYS = r"no latent of the coder of hookpoint 'layers\.0' fires on any of [\d,]+ tokens.*run\.name"


@pytest.fixture
def profile(tiny_profile: Callable[..., Profile], tmp_path: Path) -> Profile:
    """Two coders, of which one has a bias below which nothing ever comes."""
    folder = tmp_path / "coders"
    make_coder(folder, SILENT, seed=1)
    make_coder(folder, LOUD, seed=2)
    weights = folder / SILENT / "sae.safetensors"
    tensors = load_file(weights)
    tensors["encoder.bias"] = torch.full_like(tensors["encoder.bias"], -1e6)
    save_file(tensors, weights)
    selection = {"example_ctx_len": 16, "min_examples": 4, "n_examples_train": 2}
    return tiny_profile(
        cache={"hookpoints": [SILENT, LOUD], "n_buckets": 2},
        coder={"sparse_model": str(folder)},
        selection={**selection, "n_examples_test": 2, "n_non_activating": 2},
        score={"scorers": ["detection"], "scorer_model": "lexical"},
    )


def prepared(profile: Profile) -> Lake:
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    for hookpoint in profile.cache.hookpoints:
        prepare_coder(profile, lake, hookpoint)
    return lake


def test_the_first_batch_warns_and_the_first_shard_is_refused(
    profile: Profile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(capturing, "_TELLING", 100)
    lake, batches = prepared(profile), []
    read = read_batches

    def noted(*given: Any) -> Any:
        for batch in read(*given):
            batches.append("after the first batch: no latent" in caplog.text)
            yield batch

    monkeypatch.setattr(capturing, "read_batches", noted)
    with (
        caplog.at_level(logging.WARNING, "delphi_assets.caching.capture"),
        pytest.raises(DataError, match=SAYS),
    ):
        capture(profile, lake, range(profile.n_shards))
    assert batches[:2] == [False, True]
    assert f"hookpoint {LOUD!r}" not in caplog.text
    units = lake.manifests("captured", run="tiny")
    assert [(unit.keys["hookpoint"], unit.keys["shard"]) for unit in units] == [(LOUD, 0)]
    assert capture(profile, lake, range(profile.n_shards), [LOUD]).rows > 0


def test_a_shard_in_which_nothing_fires_is_one_where_another_has_activations(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capturing, "_TELLING", 100)
    lake = prepared(profile)
    capture(profile, lake, [0], [LOUD])
    monkeypatch.setattr(capturing, "_rounded", lambda *given: given[-1] * 0)
    assert capture(profile, lake, [1], [LOUD]).new_rows == 0
    with pytest.raises(DataError, match="no latent of the coder"):
        capture(profile, lake, [0], [SILENT])


def test_every_later_stage_says_that_nothing_fires(
    profile: Profile, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a run too short for its shards to say anything of a coder."""
    lake, name = prepared(profile), profile.selection.name
    capture(profile, lake, range(profile.n_shards))
    for stage in (merge_shards, describe_latents):
        caplog.clear()
        assert stage(profile, lake, SILENT).rows in {0, 48}
        assert "no latent of the coder of hookpoint 'layers.0' fires" in caplog.text
    with pytest.raises(DataError, match=SAYS):
        select_examples(profile, lake, SILENT, profile.selection)
    with pytest.raises(DataError, match=SAYS):
        explain(profile, lake, SILENT, ALL, profile.explain, name)
    with pytest.raises(DataError, match=SAYS):
        score(profile, lake, SILENT, ALL, profile.score, name)
    caplog.clear()
    for stage in (merge_shards, describe_latents):
        stage(profile, lake, LOUD)
    assert select_examples(profile, lake, LOUD, profile.selection).rows > 0
    assert "no latent" not in caplog.text
