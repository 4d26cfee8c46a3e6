"""Coders of other formats go through the stages, each on the side and module its hook names."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from delphi_assets.caching.capture import capture
from delphi_assets.lake.lake import read_parquet
from delphi_assets.settings import Profile
from tests.caching.test_capture import brute_force, entries, prepared, stored
from tests.parts.dense_coders import draw, write_json
from tests.parts.tiny_parts import LATENTS, WIDTH

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

HOOKPOINTS = {
    "layers.0": "blocks.0.hook_resid_post",
    "layers.1": "blocks.1.hook_resid_pre",
    "layers.1.self_attn.o_proj": "blocks.1.attn.hook_z",
    "layers.2.mlp": "blocks.2.mlp.hook_in",
}


def make(folder: Path, hook: str, architecture: str) -> None:
    tensors = {
        "W_enc": draw(1, WIDTH, LATENTS),
        "W_dec": draw(2, LATENTS, WIDTH),
        "b_enc": draw(3, LATENTS),
        "b_dec": draw(4, WIDTH),
        "threshold": draw(5, LATENTS).abs(),
    }
    config = {"architecture": architecture, "d_in": WIDTH, "d_sae": LATENTS, "k": 3}
    write_json(folder / "cfg.json", {**config, "metadata": {"hook_name": hook}})
    save_file(tensors, folder / "sae_weights.safetensors")


@pytest.mark.parametrize("architecture", ["jumprelu", "abstopk"])
def test_capture_equals_a_dense_pass(
    tiny_profile: Callable[..., Profile], tmp_path: Path, architecture: str
) -> None:
    coders = tmp_path / "coders"
    for hook in HOOKPOINTS.values():
        make(coders / hook, hook, architecture)
    profile = tiny_profile(
        cache={"hookpoints": list(HOOKPOINTS)}, coder={"sparse_model": str(coders)}
    )
    lake = prepared(profile)
    capture(profile, lake, range(profile.n_shards))
    for hookpoint in HOOKPOINTS:
        rows = entries(stored(profile, lake, hookpoint))
        expected = brute_force(profile, lake, hookpoint, str(coders))
        assert rows
        assert [row[:2] for row in rows] == [row[:2] for row in expected]
        values = torch.tensor([row[2] for row in rows])
        torch.testing.assert_close(
            values, torch.tensor([row[2] for row in expected]), rtol=2e-3, atol=1e-3
        )
        assert bool((values < 0).any()) == (architecture == "abstopk")


def test_a_transcoder_into_another_width_has_weights_without_a_cosine(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    coder = tmp_path / "coders" / "blocks.0.ln2.hook_normalized"
    tensors = {
        "W_enc": draw(1, WIDTH, LATENTS),
        "W_dec": draw(2, LATENTS, WIDTH + 3),
        "b_enc": draw(3, LATENTS),
        "b_dec": draw(4, WIDTH + 3),
    }
    config = {"architecture": "transcoder", "d_in": WIDTH, "d_out": WIDTH + 3, "d_sae": LATENTS}
    write_json(coder / "cfg.json", {**config, "metadata": {"hook_name": coder.name}})
    save_file(tensors, coder / "sae_weights.safetensors")
    profile = tiny_profile(
        cache={"hookpoints": ["layers.0.post_attention_layernorm"]},
        coder={"sparse_model": str(coder.parent)},
    )
    lake = prepared(profile)
    rows = read_parquet(lake, lake.files("weights", run=profile.run.name))
    assert rows["encoder_decoder_cosine"].null_count == rows.num_rows == LATENTS
    norms = tensors["W_dec"].norm(dim=1)
    torch.testing.assert_close(torch.tensor(rows["decoder_norm"].to_pylist()), norms)
    # It reads what no module takes in or returns, and is captured all the same.
    capture(profile, lake, range(profile.n_shards))
    assert entries(stored(profile, lake, profile.cache.hookpoints[0]))
