"""What the tests of coder formats share: random tensors, sparse activations made dense, a trap."""

import json
from pathlib import Path
from typing import Any

import torch

from delphi_assets.coders.coder import SparseActivations

TOKENS, WIDTH, LATENTS = 40, 12, 30


def draw(seed: int, *shape: int) -> torch.Tensor:
    """Standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs() -> torch.Tensor:
    """Activations [TOKENS, WIDTH] that a normalization changes."""
    return 3 * draw(99, TOKENS, WIDTH) + 0.5


def dense(fired: SparseActivations, rows: int = TOKENS, latents: int = LATENTS) -> torch.Tensor:
    """[rows, latents], after checking that nothing is stored twice or as a zero, rows in order."""
    assert (fired.value != 0).all()
    assert fired.row.equal(fired.row.sort().values)
    places = fired.row * latents + fired.latent
    assert len(set(places.tolist())) == len(places)
    out = torch.zeros(rows, latents)
    out[fired.row, fired.latent] = fired.value
    return out


def keep_largest(by: torch.Tensor, values: torch.Tensor, k: int) -> torch.Tensor:
    """`values` where `by` is among the k largest of its row, 0 elsewhere, found by sorting."""
    kth = by.sort(dim=1, descending=True).values[:, k - 1 : k]
    return torch.where(by >= kth, values, 0)


class Trap:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a configuration, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
