"""Contexts of the lake as the model takes them: padded batches, in order.

In: the table `contexts`. Out: tensors [batch, seq] of token ids, attention mask and positions, and
which of the positions count. Contexts are padded on the right, so padding changes nothing for a
causal model; a last batch may be short.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from delphi_assets.lake.lake import Manifest, read_parquet
from delphi_assets.lake.place import RunPlace
from delphi_assets.models.subject import Subject


class Batch(NamedTuple):
    """A few contexts; every tensor is [batch, seq]."""

    input_ids: Tensor
    attention_mask: Tensor
    positions: Tensor
    """context * cache_ctx_len + offset, int64."""
    kept: Tensor
    """True where activations count: no padding, and no special token when those are dropped."""


def read_batches(
    place: RunPlace, contexts: Manifest, subject: Subject, drop_special: bool
) -> Iterator[Batch]:
    """The batches of one shard, whose contexts are given; raises `DataError` if one is damaged."""
    rows = read_parquet(place.lake, place.lake.checked("contexts", contexts.files))
    cache = place.profile.cache
    for first in range(0, rows.num_rows, cache.batch_size):
        part = rows.slice(first, cache.batch_size)
        yield _batch(
            part.column("tokens").to_pylist(),
            part.column("context").to_pylist(),
            cache.cache_ctx_len,
            subject,
            drop_special,
        )


def _batch(
    tokens: list[list[int]], contexts: list[int], length: int, subject: Subject, drop_special: bool
) -> Batch:
    device = subject.device
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in tokens], batch_first=True)
    lengths = torch.tensor([len(row) for row in tokens])
    offsets = torch.arange(ids.shape[1])
    mask = offsets[None, :] < lengths[:, None]
    positions = torch.tensor(contexts)[:, None] * length + offsets[None, :]
    ids, mask = ids.to(device), mask.to(device)
    kept = mask & ~torch.isin(ids, subject.special_ids) if drop_special else mask
    return Batch(ids, mask.long(), positions.to(device), kept)
