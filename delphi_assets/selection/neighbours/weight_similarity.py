"""Latents with similar weights.

In: a hookpoint's coder. Out: for each latent those whose decoder or encoder rows have the largest
cosine with its own. All pairs are compared, in single precision.

1. Scale the rows to length 1. A latent whose row is all zero has no direction: it is nobody's
   neighbour and has none.
2. Block by block, multiply some rows with all rows, and keep what is not below each row's
   n-th largest cosine.

Memory is that of the coder, of its rows once more, and of a few blocks of 64 MB.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from delphi_assets.caching.prepared_coder import described_coder
from delphi_assets.errors import NotReadyError
from delphi_assets.ground.progress import Bar
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.place import Place
from delphi_assets.models.subject import pick_device
from delphi_assets.selection.neighbours.method import NeighbourMethod, NeighbourPlace, Pairs

_COSINES = 2**24
"""Compared at once: 64 MB in single precision."""


class SimilarWeights(NeighbourMethod):
    """By the weight rows of decoder or encoder."""

    def __init__(self, method: Literal["decoder", "encoder"]) -> None:
        self._method = method

    def find(self, place: NeighbourPlace) -> Iterator[Pairs]:
        """Raises `NotReadyError` without a coder, `ConflictError` for another than described."""
        directions = _directions(place, self._method)
        width = len(directions)
        without = (~directions.any(dim=1)).nonzero().flatten()
        block = max(1, _COSINES // width)
        with Bar(total=width, desc=f"neighbours {place.hookpoint}", unit="latent") as bar:
            for first in range(0, width, block):
                latents = range(first, min(first + block, width))
                yield _nearest(directions, without, latents, place.n_neighbours)
                bar.update(len(latents))


DECODER, ENCODER = SimilarWeights("decoder"), SimilarWeights("encoder")


def _directions(place: Place, method: str) -> Tensor:
    """Rows [n, d] of length 1, or of zeros, where the subject model runs."""
    described = place.weights()
    if described is not None and FINGERPRINT not in described.facts:
        raise NotReadyError(
            f"run {place.run!r} was imported without its coder, so neighbours by {method!r} "
            "cannot be found; ask for the method 'co-occurrence', or capture the run anew under "
            "another name."
        )
    coder = described_coder(place, weights=described)
    rows = coder.decoder_rows if method == "decoder" else coder.encoder_rows
    rows = rows.detach().to(pick_device(place.profile.model.device), torch.float32)
    norms = rows.norm(dim=1, keepdim=True)
    scaled: Tensor = rows / norms.where(norms > 0, 1)
    return scaled


def _nearest(directions: Tensor, without: Tensor, latents: range, n_neighbours: int) -> Pairs:
    """Pairs of some latents; those in `without` [m] have no direction."""
    rows = directions[latents.start : latents.stop]
    cosines = rows @ directions.T
    lacks = -torch.inf
    cosines[:, without] = lacks
    cosines[without[(without >= latents.start) & (without < latents.stop)] - latents.start] = lacks
    places = torch.arange(len(latents), device=rows.device)
    cosines[places, places + latents.start] = lacks
    n = min(n_neighbours, len(directions))
    least = cosines.topk(n, dim=1, sorted=False).values.min(dim=1, keepdim=True).values
    latent, neighbour = ((cosines >= least) & (cosines > lacks)).nonzero(as_tuple=True)
    similarity = cosines[latent, neighbour].clamp(-1, 1)
    latent = latent + latents.start
    return Pairs(latent.cpu().numpy(), neighbour.cpu().numpy(), similarity.cpu().numpy())
