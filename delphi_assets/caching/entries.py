"""Activations on their way to disk: entries of one hookpoint, held until they are sorted.

In: (latent, position, activation) entries as batches give them, in order of position. Out: tables
of them, sorted by latent, then position, one for each bucket of latents.

Memory is taken once, for as many entries as fit: an entry takes 4 bytes for its latent, 4 for its
position in the shard and at most 4 for its value while it is held, and about 50 while its
hookpoint is being sorted. Hookpoints are sorted one at a time.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pyarrow as pa
import torch
from torch import Tensor

from delphi_assets.lake.buckets import Bucket
from delphi_assets.lake.schema import CAPTURED

HELD_BYTES, SORTED_BYTES = 12, 50


def capacity(memory: int, n_hookpoints: int) -> int:
    """Entries that each of so many hookpoints can hold and sort in `memory` bytes."""
    return max(1, memory // (n_hookpoints * HELD_BYTES + SORTED_BYTES))


class Entries:
    """Up to `size` entries of one hookpoint in one shard, whose first position is `first`."""

    def __init__(self, size: int, first: int, dtype: torch.dtype) -> None:
        self.parts = 0
        """How often they were taken."""
        self._first, self._count = first, 0
        self._latents = torch.empty(size, dtype=torch.int32)
        self._offsets = torch.empty(size, dtype=torch.int32)
        self._values = torch.empty(size, dtype=dtype)

    @property
    def full(self) -> bool:
        """Whether no entry more fits."""
        return self._count == len(self._latents)

    def __len__(self) -> int:
        return self._count

    def add(self, latents: Tensor, positions: Tensor, values: Tensor) -> int:
        """Hold as many of the entries [nnz] as fit; returns how many these are.

        They come behind all that are held, in order of position.
        """
        taken = min(len(latents), len(self._latents) - self._count)
        held = slice(self._count, self._count + taken)
        self._latents[held] = latents[:taken]
        self._offsets[held] = positions[:taken] - self._first
        self._values[held] = values[:taken]
        self._count += taken
        return taken

    def take(self, buckets: Sequence[Bucket]) -> Iterator[pa.Table]:
        """All entries held, a table per bucket; none are held afterwards."""
        latents, order = self._latents[: self._count].sort(stable=True)
        offsets, values = self._offsets[order], self._values[order]
        self._count, self.parts = 0, self.parts + 1
        edges = torch.tensor([bucket.first for bucket in buckets] + [buckets[-1].last])
        cuts = torch.searchsorted(latents, edges.to(torch.int32)).tolist()
        for first, last in pairwise(cuts):
            yield pa.table(
                {
                    "latent": latents[first:last].numpy(),
                    "position": (offsets[first:last].long() + self._first).numpy(),
                    "activation": values[first:last].float().numpy(),
                },
                schema=CAPTURED.arrow,
            )
