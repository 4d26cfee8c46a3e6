"""Pairs of latents as rows of the table neighbours: the nearest first, ties by index."""

import numpy as np
import pyarrow as pa

from delphi_assets.lake.schema import NEIGHBOURS
from delphi_assets.selection.neighbours.method import Pairs


def ranked(pairs: Pairs, n_neighbours: int) -> pa.Table:
    """The `n_neighbours` most similar neighbours of each latent.

    Equally similar ones come in order of their index.
    """
    latent, neighbour, similarity = pairs
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
