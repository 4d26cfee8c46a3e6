"""Coders of SAELens compute what their formulas say, or are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from delphi_assets.coders import CoderShape, describe_coder, linear, load_coder
from delphi_assets.errors import DataError
from tests.parts.dense_coders import (
    LATENTS,
    TOKENS,
    WIDTH,
    dense,
    draw,
    inputs,
    keep_largest,
    write_json,
)

pytestmark = pytest.mark.usefixtures("one_thread")

Tensors = dict[str, torch.Tensor]

K, D_OUT = 4, 7


def make_tensors(architecture: str) -> Tensors:
    d_out = D_OUT if "transcoder" in architecture else WIDTH
    tensors = {
        "W_enc": draw(1, WIDTH, LATENTS),
        "W_dec": draw(2, LATENTS, d_out),
        "b_enc": draw(3, LATENTS),
        "b_dec": draw(4, d_out),
    }
    if "jumprelu" in architecture:
        # Some below zero, as of a coder saved before its thresholds settled.
        tensors["threshold"] = draw(5, LATENTS)
    if "skip" in architecture:
        tensors["W_skip"] = draw(6, d_out, WIDTH)
    if architecture == "gated":
        del tensors["b_enc"]
        tensors |= {name: draw(i, LATENTS) / 2 for i, name in enumerate(("b_gate", "b_mag"), 7)}
        tensors["r_mag"] = draw(9, LATENTS) / 3
    return tensors


def make(folder: Path, architecture: str, **changes: Any) -> Tensors:
    """A random coder in the layout of version 6; returns its tensors."""
    transcodes = "transcoder" in architecture
    config = {
        "architecture": architecture,
        "d_in": WIDTH,
        "d_sae": LATENTS,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": not transcodes,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "model_name": "pythia-70m"},
    }
    if transcodes:
        config["d_out"] = D_OUT
    if "topk" in architecture:
        config |= {"k": K, "rescale_acts_by_decoder_norm": False}
    write_json(folder / "cfg.json", {**config, **changes})
    tensors = make_tensors(architecture)
    save_file(tensors, folder / "sae_weights.safetensors")
    return tensors


def normalized(x: torch.Tensor, how: str) -> torch.Tensor:
    if how == "constant_norm_rescale":
        return torch.stack([row * WIDTH**0.5 / row.pow(2).sum().sqrt() for row in x])
    if how == "layer_norm":
        centred = x - x.sum(1, keepdim=True) / WIDTH
        deviation = (centred.pow(2).sum(1, keepdim=True) / (WIDTH - 1)).sqrt()
        return centred / (deviation + 1e-5)
    return x


def reference(t: Tensors, x: torch.Tensor, config: dict[str, Any]) -> torch.Tensor:
    """Dense activations [tokens, latents] from the formulas of the format."""
    x = normalized(x, config["normalize_activations"])
    if config["apply_b_dec_to_input"]:
        x = x - t["b_dec"]
    architecture = config["architecture"]
    if architecture == "gated":
        opened = (x @ t["W_enc"] + t["b_gate"]) > 0
        return opened * torch.relu(x @ (t["W_enc"] * torch.exp(t["r_mag"])) + t["b_mag"])
    pre = x @ t["W_enc"] + t["b_enc"]
    if config.get("rescale_acts_by_decoder_norm"):
        pre = pre * t["W_dec"].pow(2).sum(1).sqrt()
    if architecture == "topk":
        return torch.relu(keep_largest(pre, pre, K))
    if architecture == "abstopk":
        return keep_largest(pre.abs(), pre, K)
    if "jumprelu" in architecture:
        return torch.relu(pre) * (pre > t["threshold"])
    return torch.relu(pre)


def reconstruction(
    t: Tensors, x: torch.Tensor, config: dict[str, Any], fired: torch.Tensor
) -> torch.Tensor:
    if config.get("rescale_acts_by_decoder_norm"):
        fired = fired / t["W_dec"].pow(2).sum(1).sqrt()
    out = fired @ t["W_dec"] + t["b_dec"]
    how = config["normalize_activations"]
    if "transcoder" not in config["architecture"]:
        if how == "constant_norm_rescale":
            out = out * x.pow(2).sum(1, keepdim=True).sqrt() / WIDTH**0.5
        if how == "layer_norm":
            out = out * x.std(1, keepdim=True) + x.mean(1, keepdim=True)
    return out + x @ t["W_skip"].T if "W_skip" in t else out


CASES = [
    ("standard", {}),
    ("standard", {"apply_b_dec_to_input": False}),
    ("standard", {"normalize_activations": "layer_norm"}),
    ("topk", {}),
    ("topk", {"rescale_acts_by_decoder_norm": True}),
    ("topk", {"normalize_activations": "constant_norm_rescale"}),
    ("abstopk", {}),
    ("abstopk", {"rescale_acts_by_decoder_norm": True}),
    ("jumprelu", {}),
    ("jumprelu", {"normalize_activations": "constant_norm_rescale"}),
    ("gated", {}),
    ("gated", {"normalize_activations": "layer_norm"}),
    ("transcoder", {}),
    ("transcoder", {"normalize_activations": "layer_norm"}),
    ("skip_transcoder", {}),
    ("jumprelu_transcoder", {}),
    ("jumprelu_skip_transcoder", {}),
]


@pytest.mark.parametrize("block", [None, 5 * 7 * 4])
@pytest.mark.parametrize(("architecture", "changes"), CASES)
def test_encoding_equals_a_dense_reference(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    architecture: str,
    changes: dict[str, Any],
    block: int | None,
) -> None:
    if block:
        monkeypatch.setattr(linear, "_PREACTIVATION_BYTES", block)
        monkeypatch.setattr(linear, "_ROWS", 7)
    tensors = make(tmp_path, architecture, **changes)
    config = json.loads((tmp_path / "cfg.json").read_text())
    coder, x = load_coder(tmp_path, "layers.1"), inputs()
    expected = reference(tensors, x, config)
    assert 0 < (expected != 0).sum() < expected.numel()
    fired = coder.encode(x)
    torch.testing.assert_close(dense(fired), expected, rtol=1e-4, atol=1e-4)
    rebuilt = reconstruction(tensors, x, config, expected)
    torch.testing.assert_close(coder.decode(x, fired), rebuilt, rtol=1e-4, atol=1e-3)


def test_negative_activations_survive(tmp_path: Path) -> None:
    make(tmp_path, "abstopk")
    fired = load_coder(tmp_path, "layers.1").encode(inputs())
    assert len(fired.value) == TOKENS * K
    assert (fired.value < 0).any()
    assert (fired.value > 0).any()


def test_a_flat_configuration_from_before_version_6_is_read(tmp_path: Path) -> None:
    tensors = make(tmp_path, "standard")
    tensors["scaling_factor"] = torch.ones(WIDTH)
    save_file(tensors, tmp_path / "sae_weights.safetensors")
    flat = {
        "d_in": WIDTH,
        "d_sae": LATENTS,
        "hook_point": "blocks.2.hook_resid_pre",
        "hook_point_layer": 2,
        "hook_point_head_index": None,
        "normalize_activations": False,
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": K},
    }
    write_json(tmp_path / "cfg.json", flat)
    described = describe_coder(tmp_path, "layers.2")
    assert described.shape == CoderShape(LATENTS, WIDTH, "input")
    assert described.hook == "blocks.2.hook_resid_pre"
    same = {"architecture": "topk", "normalize_activations": "none", "apply_b_dec_to_input": True}
    expected = reference(tensors, inputs(), same)
    torch.testing.assert_close(dense(load_coder(tmp_path, "layers.2").encode(inputs())), expected)


@pytest.mark.parametrize(
    ("architecture", "hook", "side"),
    [
        ("standard", {"hook_name": "blocks.5.hook_resid_post"}, "output"),
        ("standard", {"hook_name": "blocks.5.hook_resid_pre"}, "input"),
        ("standard", {"hook_name": "blocks.5.attn.hook_z"}, "input"),
        ("transcoder", {"hook_name": "blocks.5.mlp.hook_in"}, "input"),
        ("transcoder", {"hook_name": "blocks.5.ln2.hook_normalized"}, "normalized input"),
        ("transcoder", {}, "input"),
        ("topk", {}, "output"),
        (
            "jumprelu_transcoder",
            {
                "hook_name": "blocks.5.hook_mlp_in",
                "hf_hook_name": "model.layers.5.pre_feedforward_layernorm.output",
            },
            "output",
        ),
    ],
)
def test_the_hook_tells_the_side(
    tmp_path: Path, architecture: str, hook: dict[str, str], side: str
) -> None:
    make(tmp_path, architecture, metadata=hook)
    described = describe_coder(tmp_path, "layers.5")
    assert described.shape.side == side
    assert described.hook == hook.get("hf_hook_name", hook.get("hook_name"))


def test_the_average_norm_is_folded_where_a_checkpoint_has_it(tmp_path: Path) -> None:
    tensors = make(tmp_path, "standard", normalize_activations="expected_average_only_in")
    with pytest.raises(DataError, match=r"expected it in activation_scaler\.json"):
        describe_coder(tmp_path, "layers.1")
    write_json(tmp_path / "activation_scaler.json", {"scaling_factor": 0.25})
    x, coder = inputs(), load_coder(tmp_path, "layers.1")
    plain = {"normalize_activations": "none", "apply_b_dec_to_input": True}
    expected = reference(tensors, x * 0.25, {"architecture": "standard", **plain})
    fired = coder.encode(x)
    torch.testing.assert_close(dense(fired), expected, rtol=1e-4, atol=1e-5)
    rebuilt = (expected @ tensors["W_dec"] + tensors["b_dec"]) / 0.25
    torch.testing.assert_close(coder.decode(x, fired), rebuilt, rtol=1e-4, atol=1e-4)
    first = coder.fingerprint
    write_json(tmp_path / "activation_scaler.json", {"scaling_factor": 0.5})
    assert load_coder(tmp_path, "layers.1").fingerprint != first
    write_json(tmp_path / "activation_scaler.json", {"scaling_factor": None})
    with pytest.raises(DataError, match="expected a number above 0"):
        load_coder(tmp_path, "layers.1")


@pytest.mark.parametrize("folder", ["layers.5", "blocks.5.hook_resid_post", "model.layers.5"])
def test_a_folder_may_have_the_name_of_the_hook(tmp_path: Path, folder: str) -> None:
    make(tmp_path / folder, "standard")
    make(tmp_path / "blocks.6.hook_resid_post", "standard")
    assert describe_coder(tmp_path, "layers.5").place == tmp_path / folder


def test_two_folders_at_one_hookpoint_are_refused(tmp_path: Path) -> None:
    for folder in ("blocks.5.hook_resid_post", "blocks.5.hook_resid_pre"):
        make(tmp_path / folder, "standard")
    with pytest.raises(DataError, match="give the folder of one of them"):
        describe_coder(tmp_path, "layers.5")


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("standard", {"normalize_activations": "covariance_whitening"}, "covariance_whitening"),
        ("standard", {"normalize_activations": True}, "the number that inputs are scaled by"),
        ("standard", {"architecture": "matching_pursuit"}, "'matching_pursuit'; expected one of"),
        ("standard", {"activation_fn_str": "tanh-relu"}, "activation_fn = 'tanh-relu'"),
        ("standard", {"hook_head_index": 3}, "hook_head_index = 3"),
        ("standard", {"hook_point_head_index": 0}, "hook_point_head_index = 0"),
        ("standard", {"metadata": {"hook_name": "blocks.1.hook_q"}}, r"'blocks\.1\.hook_q'"),
        (
            "standard",
            {"model_from_pretrained_kwargs": {"center_writing_weights": True}},
            "center_writing_weights = true",
        ),
        ("standard", {"d_in": None}, "not a configuration of SAELens"),
        ("topk", {"k": 0}, "k = 0 with d_sae = 30"),
        ("jumprelu", {"rescale_acts_by_decoder_norm": True}, "expected topk or abstopk"),
        ("transcoder", {"apply_b_dec_to_input": True}, "expected false"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    tmp_path: Path, architecture: str, changes: dict[str, Any], message: str
) -> None:
    make(tmp_path, architecture)
    config = json.loads((tmp_path / "cfg.json").read_text())
    write_json(tmp_path / "cfg.json", {**config, **changes})
    with pytest.raises(DataError, match=message):
        describe_coder(tmp_path, "layers.1")


def test_a_finetuned_scaling_factor_is_refused(tmp_path: Path) -> None:
    tensors = make(tmp_path, "standard")
    tensors["scaling_factor"] = torch.full((WIDTH,), 1.2)
    save_file(tensors, tmp_path / "sae_weights.safetensors")
    with pytest.raises(DataError, match="finetuned scaling_factor"):
        load_coder(tmp_path, "layers.1")


def test_damaged_or_foreign_weights_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "jumprelu")
    path = tmp_path / "sae_weights.safetensors"
    tensors = load_file(path)
    del tensors["threshold"]
    save_file(tensors, path)
    with pytest.raises(DataError, match="belong to different coders"):
        load_coder(tmp_path, "layers.1")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"sae_weights\.safetensors cannot be read"):
        load_coder(tmp_path, "layers.1")
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_coder(tmp_path, "layers.1")
