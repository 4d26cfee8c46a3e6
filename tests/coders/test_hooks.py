"""Names of hooks mean the modules whose activations they are."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from transformers import (
    AutoModel,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedConfig,
)

from delphi_assets.coders import load_coder
from delphi_assets.coders.hooks import layer_of, layer_read, locate, names_of, side_of
from delphi_assets.errors import DataError
from delphi_assets.models.subject import Hook, Side, forward_to
from tests.parts.dense_coders import LATENTS, dense, draw, write_json

pytestmark = pytest.mark.usefixtures("one_thread")

WIDTH = 16


def make_config(family: str) -> PreTrainedConfig:
    """A model of two layers; its norms add so much to the square that another number shows."""
    heads = {"num_attention_heads": 2, "num_hidden_layers": 2}
    size: dict[str, Any] = {**heads, "vocab_size": 99, "hidden_size": WIDTH}
    rms = {**size, "intermediate_size": 24, "num_key_value_heads": 1, "rms_norm_eps": 0.25}
    if family == "gpt2":
        return GPT2Config(vocab_size=99, n_embd=WIDTH, n_layer=2, n_head=2, layer_norm_epsilon=0.25)
    if family == "gpt_neo":
        return GPTNeoConfig(
            vocab_size=99,
            hidden_size=WIDTH,
            num_layers=2,
            num_heads=2,
            attention_types=[[["global", "local"], 1]],
            layer_norm_epsilon=0.25,
        )
    if family == "gpt_neox":
        return GPTNeoXConfig(**size, intermediate_size=24, layer_norm_eps=0.25)
    if family == "llama":
        return LlamaConfig(**rms)
    if family == "gemma2":
        return Gemma2Config(**rms, head_dim=8, sliding_window=8)
    return Gemma3TextConfig(**rms, head_dim=8, sliding_window=8)


class Read:
    """What is read at block 1 of a random model, whose norms have gains and biases of their own."""

    def __init__(self, family: str) -> None:
        self.model = AutoModel.from_config(make_config(family), attn_implementation="eager").eval()
        for number, parameter in enumerate(self.model.parameters()):
            parameter.data = draw(number, *parameter.shape) / 2

    def hook(self, name: str) -> Hook:
        hook = locate(f"blocks.1.{name}", self.model.config.model_type)
        assert hook is not None
        return hook

    def module(self, name: str) -> nn.Module:
        module: nn.Module = self.model.get_submodule(self.hook(name).module)
        return module

    def __call__(self, name: str) -> torch.Tensor:
        ids = torch.arange(18).reshape(2, 9)
        hook = self.hook(name)
        return forward_to(self.model, [hook], ids, torch.ones_like(ids))[hook]


FAMILIES = ["gpt2", "gpt_neo", "gpt_neox", "llama", "gemma2", "gemma3"]


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_added_to_the_stream_is_what_the_names_mean(family: str) -> None:
    read = Read(family)
    before, after = read("hook_resid_pre"), read("hook_resid_post")
    close(after - before, read("hook_attn_out") + read("hook_mlp_out"))
    assert not torch.allclose(read("hook_attn_out"), read("hook_mlp_out"), atol=0.1)
    if family == "gpt_neox":
        # Attention and MLP run beside each other here, so there is nothing between them.
        return
    close(read("hook_resid_mid"), before + read("hook_attn_out"))
    close(read("hook_mlp_in"), read("hook_resid_mid"))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_parts_of_a_layer_read_and_return(family: str) -> None:
    read = Read(family)
    close(read.module("mlp.hook_out")(read("mlp.hook_in")), read("mlp.hook_out"))
    close(read.module("mlp.hook_post")(read("mlp.hook_post")), read("mlp.hook_out"))
    added = read.module("attn.hook_z")(read("attn.hook_z"))
    if family.startswith("gemma"):
        added = read.module("hook_attn_out")(added)
    close(added, read("hook_attn_out"))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("norm", ["ln1", "ln2"])
def test_a_normalized_hook_of_an_rms_norm_is_before_the_gain(family: str, norm: str) -> None:
    read = Read(family)
    parallel = family == "gpt_neox"
    x = read("hook_resid_pre" if norm == "ln1" or parallel else "hook_resid_mid")
    found = read(f"{norm}.hook_normalized")
    weight = read.module(f"{norm}.hook_normalized").weight
    assert isinstance(weight, nn.Parameter)
    assert weight.std() > 0.1
    if "gpt" in family:
        bias = read.module(f"{norm}.hook_normalized").bias
        assert isinstance(bias, nn.Parameter)
        close(found, functional.layer_norm(x, (WIDTH,), weight, bias, eps=0.25))
    else:
        close(found, x / (x.pow(2).sum(-1, keepdim=True) / WIDTH + 0.25).sqrt())
    if norm == "ln2":
        # What the MLP reads has the gain: Gemma's is kept less 1.
        gains = {"llama": weight, "gemma2": 1 + weight, "gemma3": 1 + weight}
        close(read("mlp.hook_in"), found * gains.get(family, 1))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_coder_of_a_normalized_hook_reads_it(tmp_path: Path, family: str) -> None:
    read = Read(family)
    tensors = {
        "W_enc": draw(1, WIDTH, LATENTS),
        "W_dec": draw(2, LATENTS, WIDTH),
        "b_enc": draw(3, LATENTS),
        "b_dec": draw(4, WIDTH),
        "threshold": draw(5, LATENTS).abs(),
    }
    config = {"architecture": "jumprelu_transcoder", "d_in": WIDTH, "d_sae": LATENTS}
    about = {"hook_name": "blocks.1.ln2.hook_normalized"}
    write_json(tmp_path / "cfg.json", {**config, "metadata": about})
    save_file(tensors, tmp_path / "sae_weights.safetensors")
    hook = read.hook("ln2.hook_normalized")
    coder = load_coder(tmp_path, hook.module)
    assert Hook(hook.module, coder.shape.side) == hook
    x = read("hook_resid_mid").flatten(0, 1)
    norm = read.module("ln2.hook_normalized")
    if isinstance(norm, nn.LayerNorm):
        x = norm(x)
    else:
        x = x / (x.pow(2).mean(-1, keepdim=True) + 0.25).sqrt()
    pre = x @ tensors["W_enc"] + tensors["b_enc"]
    expected = pre.relu() * (pre > tensors["threshold"])
    fired = coder.encode(read("ln2.hook_normalized").flatten(0, 1))
    close(dense(fired, len(x)), expected)


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
        ("blocks.5.attn.hook_z", "gpt_neo", "h.5.attn.attention.out_proj", "input"),
        ("blocks.5.ln2.hook_normalized", "gpt2", "h.5.ln_2", "normalized input"),
        ("blocks.5.mlp.hook_post", "gpt_neox", "layers.5.mlp.dense_4h_to_h", "input"),
        ("blocks.5.hook_resid_mid", "gemma2", "layers.5.pre_feedforward_layernorm", "input"),
        ("blocks.5.ln1.hook_normalized", "qwen3", "layers.5.input_layernorm", "normalized input"),
        (
            "layers.5.input_layernorm.normalized",
            "x",
            "layers.5.input_layernorm",
            "normalized input",
        ),
        ("model.layers.5.output", "unheard_of", "model.layers.5", "output"),
        ("model.layers.5.self_attn.o_proj.input", "x", "model.layers.5.self_attn.o_proj", "input"),
        ("model.layers.5", "x", "model.layers.5", "output"),
    ],
)
def test_hooks_are_located(name: str, model_type: str, module: str, side: Side) -> None:
    assert locate(name, model_type) == Hook(module, side)
    assert side_of(name) == side
    assert layer_read(name) == 5


def test_a_family_that_is_not_known_is_not_guessed() -> None:
    assert locate("blocks.5.hook_resid_post", "unheard_of") is None
    assert layer_read("blocks.5.hook_resid_post") == 5
    assert layer_read("model.embed_tokens.output") is None


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
