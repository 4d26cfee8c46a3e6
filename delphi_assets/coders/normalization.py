"""What a coder does to each activation vector before it subtracts a bias and multiplies.

In: activations [tokens, d]. Out: normalized ones, with the scale and shift that undo it on what
the coder rebuilds. The formulas are those of SAELens's `normalize_activations`:

- `constant_norm_rescale`: x sqrt(d) / |x|
- `layer_norm`: (x - mean) / (deviation + 1e-5), the deviation with d - 1 in its denominator; what
  is rebuilt is multiplied by the deviation alone.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Normalization = Literal["none", "constant_norm_rescale", "layer_norm"]

_EPSILON = 1e-5


class Normalized(NamedTuple):
    """Normalized activations; `rebuilt * scale + shift` is in the units of the raw ones."""

    x: Tensor
    """[tokens, d]"""
    scale: Tensor | float = 1.0
    """[tokens, 1]"""
    shift: Tensor | float = 0.0
    """[tokens, 1]"""


def normalize(x: Tensor, how: Normalization) -> Normalized:
    """Normalize each row of `x` [tokens, d], in single precision at least."""
    if how == "none":
        return Normalized(x)
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if how == "constant_norm_rescale":
        coefficient = x.shape[-1] ** 0.5 / x.norm(dim=-1, keepdim=True)
        return Normalized(x * coefficient, 1 / coefficient)
    mean = x.mean(dim=-1, keepdim=True)
    deviation = x.std(dim=-1, keepdim=True)
    return Normalized((x - mean) / (deviation + _EPSILON), deviation, mean)
