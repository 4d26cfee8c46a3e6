"""In low precision, what fires is what a dense pass over the same rounded numbers says."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from delphi_assets.coders import CoderShape, load_coder
from delphi_assets.coders.activation_functions import (
    AbsTopK,
    ActivationFunction,
    Gated,
    GroupMax,
    Threshold,
    TopK,
    jump_relu,
    relu,
)
from delphi_assets.coders.linear import LinearCoder
from delphi_assets.coders.normalization import Normalization
from tests.coders.test_dictionary_learning import make as make_dictionary
from tests.coders.test_saelens import make as make_saelens
from tests.parts.dense_coders import LATENTS, TOKENS, WIDTH, dense, draw, inputs
from tests.parts.tiny_parts import LATENTS as SPARSIFY_LATENTS
from tests.parts.tiny_parts import WIDTH as SPARSIFY_WIDTH
from tests.parts.tiny_parts import K, make_coder

pytestmark = pytest.mark.usefixtures("one_thread")

LOW = [torch.bfloat16, torch.float16]


class Expected(NamedTuple):
    """What a dense pass in double precision says, up to the rounding of pre-activations."""

    values: torch.Tensor
    """Activations [tokens, n] of whatever fires."""
    error: torch.Tensor
    """[tokens, n], how far rounding may move them."""
    must: torch.Tensor
    """[tokens, n], fires however rounding falls."""
    may: torch.Tensor
    """[tokens, n], fires for some rounding."""


def functions(dtype: torch.dtype) -> list[ActivationFunction]:
    r_mag = draw(7, LATENTS) / 3
    return [
        TopK(4),
        AbsTopK(4),
        GroupMax(5),
        relu(LATENTS, torch.device("cpu"), dtype),
        jump_relu((2 * draw(5, LATENTS)).to(dtype)),
        Gated(draw(2, LATENTS).to(dtype), r_mag.exp().to(dtype), draw(8, LATENTS).to(dtype)),
    ]


def expected(pre: torch.Tensor, error: torch.Tensor, activation: ActivationFunction) -> Expected:
    """From exact pre-activations [tokens, n] and how far rounding may move them."""
    if isinstance(activation, Gated):
        gate_bias, scale, bias = (part.double() for part in activation)
        values = (pre - gate_bias) * scale + bias
        moved = error * scale + values.abs() * error / (pre.abs() + 1)
        must, may = (pre > error) & (values > moved), (pre > -error) & (values > -moved)
        return Expected(values, moved, must, may)
    if isinstance(activation, Threshold):
        over = pre - activation.limit.double()
        return Expected(pre, error, over > error, over > -error)
    ranked = pre.abs() if isinstance(activation, AbsTopK) else pre
    if isinstance(activation, GroupMax):
        groups = ranked.reshape(len(pre), activation.k, -1)
        top = groups.sort(dim=2, descending=True).values
        size = groups.shape[2]
        last, next_one = (top[:, :, i].repeat_interleave(size, dim=1) for i in (0, 1))
    else:
        top = ranked.sort(dim=1, descending=True).values
        last, next_one = (top[:, i : i + 1] for i in (activation.k - 1, activation.k))
    # Two numbers keep their order if they are further apart than both may be moved.
    slack = 2 * error.amax(dim=1, keepdim=True)
    must, may = ranked > next_one + slack, ranked >= last - slack
    if not isinstance(activation, AbsTopK):
        must, may = must & (pre > error), may & (pre > -error)
    return Expected(pre, error, must, may)


def check(found: torch.Tensor, wanted: Expected) -> None:
    """Compare dense activations [tokens, n] with what is expected."""
    fired = found != 0
    assert fired.any(dim=1).sum() > len(found) / 2
    assert not (wanted.must & ~fired).any()
    assert not (fired & ~wanted.may).any()
    off = (found.double() - wanted.values).abs()
    assert (off[fired] <= wanted.error[fired]).all()
    # Rounding leaves little open: what is asked for here is not empty.
    assert (wanted.may & ~wanted.must).sum() < wanted.must.sum()


def rounding(pre: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Of a product summed in single precision, rounded, and rounded again with the bias added."""
    return torch.finfo(dtype).eps * (pre.abs() + bias.abs()) + 1e-3


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("x_dtype", [torch.float32, torch.bfloat16])
def test_encoding(number: int, dtype: torch.dtype, x_dtype: torch.dtype) -> None:
    activation = functions(dtype)[number]
    rows, bias, input_bias = draw(1, LATENTS, WIDTH), draw(2, LATENTS), draw(4, WIDTH)
    coder = LinearCoder(
        shape=CoderShape(LATENTS, WIDTH, "output"),
        encoder_rows=rows.to(dtype),
        encoder_bias=bias.to(dtype),
        decoder_rows=rows.to(dtype),
        decoder_bias=input_bias.to(dtype),
        activation=activation,
        fingerprint="",
        input_bias=input_bias.to(dtype),
    )
    x = inputs().to(x_dtype)
    fired = coder.encode(x)
    assert fired.value.dtype == dtype
    centred = (x.to(dtype) - input_bias.to(dtype)).double()
    pre = centred @ rows.to(dtype).double().T + bias.to(dtype).double()
    found = dense(fired._replace(value=fired.value.float()))
    check(found, expected(pre, rounding(pre, bias, dtype), activation))


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("kind", [{}, {"activation": "groupmax"}, {"transcode": True}])
def test_coders_of_sparsify(tmp_path: Path, kind: dict[str, Any], dtype: torch.dtype) -> None:
    make_coder(tmp_path, "layers.1", **kind)
    stored = load_file(tmp_path / "layers.1" / "sae.safetensors")
    weights = {name: tensor.to(dtype) for name, tensor in stored.items()}
    x = draw(11, TOKENS, SPARSIFY_WIDTH).to(dtype)
    fired = load_coder(tmp_path, "layers.1", dtype=dtype).encode(x)
    read = x if "transcode" in kind else x - weights["b_dec"]
    bias = weights["encoder.bias"].double()
    pre = read.double() @ weights["encoder.weight"].double().T + bias
    activation = GroupMax(K) if "activation" in kind else TopK(K)
    found = dense(fired._replace(value=fired.value.float()), TOKENS, SPARSIFY_LATENTS)
    check(found, expected(pre, rounding(pre, bias, dtype), activation))


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("how", ["constant_norm_rescale", "layer_norm"])
def test_normalization_is_rounded_once_and_does_not_overflow(
    dtype: torch.dtype, how: Normalization
) -> None:
    coder = LinearCoder(
        shape=CoderShape(WIDTH, WIDTH, "output"),
        encoder_rows=torch.eye(WIDTH, dtype=dtype),
        encoder_bias=torch.zeros(WIDTH, dtype=dtype),
        decoder_rows=torch.eye(WIDTH, dtype=dtype),
        decoder_bias=torch.zeros(WIDTH, dtype=dtype),
        activation=AbsTopK(WIDTH),
        fingerprint="",
        normalization=how,
    )
    # Their squares, and some of them, are more than half precision holds.
    x = 3e4 * inputs()
    exact = x.double()
    if how == "layer_norm":
        centred = exact - exact.mean(1, keepdim=True)
        wanted = centred / centred.pow(2).sum(1, keepdim=True).div(WIDTH - 1).sqrt()
    else:
        wanted = exact * WIDTH**0.5 / exact.pow(2).sum(1, keepdim=True).sqrt()
    fired = coder.encode(x)
    found = dense(fired._replace(value=fired.value.float()), TOKENS, WIDTH)
    torch.testing.assert_close(
        found.double(), wanted, rtol=torch.finfo(dtype).eps, atol=torch.finfo(dtype).tiny
    )


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("standard", {}),
        ("jumprelu", {}),
        ("gated", {}),
        ("topk", {"rescale_acts_by_decoder_norm": True}),
        ("standard", {"normalize_activations": "expected_average_only_in"}),
    ],
)
def test_what_is_folded_into_weights_is_rounded_once(
    tmp_path: Path, architecture: str, changes: dict[str, object], dtype: torch.dtype
) -> None:
    make_saelens(tmp_path, architecture, **changes)
    (tmp_path / "activation_scaler.json").write_text('{"scaling_factor": 0.3}')
    same_once_rounded(tmp_path, dtype)


@pytest.mark.parametrize("dtype", LOW)
def test_a_gate_of_dictionary_learning_is_rounded_once(tmp_path: Path, dtype: torch.dtype) -> None:
    make_dictionary(tmp_path, "GatedAutoEncoder")
    same_once_rounded(tmp_path, dtype)


def same_once_rounded(folder: Path, dtype: torch.dtype) -> None:
    """Compare a coder read in low precision with one read in single precision and then rounded."""
    single, low = (load_coder(folder, "layers.1", dtype=kind) for kind in (torch.float32, dtype))
    assert isinstance(single, LinearCoder)
    assert isinstance(low, LinearCoder)
    pairs = [(getattr(single, name), getattr(low, name)) for name in vars(single)]
    pairs += zip(single.activation, low.activation, strict=True)
    tensors = [(one, other) for one, other in pairs if isinstance(one, torch.Tensor)]
    assert len(tensors) >= 4
    assert all(other.dtype == dtype and one.to(dtype).equal(other) for one, other in tensors)
    assert single.fingerprint == low.fingerprint
