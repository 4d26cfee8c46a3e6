"""Coders of dictionary_learning compute what their formulas say, and their pickles run nothing."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from delphi_assets.coders import CoderShape, describe_coder, load_coder
from delphi_assets.errors import DataError
from tests.parts.dense_coders import (
    LATENTS,
    WIDTH,
    Trap,
    dense,
    draw,
    inputs,
    keep_largest,
    write_json,
)

pytestmark = pytest.mark.usefixtures("one_thread")

Tensors = dict[str, torch.Tensor]

K = 4
KINDS = [
    "AutoEncoder",
    "AutoEncoderNew",
    "AutoEncoderTopK",
    "BatchTopKSAE",
    "MatryoshkaBatchTopKSAE",
    "JumpReluAutoEncoder",
    "GatedAutoEncoder",
]


def make_tensors(kind: str) -> Tensors:
    if kind in ("JumpReluAutoEncoder", "MatryoshkaBatchTopKSAE"):
        tensors = {"W_enc": draw(1, WIDTH, LATENTS), "W_dec": draw(2, LATENTS, WIDTH)}
        tensors |= {"b_enc": draw(3, LATENTS), "b_dec": draw(4, WIDTH)}
    else:
        tensors = {"encoder.weight": draw(1, LATENTS, WIDTH)}
        tensors |= {"decoder.weight": draw(2, WIDTH, LATENTS), "encoder.bias": draw(3, LATENTS)}
    if kind in ("AutoEncoderTopK", "BatchTopKSAE"):
        tensors["b_dec"] = draw(4, WIDTH)
    if kind in ("AutoEncoderTopK", "BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
        tensors |= {"k": torch.tensor(K), "threshold": torch.tensor(1.5)}
    if kind == "AutoEncoder":
        tensors["bias"] = draw(4, WIDTH)
    if kind == "AutoEncoderNew":
        tensors["decoder.bias"] = draw(4, WIDTH)
    if kind == "JumpReluAutoEncoder":
        tensors["threshold"] = draw(5, LATENTS)
    if kind == "GatedAutoEncoder":
        del tensors["encoder.bias"]
        tensors |= {"decoder_bias": draw(4, WIDTH), "r_mag": draw(5, LATENTS) / 3}
        tensors |= {"gate_bias": draw(6, LATENTS), "mag_bias": draw(7, LATENTS)}
    return tensors


def make(folder: Path, kind: str, io: str = "out", **trainer: Any) -> Tensors:
    about = {"dict_class": kind, "activation_dim": WIDTH, "dict_size": LATENTS, "k": K, **trainer}
    write_json(folder / "config.json", {"trainer": about, "buffer": {"io": io, "ctx_len": 128}})
    tensors = make_tensors(kind)
    torch.save(tensors, folder / "ae.pt")
    return tensors


def reference(t: Tensors, x: torch.Tensor, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Dense activations and the reconstruction."""
    encoder = t["W_enc"] if "W_enc" in t else t["encoder.weight"].T
    decoder = t["W_dec"] if "W_dec" in t else t["decoder.weight"].T
    bias = next(t[n] for n in ("b_dec", "bias", "decoder_bias", "decoder.bias") if n in t)
    subtracted = kind not in ("JumpReluAutoEncoder", "AutoEncoderNew")
    product = (x - bias if subtracted else x) @ encoder
    if kind == "GatedAutoEncoder":
        opened = product + t["gate_bias"] > 0
        fired = opened * torch.relu(t["r_mag"].exp() * product + t["mag_bias"])
    else:
        pre = product + (t["b_enc"] if "b_enc" in t else t["encoder.bias"])
        fired = torch.relu(pre)
        if kind == "AutoEncoderTopK":
            fired = keep_largest(fired, fired, K)
        elif "threshold" in t:
            fired = fired * (pre > t["threshold"])
    return fired, fired @ decoder + bias


