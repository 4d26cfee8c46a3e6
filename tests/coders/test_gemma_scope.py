"""Coders of Gemma Scope compute what their formulas say, and know what they read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from delphi_assets.coders import describe_coder, load_coder
from delphi_assets.errors import DataError
from tests.parts.dense_coders import LATENTS, WIDTH, Trap, dense, draw, inputs, write_json

pytestmark = pytest.mark.usefixtures("one_thread")

Tensors = dict[str, torch.Tensor]

D_OUT = 7


def make_tensors(d_out: int) -> Tensors:
    return {
        "W_enc": draw(1, WIDTH, LATENTS),
        "W_dec": draw(2, LATENTS, d_out),
        "b_enc": draw(3, LATENTS),
        "b_dec": draw(4, d_out),
        "threshold": draw(5, LATENTS).abs(),
    }


def make_first(folder: Path, d_out: int = WIDTH, lower: bool = False) -> Tensors:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = make_tensors(d_out)
    arrays: dict[str, Any] = {
        name.lower() if lower else name: tensor.numpy() for name, tensor in tensors.items()
    }
    np.savez(folder / "params.npz", **arrays)
    return tensors


def make_second(folder: Path, d_out: int = WIDTH, skip: bool = False) -> Tensors:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name.lower(): tensor for name, tensor in make_tensors(d_out).items()}
    if skip:
        tensors["affine_skip_connection"] = draw(6, WIDTH, d_out)
    save_file(tensors, folder / "params.safetensors")
    return {name.replace("w_", "W_"): tensor for name, tensor in tensors.items()}


def reference(t: Tensors, x: torch.Tensor) -> torch.Tensor:
    pre = x @ t["W_enc"] + t["b_enc"]
    return torch.relu(pre) * (pre > t["threshold"])


@pytest.mark.parametrize("lower", [False, True])
def test_the_first_scope_equals_a_dense_reference(tmp_path: Path, lower: bool) -> None:
    tensors, x = make_first(tmp_path, lower=lower), inputs()
    coder = load_coder(tmp_path, "layers.3")
    fired = coder.encode(x)
    expected = reference(tensors, x)
    torch.testing.assert_close(dense(fired), expected)
    torch.testing.assert_close(
        coder.decode(x, fired), expected @ tensors["W_dec"] + tensors["b_dec"]
    )


@pytest.mark.parametrize("skip", [False, True])
def test_the_second_scope_equals_a_dense_reference(tmp_path: Path, skip: bool) -> None:
    tensors, x = make_second(tmp_path, D_OUT, skip), inputs()
    coder = load_coder(tmp_path, "layers.3.pre_feedforward_layernorm")
    fired = coder.encode(x)
    expected = reference(tensors, x)
    torch.testing.assert_close(dense(fired), expected)
    rebuilt = expected @ tensors["W_dec"] + tensors["b_dec"]
    if skip:
        rebuilt = rebuilt + x @ tensors["affine_skip_connection"]
    torch.testing.assert_close(coder.decode(x, fired), rebuilt)


@pytest.mark.parametrize(
    ("repository", "hook", "side"),
    [
        ("gemma-scope-2b-pt-res", "layers.12.output", "output"),
        ("gemma-scope-9b-it-res", "layers.12.output", "output"),
        ("models--google--gemma-scope-9b-pt-att", "layers.12.self_attn.o_proj.input", "input"),
        ("gemma-scope-2b-pt-mlp", "layers.12.post_feedforward_layernorm.output", "output"),
        (
            "gemma-scope-2b-pt-transcoders",
            "layers.12.pre_feedforward_layernorm.normalized",
            "normalized input",
        ),
    ],
)
def test_the_first_scope_names_its_hook_in_its_path(
    tmp_path: Path, repository: str, hook: str, side: str
) -> None:
    folder = tmp_path / repository / "snapshots" / "layer_12" / "width_16k" / "average_l0_82"
    make_first(folder)
    described = describe_coder(tmp_path / folder, "anything")
    assert described.hook == hook
    assert (*described.shape,) == (LATENTS, WIDTH, side)


@pytest.mark.parametrize(
    ("kind", "hook"),
    [
        ("resid_post", "layers.13.output"),
        ("resid_post_all", "layers.13.output"),
        ("attn_out", "layers.13.self_attn.o_proj.input"),
        ("mlp_out_all", "layers.13.post_feedforward_layernorm.output"),
        ("transcoder", "layers.13.pre_feedforward_layernorm.output"),
    ],
)
def test_the_second_scope_names_its_hook_in_its_path(tmp_path: Path, kind: str, hook: str) -> None:
    folder = tmp_path / kind / "layer_13_width_16k_l0_medium"
    make_second(folder)
    assert describe_coder(folder, "anything").hook == hook


def test_a_configuration_goes_before_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "resid_post" / "layer_13_width_16k_l0_medium"
    make_second(folder)
    path = "model.layers.14.self_attn.o_proj.input"
    write_json(
        folder / "config.json",
        {"architecture": "jump_relu", "hf_hook_point_in": path, "model_name": "gemma-v3-1b-pt"},
    )
    described = describe_coder(folder, "anything")
    assert described.hook == path
    assert described.shape.side == "input"
    write_json(folder / "config.json", {"architecture": "topk"})
    with pytest.raises(DataError, match="expected 'jump_relu'"):
        describe_coder(folder, "anything")


@pytest.mark.parametrize(
    ("hookpoint", "side"),
    [
        ("layers.12", "output"),
        ("model.layers.12", "output"),
        ("layers.3.self_attn.o_proj", "input"),
        ("layers.3.post_feedforward_layernorm", "output"),
        ("layers.3.pre_feedforward_layernorm", "output"),
    ],
)
def test_the_hookpoint_decides_where_the_path_says_nothing(
    tmp_path: Path, hookpoint: str, side: str
) -> None:
    make_second(tmp_path / "second")
    described = describe_coder(tmp_path / "second", hookpoint)
    assert described.hook is None
    assert described.shape.side == side
    # Only the transcoders of the two read another place.
    make_first(tmp_path / "first")
    first = "normalized input" if "pre_feedforward" in hookpoint else side
    assert describe_coder(tmp_path / "first", hookpoint).shape.side == first


def test_a_hookpoint_that_the_scope_does_not_read_is_refused(tmp_path: Path) -> None:
    make_first(tmp_path)
    with pytest.raises(DataError, match=r"'layers\.3\.mlp' is none that it could; .*o_proj"):
        describe_coder(tmp_path, "layers.3.mlp")


def test_the_layer_may_be_a_placeholder(tmp_path: Path) -> None:
    for layer in (0, 12):
        make_first(tmp_path / f"layer_{layer}" / "width_16k")
    source = f"{tmp_path}/layer_{{layer}}/width_16k"
    for layer in (0, 12):
        described = describe_coder(source, f"model.layers.{layer}")
        assert described.place == tmp_path / f"layer_{layer}" / "width_16k"


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    make_first(tmp_path)
    with np.load(tmp_path / "params.npz") as arrays:
        tensors: dict[str, Any] = dict(arrays)
    tensors["threshold"] = np.array([Trap(tmp_path / "trap")] * LATENTS, dtype=object)
    np.savez(tmp_path / "params.npz", **tensors)
    with pytest.raises(DataError, match=r"params\.npz cannot be read"):
        load_coder(tmp_path, "layers.3")
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("missing", ["threshold", "b_enc", "W_dec"])
def test_missing_tensors_are_refused(tmp_path: Path, missing: str) -> None:
    make_first(tmp_path)
    with np.load(tmp_path / "params.npz") as arrays:
        kept: dict[str, Any] = {name: arrays[name] for name in arrays.files if name != missing}
    np.savez(tmp_path / "params.npz", **kept)
    with pytest.raises(DataError, match=r"params\.npz holds"):
        describe_coder(tmp_path, "layers.3")


@pytest.mark.parametrize("name", ["params.npz", "params.safetensors"])
def test_truncated_files_are_refused(tmp_path: Path, name: str) -> None:
    (make_first if name == "params.npz" else make_second)(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        load_coder(tmp_path, "layers.3")
