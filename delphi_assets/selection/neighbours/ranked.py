"""Pairs of latents as rows of the table neighbours: the nearest first, ties by index."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from delphi_assets.lake.schema import NEIGHBOURS


def ranked(
    latent: NDArray[Any], neighbour: NDArray[Any], similarity: NDArray[Any], n_neighbours: int
) -> pa.Table:
    """The `n_neighbours` most similar neighbours of each latent, of pairs in any order [pairs].

    Equally similar ones come in order of their index.
    """
    order = np.lexsort((neighbour, -similarity, latent))
    latent = latent[order]
    starts = np.flatnonzero(np.diff(latent, prepend=-1))
    rank = np.arange(len(latent)) - np.repeat(starts, np.diff(starts, append=len(latent))) + 1
    kept = rank <= n_neighbours
    order = order[kept]
    return NEIGHBOURS.conform(
        pa.table(
            {
                "latent": latent[kept],
                "neighbour": neighbour[order],
                "rank": rank[kept],
                "similarity": similarity[order],
            }
        )
    )