@pytest.mark.parametrize("kind", KINDS)
def test_encoding_equals_a_dense_reference(tmp_path: Path, kind: str) -> None:
    tensors, x = make(tmp_path, kind), inputs()
    coder = load_coder(tmp_path, "layers.1")
    expected, rebuilt = reference(tensors, x, kind)
    fired = coder.encode(x)
    torch.testing.assert_close(dense(fired), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(coder.decode(x, fired), rebuilt, rtol=1e-4, atol=1e-3)


def test_an_unset_threshold_is_a_relu(tmp_path: Path) -> None:
    tensors = make(tmp_path, "BatchTopKSAE")
    tensors["threshold"] = torch.tensor(-1.0)
    torch.save(tensors, tmp_path / "ae.pt")
    x = inputs()
    expected, _ = reference(tensors, x, "BatchTopKSAE")
    torch.testing.assert_close(dense(load_coder(tmp_path, "layers.1").encode(x)), expected)


def test_the_configuration_tells_what_is_read(tmp_path: Path) -> None:
    make(tmp_path / "a", "AutoEncoder", submodule_name="resid_post_layer_8")
    make(tmp_path / "b", "AutoEncoder", io="in", submodule_name=None)
    a, b = (describe_coder(tmp_path / name, "layers.8") for name in "ab")
    assert a.hook == "blocks.8.hook_resid_post"
    assert a.shape == CoderShape(LATENTS, WIDTH, "output")
    assert b.hook is None
    assert b.shape == CoderShape(LATENTS, WIDTH, "input")


def test_a_folder_may_have_the_name_of_the_hookpoint(tmp_path: Path) -> None:
    make(tmp_path / "layers.8", "AutoEncoder")
    assert describe_coder(tmp_path, "model.layers.8").place == tmp_path / "layers.8"


def plain(content: Any, path: Path) -> None:
    """A pickle that is no archive of torch."""
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("save", [torch.save, plain])
def test_a_malicious_pickle_is_not_executed(tmp_path: Path, save: Any) -> None:
    tensors, trap = make(tmp_path, "AutoEncoder"), tmp_path / "trap"
    save({**tensors, "more": Trap(trap)}, tmp_path / "ae.pt")
    with pytest.raises(DataError, match=r"ae\.pt cannot be read"):
        load_coder(tmp_path, "layers.1")
    assert not trap.exists()
    # The trap works: whoever unpickles it gets the file.
    pickle.loads(pickle.dumps(Trap(trap)))
    assert trap.exists()


@pytest.mark.parametrize("content", [[1, 2], {"encoder.weight": 3}])
def test_a_pickle_without_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    make(tmp_path, "AutoEncoder")
    torch.save(content, tmp_path / "ae.pt")
    with pytest.raises(DataError, match="expected names and tensors"):
        load_coder(tmp_path, "layers.1")


def test_damaged_or_foreign_weights_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "GatedAutoEncoder")
    torch.save(make_tensors("AutoEncoder"), tmp_path / "ae.pt")
    with pytest.raises(DataError, match="belong to different coders"):
        load_coder(tmp_path, "layers.1")
    path = tmp_path / "ae.pt"
    path.write_bytes(path.read_bytes()[:1_000])
    with pytest.raises(DataError, match=r"ae\.pt cannot be read"):
        load_coder(tmp_path, "layers.1")
    path.unlink()
    with pytest.raises(DataError, match=r"ae\.pt cannot be read"):
        load_coder(tmp_path, "layers.1")


def test_a_coder_from_an_input_to_an_output_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "AutoEncoder", io="in_and_out")
    with pytest.raises(
        DataError, match=r"buffer\.io = 'in_and_out'; expected one of \['in', 'out'\]"
    ):
        describe_coder(tmp_path, "layers.1")


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"dict_class": "CrossCoder"}, "'CrossCoder'; expected one of"),
        ({"dict_class": "AutoEncoderTopK", "k": 0}, r"trainer\.k = 0"),
        ({"dict_size": None}, "not a configuration of dictionary_learning"),
    ],
)
def test_a_bad_configuration_is_refused(
    tmp_path: Path, trainer: dict[str, Any], message: str
) -> None:
    make(tmp_path, "AutoEncoder", **trainer)
    with pytest.raises(DataError, match=message):
        describe_coder(tmp_path, "layers.1")
