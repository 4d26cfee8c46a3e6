"""From pre-activations to the latents that fire.

- `TopK`, `AbsTopK` and `GroupMax` choose among all latents of a row (`AcrossLatents`): rows of
  pre-activations [rows, n] in, `SparseActivations` in order of row out.
- `Threshold` and `Gated` decide for each latent alone (`PerLatent`): it may fire where its
  pre-activation exceeds `limit` [n], and only there `values` computes the activation, from
  pre-activations [m] of latents [m]; some of these may still be 0.

A zero did not fire and is dropped. NaN is kept, so that whoever stores it can refuse it: hence the
comparisons are of what does not fire.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from delphi_assets.coders.coder import SparseActivations


class TopK(NamedTuple):
    """The k largest of a row, as far as they are positive."""

    k: int

    def fired(self, pre: Tensor) -> SparseActivations:
        """What fires in `pre` [rows, n]."""
        values, chosen = pre.topk(self.k, dim=-1, sorted=False)
        return _chosen(values, chosen, (values <= 0).logical_not_())


class AbsTopK(NamedTuple):
    """The k largest of a row by magnitude, with their signs."""

    k: int

    def fired(self, pre: Tensor) -> SparseActivations:
        """What fires in `pre` [rows, n]."""
        chosen = pre.abs().topk(self.k, dim=-1, sorted=False).indices
        values = pre.gather(-1, chosen)
        return _chosen(values, chosen, values != 0)


class GroupMax(NamedTuple):
    """The largest of each of k contiguous groups of a row, as far as it is positive."""

    k: int

    def fired(self, pre: Tensor) -> SparseActivations:
        """What fires in `pre` [rows, n]."""
        groups = pre.reshape(len(pre), self.k, pre.shape[-1] // self.k)
        values, chosen = groups.max(dim=-1)
        chosen += torch.arange(self.k, device=pre.device) * groups.shape[-1]
        return _chosen(values, chosen, (values <= 0).logical_not_())


class Threshold(NamedTuple):
    """ReLU, and above it whatever exceeds the latent's threshold: ReLU where that is 0."""

    limit: Tensor
    """[n], at least 0."""

    def values(self, pre: Tensor, latents: Tensor) -> Tensor:
        """Activations [m] from pre-activations [m] of `latents` [m]."""
        return pre


class Gated(NamedTuple):
    """ReLU of the magnitude, where the gate is open.

    Both paths share their weights: with p the gate's pre-activation,
    magnitude = (p - gate_bias) * scale + magnitude_bias.
    """

    gate_bias: Tensor
    """[n]"""
    scale: Tensor
    """[n], exp(r_mag)."""
    magnitude_bias: Tensor
    """[n]"""

    @property
    def limit(self) -> Tensor:
        """[n], all 0: the gate is open above."""
        return torch.zeros_like(self.gate_bias)

    def values(self, pre: Tensor, latents: Tensor) -> Tensor:
        """Activations [m] from pre-activations [m] of `latents` [m]."""
        magnitude = (pre - self.gate_bias[latents]) * self.scale[latents]
        return (magnitude + self.magnitude_bias[latents]).relu()


AcrossLatents = TopK | AbsTopK | GroupMax
PerLatent = Threshold | Gated
ActivationFunction = AcrossLatents | PerLatent


def relu(num_latents: int, device: torch.device, dtype: torch.dtype) -> Threshold:
    """Plain ReLU for `num_latents` latents."""
    return Threshold(torch.zeros(num_latents, device=device, dtype=dtype))


def jump_relu(threshold: Tensor) -> Threshold:
    """ReLU where the pre-activation exceeds `threshold` [n]."""
    return Threshold(threshold.clamp(min=0))


def _chosen(values: Tensor, chosen: Tensor, fires: Tensor) -> SparseActivations:
    """Those of `values` at latents `chosen`, both [rows, k], that fire."""
    row, column = fires.nonzero(as_tuple=True)
    return SparseActivations(row, chosen[row, column], values[row, column])
