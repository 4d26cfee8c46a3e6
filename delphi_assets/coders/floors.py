"""A coder that knows nothing of the model, to hold a trained one against.

In: a trained coder, the name of a floor and a seed. Out: a `LinearCoder` of the same shape with
other directions.

1. Rows are measured in units of each input: its entries divided by their root mean square over the
   latents. A residual stream has a few huge dimensions, to which a trained coder gives small
   weights; a direction drawn in raw units would see nothing else, and all latents fire alike.
2. `embedded:random`: every row is drawn from a normal distribution. `embedded:shuffled`: the
   entries of every row are permuted over the inputs, each row by a permutation of its own.
3. In those units every row has the norm of the trained one; then they are brought back.
4. So with encoder and decoder. Where both have the same width they get the same draws: a permuted
   latent still writes in the direction that it reads.

All else is the trained coder's: biases, what is subtracted from the input, k or thresholds.

Floors of this kind are in Heap et al., "Sparse autoencoders can interpret randomly initialized
transformers" (2025), and arXiv 2602.14111 (2026): scores of explanations are high for them too.
"""

import hashlib
from dataclasses import replace

import torch
from torch import Tensor

from delphi_assets.coders.coder import Coder
from delphi_assets.coders.linear import LinearCoder
from delphi_assets.errors import SettingError
from delphi_assets.settings import RANDOM_ROWS

_ROWS_AT_ONCE = 4_096


def floor_of(coder: Coder, floor: str, seed: int) -> LinearCoder:
    """The floor of a coder; raises `SettingError` for one that is no matrix product."""
    if not isinstance(coder, LinearCoder):
        raise SettingError(
            f"coder.sparse_models holds {floor!r}, made from a {type(coder).__name__}; expected "
            "coder.sparse_model to be in a format that gives a LinearCoder."
        )
    return replace(
        coder,
        encoder_rows=_other_rows(coder.encoder_rows, floor, seed),
        decoder_rows=_other_rows(coder.decoder_rows, floor, seed),
        fingerprint=floor_fingerprint(coder.fingerprint, floor, seed),
    )


def floor_fingerprint(trained: str, floor: str, seed: int) -> str:
    """The fingerprint of a floor of the coder that has the fingerprint `trained`."""
    return hashlib.sha256(f"{floor} {seed} {trained}".encode()).hexdigest()


def scales_of(rows: Tensor) -> Tensor:
    """Root mean square of each input's entries [d]; 1 for an input that no row reads."""
    scales = rows.float().pow(2).mean(0).sqrt()
    return torch.where(scales > 0, scales, 1.0)


def _other_rows(rows: Tensor, floor: str, seed: int) -> Tensor:
    """Rows [n, d] that a floor has instead."""
    draw = torch.Generator().manual_seed(seed)
    scales = scales_of(rows)
    made = []
    for block in torch.split(rows, _ROWS_AT_ONCE):
        trained = block.float() / scales
        # Drawn on the processor, which gives the same numbers beside any device.
        if floor == RANDOM_ROWS:
            other = torch.randn(trained.shape, generator=draw).to(rows.device)
            other *= trained.norm(dim=1, keepdim=True) / other.norm(dim=1, keepdim=True)
        else:
            order = torch.rand(trained.shape, generator=draw).argsort(dim=1)
            other = trained.gather(1, order.to(rows.device))
        made.append((other * scales).to(rows.dtype))
    return torch.cat(made)
