"""A coder that is one matrix product, an activation function, and one product back.

In: tensors and an activation function, brought into one form by the module of a file format. Out:
a `Coder`, and by itself its `Encoder`. Encoding, with pre [tokens, n]:

1. x is normalized per token (`normalization`), brought to the coder's precision, and the input
   bias, if there is one, subtracted.
2. pre = x encoder_rows^T + encoder_bias, for a block of tokens and latents at a time: at most 64 MB
   whatever the numbers of tokens and latents are. Blocks are of at most 512 rows with all their
   latents where the activation function chooses among them, else of at most 2048 rows: larger ones
   leave the processor's cache before they are looked at.
3. What fires in each block is put in order of row.

Memory beside the weights is that of x, one block (a second one of magnitudes for `AbsTopK`), and
what fires. All blocks of a thread share one buffer, which is kept: made anew for each, they leave
holes in the heap, and the system clears their memory each time.
"""

import threading
from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from delphi_assets.coders.activation_functions import (
    AcrossLatents,
    ActivationFunction,
    PerLatent,
)
from delphi_assets.coders.coder import CoderShape, SparseActivations
from delphi_assets.coders.normalization import Normalization, normalize

_PREACTIVATION_BYTES = 64 * 2**20
_ROWS, _WHOLE_ROWS = 2_048, 512


@dataclass(frozen=True, kw_only=True)
class LinearEncoder:
    """The first product and what follows it; all tensors are on one device, in one precision."""

    shape: CoderShape
    encoder_rows: Tensor
    """[n, d]"""
    encoder_bias: Tensor
    """[n]"""
    activation: ActivationFunction
    fingerprint: str
    input_bias: Tensor | None = None
    """[d], subtracted from what is read."""
    normalization: Normalization = "none"

    @torch.no_grad()
    def encode(self, x: Tensor) -> SparseActivations:
        """Latents that fire on `x` [tokens, d], in order of row."""
        x = normalize(x, self.normalization).x.to(self.encoder_rows.dtype)
        if self.input_bias is not None:
            x = x - self.input_bias
        entries = max(1, _PREACTIVATION_BYTES // self.encoder_rows.element_size())
        if isinstance(self.activation, AcrossLatents):
            return self._across_latents(x, entries, self.activation)
        return self._per_latent(x, entries, self.activation)

    def _across_latents(
        self, x: Tensor, entries: int, activation: AcrossLatents
    ) -> SparseActivations:
        """What fires on `x`, in blocks of whole rows with about `entries` pre-activations."""
        n = self.shape.num_latents
        n_rows = max(1, min(_WHOLE_ROWS, len(x), entries // n))
        buffer, parts = _buffer(x, max(entries, n_rows * n)), []
        for number, rows in enumerate(torch.split(x, n_rows)):
            fired = activation.fired(self._pre(rows, slice(0, n), buffer))
            parts.append(fired._replace(row=fired.row + number * n_rows))
        return _joined(parts)

    def _per_latent(self, x: Tensor, entries: int, activation: PerLatent) -> SparseActivations:
        """What fires on `x`, in blocks of some rows and latents with `entries` pre-activations."""
        n, limit = self.shape.num_latents, activation.limit
        n_rows = max(1, min(_ROWS, len(x), entries))
        n_latents = max(1, min(n, entries // n_rows))
        buffer = _buffer(x, entries)
        mask = x.new_empty(n_rows * n_latents, dtype=torch.bool)
        parts = []
        for number, rows in enumerate(torch.split(x, n_rows)):
            blocks = []
            for first in range(0, n, n_latents):
                latents = slice(first, min(first + n_latents, n))
                pre = self._pre(rows, latents, buffer)
                silent = torch.le(pre, limit[latents], out=_part(mask, pre.shape))
                row, column = silent.logical_not_().nonzero(as_tuple=True)
                latent = column + first
                values = activation.values(pre[row, column], latent)
                fires = values != 0
                blocks.append(
                    SparseActivations(row[fires] + number * n_rows, latent[fires], values[fires])
                )
            parts.append(_in_order(blocks))
        return _joined(parts)

    def _pre(self, x: Tensor, latents: slice, buffer: Tensor) -> Tensor:
        """Pre-activations [rows, latents] in `buffer`."""
        weights, bias = self.encoder_rows[latents], self.encoder_bias[latents]
        return torch.addmm(bias, x, weights.mT, out=_part(buffer, (len(x), len(bias))))


@dataclass(frozen=True, kw_only=True)
class LinearCoder(LinearEncoder):
    """An encoder and the product back."""

    decoder_rows: Tensor
    """[n, d_out]"""
    decoder_bias: Tensor
    """[d_out]"""
    restores_scale: bool = True
    """Whether what is rebuilt gets the scale of the input back; a transcoder's output does not."""
    skip: Tensor | None = None
    """[d_out, d], from the raw input to the output."""

    @property
    def encoder(self) -> LinearEncoder:
        """The encoder by itself, which does not keep the decoder in memory."""
        kept = {field.name: getattr(self, field.name) for field in fields(LinearEncoder)}
        return LinearEncoder(**kept)

    def decode(self, x: Tensor, activations: SparseActivations) -> Tensor:
        """Reconstruction [tokens, d_out] of the module's output."""
        # Rows come in order, so each token's bag is a contiguous run of the entries.
        starts = torch.searchsorted(
            activations.row, torch.arange(x.shape[0], device=x.device), right=False
        )
        out = functional.embedding_bag(
            activations.latent,
            self.decoder_rows,
            starts,
            per_sample_weights=activations.value,
            mode="sum",
        )
        out = out + self.decoder_bias
        if self.normalization != "none" and self.restores_scale:
            normalized = normalize(x, self.normalization)
            out = (out * normalized.scale + normalized.shift).to(out.dtype)
        return out if self.skip is None else out + x.to(out.dtype) @ self.skip.mT


def _buffer(x: Tensor, entries: int) -> Tensor:
    """Room for so many pre-activations of `x`, the same in every call of a thread."""
    return _kept(x.device, x.dtype, entries, threading.get_ident())


@lru_cache(maxsize=4)
def _kept(device: torch.device, dtype: torch.dtype, entries: int, thread: int) -> Tensor:
    return torch.empty(entries, dtype=dtype, device=device)


def _part(buffer: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The beginning of a flat buffer as a matrix."""
    return buffer[: shape[0] * shape[1]].view(shape)


def _in_order(blocks: list[SparseActivations]) -> SparseActivations:
    """Blocks of the same rows as one, in order of row, then latent block."""
    if len(blocks) == 1:
        return blocks[0]
    joined = _joined(blocks)
    order = joined.row.argsort(stable=True)
    return SparseActivations(*(column[order] for column in joined))


def _joined(parts: list[SparseActivations]) -> SparseActivations:
    return SparseActivations(*(torch.cat(column) for column in zip(*parts, strict=True)))
