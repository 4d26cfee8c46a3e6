"""What every sparse coder can do, whatever file it came from.

In: activations of a model's module. Out: the few latents that fire on each, as three flat tensors.
On its way there a coder holds dense pre-activations, but only of a block of tokens, or of tokens
and latents, at a time (`linear`).
"""

from typing import NamedTuple, Protocol

from torch import Tensor

from delphi_assets.models.subject import Side


class SparseActivations(NamedTuple):
    """Non-zero activations, one an entry of three tensors [nnz] of equal length."""

    row: Tensor
    """Row of the input, int64."""
    latent: Tensor
    """Index of the latent, int64."""
    value: Tensor
    """Activation, in the coder's precision."""


class CoderShape(NamedTuple):
    """What is known of a coder before its weights are read."""

    num_latents: int
    d_in: int
    side: Side
    """Whether it reads what its module takes in or what it returns."""


class Encoder(Protocol):
    """The half of a sparse coder that capturing needs: n latents over activations of width d."""

    @property
    def shape(self) -> CoderShape:
        """Number of latents, width and side."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the files it was loaded from: another coder has another."""

    def encode(self, x: Tensor) -> SparseActivations:
        """Latents that fire on `x` [tokens, d]."""


class Coder(Encoder, Protocol):
    """A sparse coder in memory."""

    @property
    def encoder(self) -> Encoder:
        """The same without what only decoding needs, so that the rest can be freed."""

    @property
    def encoder_rows(self) -> Tensor:
        """Encoder weights [n, d], a row a latent."""

    @property
    def encoder_bias(self) -> Tensor:
        """Encoder bias [n]."""

    @property
    def decoder_rows(self) -> Tensor:
        """Decoder weights [n, d_out], a row a latent."""

    def decode(self, x: Tensor, activations: SparseActivations) -> Tensor:
        """Reconstruction [tokens, d_out] of the module's output from what fires on `x`."""
