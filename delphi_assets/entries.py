"""Activations on their way to disk: entries of one hookpoint, held until they are sorted.

In: (latent, position, activation) entries as batches give them, in order of position. Out: tables
per bucket of latents, sorted by latent, then position.

An entry takes 4 bytes for its latent, 4 for its position in the shard and 2 or 4 for its value
while it is held, and about 50 while its hookpoint is being sorted.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import torch
from torch import Tensor

from delphi_assets.buckets import Bucket
from delphi_assets.lake import File
from delphi_assets.schema import CAPTURED

HELD_BYTES, SORTED_BYTES = 12, 50


class Entries:
    """Entries of one hookpoint in one shard, whose first position is `first`."""

    def __init__(self, first: int) -> None:
        self.count = 0
        self._first = first
        self._latents: list[Tensor] = []
        self._offsets: list[Tensor] = []
        self._values: list[Tensor] = []

    def add(self, latents: Tensor, positions: Tensor, values: Tensor) -> None:
        """Take entries [nnz] that come behind all that are held, in order of position."""
        self.count += len(latents)
        self._latents.append(latents.to(torch.int32).cpu())
        self._offsets.append((positions - self._first).to(torch.int32).cpu())
        self._values.append(values.cpu())

    def take(self, buckets: Sequence[Bucket], part: int) -> Iterator[File]:
        """A file per bucket with all entries held, an empty one where nothing fired."""
        latents, order = _emptied(self._latents, torch.int32).sort(stable=True)
        offsets = _emptied(self._offsets, torch.int32)[order]
        values = _emptied(self._values, torch.float32)[order]
        self.count = 0
        edges = torch.tensor([bucket.first for bucket in buckets] + [buckets[-1].last])
        cuts = torch.searchsorted(latents, edges.to(torch.int32)).tolist()
        for bucket, first, last in zip(buckets, cuts[:-1], cuts[1:], strict=True):
            rows = pa.table(
                {
                    "latent": latents[first:last].numpy(),
                    "position": (offsets[first:last].long() + self._first).numpy(),
                    "activation": values[first:last].float().numpy(),
                },
                schema=CAPTURED.arrow,
            )
            yield File(rows, {"bucket": bucket.number, "part": part})


def memory(held: Sequence[Entries]) -> int:
    """Bytes that these entries take until the largest of them has been sorted."""
    counts = [entries.count for entries in held]
    return sum(counts) * HELD_BYTES + max(counts) * SORTED_BYTES


def _emptied(parts: list[Tensor], dtype: torch.dtype) -> Tensor:
    """The parts as one tensor; the list lets go of them."""
    whole = torch.cat(parts) if parts else torch.empty(0, dtype=dtype)
    parts.clear()
    return whole
