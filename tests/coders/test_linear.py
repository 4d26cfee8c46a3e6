"""Encoding takes bounded memory, keeps the order of rows, and does not hide NaN."""

import gc
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from delphi_assets.coders import CoderShape
from delphi_assets.coders.activation_functions import (
    AbsTopK,
    ActivationFunction,
    Gated,
    GroupMax,
    TopK,
    jump_relu,
    relu,
)
from delphi_assets.coders.linear import LinearCoder
from tests.parts.dense_coders import LATENTS, TOKENS, WIDTH, dense, draw, inputs

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

ACTIVATIONS: list[ActivationFunction] = [
    TopK(4),
    AbsTopK(4),
    GroupMax(5),
    relu(LATENTS, torch.device("cpu"), torch.float32),
    jump_relu(draw(5, LATENTS)),
    Gated(draw(6, LATENTS), draw(7, LATENTS).exp(), draw(8, LATENTS)),
]


def coder(activation: ActivationFunction) -> LinearCoder:
    return LinearCoder(
        shape=CoderShape(LATENTS, WIDTH, "output"),
        encoder_rows=draw(1, LATENTS, WIDTH),
        encoder_bias=draw(2, LATENTS),
        decoder_rows=draw(3, LATENTS, WIDTH),
        decoder_bias=draw(4, WIDTH),
        activation=activation,
        fingerprint="",
    )


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: type(a).__name__)
def test_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch, activation: ActivationFunction
) -> None:
    whole = coder(activation).encode(inputs())
    module = "delphi_assets.coders.linear"
    for rows, size in ((1, 4), (7, 4 * 7 * 11), (TOKENS, 4 * TOKENS * 29)):
        monkeypatch.setattr(f"{module}._ROWS", rows)
        monkeypatch.setattr(f"{module}._PREACTIVATION_BYTES", size)
        torch.testing.assert_close(dense(coder(activation).encode(inputs())), dense(whole))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: type(a).__name__)
def test_nan_is_not_taken_for_silence(activation: ActivationFunction) -> None:
    x = inputs()
    x[7, 3] = torch.nan
    fired = coder(activation).encode(x)
    assert set(fired.row[fired.value.isnan()].tolist()) == {7}


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: type(a).__name__)
def test_no_rows_give_no_activations(activation: ActivationFunction) -> None:
    fired = coder(activation).encode(torch.empty(0, WIDTH))
    assert [len(column) for column in fired] == [0, 0, 0]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: type(a).__name__)
def test_the_encoder_by_itself_holds_no_decoder(activation: ActivationFunction) -> None:
    whole = replace(coder(activation), input_bias=draw(9, WIDTH), normalization="layer_norm")
    encoder = whole.encoder
    rows, bias = weakref.ref(whole.decoder_rows), weakref.ref(whole.decoder_bias)
    expected = dense(whole.encode(inputs()))
    assert (encoder.shape, encoder.fingerprint) == (whole.shape, whole.fingerprint)
    del whole
    gc.collect()
    assert rows() is None
    assert bias() is None
    assert dense(encoder.encode(inputs())).equal(expected)


PEAK = r"""
import re, sys, torch
from pathlib import Path
from delphi_assets.coders import CoderShape
from delphi_assets.coders.activation_functions import jump_relu
from delphi_assets.coders.linear import LinearCoder
torch.set_num_threads(1)

def kib(name):
    return int(re.search(name + r":\s+(\d+)", Path("/proc/self/status").read_text())[1])

n, d = int(sys.argv[1]), 32
draw = torch.Generator().manual_seed(0)
rows = torch.randn(n, d, generator=draw) / d**0.5
coder = LinearCoder(
    shape=CoderShape(n, d, "output"), encoder_rows=rows, encoder_bias=torch.zeros(n),
    decoder_rows=rows, decoder_bias=torch.zeros(d),
    activation=jump_relu(torch.full((n,), 3.2)), fingerprint="",
)
x = torch.randn(2048, d, generator=draw)
coder.encode(x[:1])
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
before = kib("VmRSS")
fired = coder.encode(x)
assert 0 < len(fired.row) < 2048 * n / 100
print(kib("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_width() -> None:
    def peak(latents: int) -> float:
        """MiB that encoding 2048 tokens adds to the peak of a process that holds the weights."""
        root = Path(__file__).parents[2]
        run = [sys.executable, "-c", PEAK, str(latents)]
        done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=root)
        return int(done.stdout) / 1024

    narrow, wide = peak(32_768), peak(131_072)
    # A dense [2048, 131072] tensor would take 1024 MiB.
    assert wide < 300
    assert wide < narrow + 100
