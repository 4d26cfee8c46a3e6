"""A floor has other directions and all else of its coder: by hand, and against numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from delphi_assets.coders import Coder, load_coder
from delphi_assets.coders.floors import floor_fingerprint, floor_of
from delphi_assets.coders.linear import LinearCoder
from delphi_assets.errors import SettingError
from delphi_assets.settings import FLOORS
from tests.parts.tiny_parts import LATENTS, WIDTH, make_coder

HUGE = 1_000.0


@pytest.fixture
def coder(tmp_path: Path) -> LinearCoder:
    """A coder whose first input is a thousand times as large as others, its weights as small."""
    made = load_coder(make_coder(tmp_path, "."), "layers.0")
    assert isinstance(made, LinearCoder)
    made.encoder_rows[:, 0] /= HUGE
    made.decoder_rows[:, 0] *= HUGE
    return made


def in_units(rows: torch.Tensor) -> "np.ndarray[Any, Any]":
    """Rows in units of each input, by numpy."""
    values = rows.double().numpy()
    scaled: np.ndarray[Any, Any] = values / np.sqrt((values**2).mean(0))
    return scaled


def scaled_as(rows: torch.Tensor, trained: torch.Tensor) -> "np.ndarray[Any, Any]":
    """Rows of a floor in units of the inputs of the trained rows."""
    values = rows.double().numpy()
    made: np.ndarray[Any, Any] = values / np.sqrt((trained.double().numpy() ** 2).mean(0))
    return made


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("rows", ["encoder_rows", "decoder_rows"])
def test_norms_are_kept_and_directions_are_not(coder: LinearCoder, floor: str, rows: str) -> None:
    trained, made = getattr(coder, rows), getattr(floor_of(coder, floor, 22), rows)
    own, other = in_units(trained), scaled_as(made, trained)
    norms = np.linalg.norm(own, axis=1)
    np.testing.assert_allclose(np.linalg.norm(other, axis=1), norms, rtol=1e-5)
    cosines = (own * other).sum(1) / norms**2
    # Of random directions of 16 dimensions: a standard deviation of 0.25 each, 0.036 their mean's.
    assert abs(cosines.mean()) < 0.15
    assert np.abs(cosines).max() < 0.9


def test_shuffled_entries_are_those_of_the_row(coder: LinearCoder) -> None:
    made = floor_of(coder, "embedded:shuffled", 22)
    own = np.sort(in_units(coder.encoder_rows), axis=1)
    other = np.sort(scaled_as(made.encoder_rows, coder.encoder_rows), axis=1)
    np.testing.assert_allclose(other, own, rtol=1e-4, atol=1e-6)
    orders = {
        tuple(np.argsort(np.argsort(row)))
        for row in scaled_as(made.encoder_rows, coder.encoder_rows)
    }
    assert len(orders) == LATENTS, "each row is permuted by itself"


@pytest.mark.parametrize("floor", FLOORS)
def test_all_else_is_the_coders(coder: LinearCoder, floor: str) -> None:
    made = floor_of(coder, floor, 22)
    for name in ("shape", "encoder_bias", "input_bias", "decoder_bias", "activation", "skip"):
        assert getattr(made, name) is getattr(coder, name)
    assert made.fingerprint == floor_fingerprint(coder.fingerprint, floor, 22)


@pytest.mark.parametrize("floor", FLOORS)
def test_draws_are_the_seeds(coder: LinearCoder, floor: str) -> None:
    one, again, other = (floor_of(coder, floor, seed) for seed in (1, 1, 2))
    assert torch.equal(one.encoder_rows, again.encoder_rows)
    assert not torch.equal(one.encoder_rows, other.encoder_rows)
    assert one.fingerprint != other.fingerprint
    others = {floor_of(coder, name, 1).fingerprint for name in FLOORS}
    assert len(others | {coder.fingerprint}) == 3


@pytest.mark.parametrize("floor", FLOORS)
def test_it_reads_and_writes_one_direction(coder: LinearCoder, floor: str) -> None:
    """Encoder and decoder get the same draws, as a trained latent's are alike."""
    alike = coder.encoder_rows.clone()
    alike[:, 0] *= HUGE**2
    made = floor_of(LinearCoder(**{**vars(coder), "decoder_rows": alike}), floor, 22)
    read = scaled_as(made.encoder_rows, coder.encoder_rows)
    np.testing.assert_allclose(read, scaled_as(made.decoder_rows, alike), rtol=1e-4, atol=1e-6)


def test_a_huge_input_does_not_decide_what_fires(coder: LinearCoder) -> None:
    """In raw units it would: then the sign of one input says which latents fire."""
    draw = torch.Generator().manual_seed(4)
    x = torch.randn(400, WIDTH, generator=draw)
    x[:, 0] *= HUGE
    for floor in FLOORS:
        fired = floor_of(coder, floor, 22).encode(x).latent
        shares = torch.bincount(fired, minlength=LATENTS) / len(x)
        assert (shares > 0.01).float().mean() > 0.8


def test_an_input_that_nothing_reads_stays_unread(coder: LinearCoder) -> None:
    coder.encoder_rows[:, 3] = 0
    made = floor_of(coder, "embedded:random", 22)
    assert made.encoder_rows.isfinite().all()


def test_another_kind_of_coder_is_refused() -> None:
    class Odd:
        """Has rows, but is no matrix product."""

    # It lacks a coder's methods: what is refused is not asked for them.
    odd: Coder = Odd()  # type: ignore[assignment]
    with pytest.raises(SettingError, match=r"'embedded:random', made from a Odd; expected"):
        floor_of(odd, "embedded:random", 22)
