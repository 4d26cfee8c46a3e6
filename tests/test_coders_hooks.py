"""Names of hooks mean the modules whose activations they are."""

from pathlib import Path

import pytest
import torch

from delphi_assets.coders.hooks import layer_of, locate, names_of, side_of
from delphi_assets.errors import DataError
from delphi_assets.settings import ModelSettings
from delphi_assets.subject import Hook, forward_to, load_subject

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("name", "model_type", "module", "side"),
    [
        ("blocks.5.hook_resid_post", "gpt_neox", "layers.5", "output"),
        ("blocks.5.hook_resid_pre", "llama", "layers.5", "input"),
        ("blocks.5.hook_resid_post", "gpt2", "h.5", "output"),
        ("blocks.5.hook_mlp_out", "gpt2", "h.5.mlp", "output"),
        ("blocks.5.hook_mlp_out", "gemma", "layers.5.mlp", "output"),
        ("blocks.5.hook_mlp_out", "gemma2", "layers.5.post_feedforward_layernorm", "output"),
        ("blocks.5.hook_attn_out", "mistral", "layers.5.self_attn", "output"),
        ("blocks.5.hook_attn_out", "gemma3_text", "layers.5.post_attention_layernorm", "output"),
        ("blocks.5.attn.hook_z", "qwen2", "layers.5.self_attn.o_proj", "input"),
        ("blocks.5.attn.hook_z", "gpt_neox", "layers.5.attention.dense", "input"),
        ("blocks.5.attn.hook_z", "gpt2", "h.5.attn.c_proj", "input"),
        ("blocks.5.ln2.hook_normalized", "gpt2", "h.5.mlp", "input"),
        ("blocks.5.mlp.hook_post", "gpt_neox", "layers.5.mlp.dense_4h_to_h", "input"),
        ("blocks.5.hook_resid_mid", "gemma2", "layers.5.pre_feedforward_layernorm", "input"),
        ("blocks.5.ln1.hook_normalized", "qwen3", "layers.5.input_layernorm", "output"),
        ("model.layers.5.output", "unheard_of", "model.layers.5", "output"),
        ("model.layers.5.self_attn.o_proj.input", "x", "model.layers.5.self_attn.o_proj", "input"),
        ("model.layers.5", "x", "model.layers.5", "output"),
    ],
)
def test_hooks_are_located(name: str, model_type: str, module: str, side: str) -> None:
    assert locate(name, model_type) == Hook(module, "input" if side == "input" else "output")
    assert side_of(name) == side


@pytest.mark.parametrize("suffix", ["hook_resid_mid", "hook_mlp_out", "hook_attn_out"])
def test_what_is_added_to_the_stream_is_what_the_names_mean(any_model: Path, suffix: str) -> None:
    subject = load_subject(ModelSettings(name=str(any_model), dtype="float32", device="cpu"))
    ids = torch.randint(3, 300, (2, 9), generator=torch.Generator().manual_seed(0))

    def at(name: str) -> torch.Tensor:
        hook = locate(f"blocks.1.{name}", subject.model.config.model_type)
        assert hook is not None
        return forward_to(subject.model, [hook], ids, torch.ones_like(ids))[hook]

    before, after = at("hook_resid_pre"), at("hook_resid_post")
    if subject.model.config.model_type == "gpt_neox":
        # Attention and MLP run beside each other here, so there is nothing between them.
        expected = after - before - at("hook_attn_out")
        torch.testing.assert_close(at("hook_mlp_out"), expected, rtol=1e-4, atol=1e-5)
        return
    found = {
        "hook_resid_mid": before + at("hook_attn_out"),
        "hook_mlp_out": after - at("hook_resid_mid"),
        "hook_attn_out": at("hook_resid_mid") - before,
    }[suffix]
    torch.testing.assert_close(at(suffix), found, rtol=1e-4, atol=1e-5)


def test_a_family_that_is_not_known_is_not_guessed() -> None:
    assert locate("blocks.5.hook_resid_post", "unheard_of") is None


@pytest.mark.parametrize("name", ["blocks.5.attn.hook_q", "blocks.5.hook_", "hook_embed"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"reads {name!r}.*hook_resid_post"):
        side_of(name)
    with pytest.raises(DataError, match=f"reads {name!r}"):
        locate(name, "llama")


def test_names_of_a_hookpoint() -> None:
    assert names_of("layers.5") == ["blocks.5.hook_resid_pre", "blocks.5.hook_resid_post"]
    assert "blocks.5.attn.hook_z" in names_of("h.5.attn.c_proj")
    assert names_of("embed_tokens") == []


@pytest.mark.parametrize(
    ("hookpoint", "layer"),
    [("layers.12.mlp", 12), ("embed_tokens", None), ("experts.1.up.2", None)],
)
def test_the_layer_of_a_hookpoint(hookpoint: str, layer: int | None) -> None:
    assert layer_of(hookpoint) == layer
