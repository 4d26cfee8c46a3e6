"""The windows nearest in meaning to those in which a latent fires, among those where it is silent.

In: the windows that cannot be given to each latent, those shown of it, and the embeddings of all
windows. Out: rows (latent, position, similarity).

1. Every window shown, train and test, is compared with every window of the run: the product of
   their embeddings. A centred window stands for the aligned one that holds its middle token.
2. Each ranks the silent windows, the nearest first, equally near ones by position.
3. In turns, each gives the next of its windows: in the first turn its nearest, and so on. Within a
   turn the windows most like any shown one come first, then by position. A window counts once. So
   none of the shown windows fills the quota alone, and where it suffices for a turn, each
   contributes.

Products are exact (see `embeddings`). Some latents are compared with some windows at a time: 64 MB
of products, and the n nearest of each window shown, however many windows there are.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from delphi_assets.models.sentence_encoder import full_precision
from delphi_assets.models.subject import pick_device
from delphi_assets.selection.non_activating.embeddings import SCALE
from delphi_assets.selection.non_activating.window_lists import WindowLists

_ROWS = 1_024
"""Shown windows compared at once; more when a single latent has them."""

_PRODUCTS = 2**24
"""Computed at once: 64 MB in single precision."""

Array = NDArray[Any]


class _Near(NamedTuple):
    """Pairs of a latent's shown windows, by their number, and silent windows near them."""

    shown: Array
    window: Array
    product: Array
    largest: Array
    """Product of the window and the shown one most like it."""


def nearest_windows(
    taken: WindowLists,
    shown: WindowLists,
    embeddings: Array,
    *,
    length: int,
    n: int,
    device: str,
) -> pa.Table:
    """At most `n` rows for each latent of `shown`, none of them a window of its list in `taken`.

    `embeddings` [n_windows, d] are int16; both lists name the same latents, and the windows of
    `taken` ascend within a latent.
    """
    latents, positions, similarities = [], [], []
    place = pick_device(device)
    with torch.inference_mode():
        for group in _groups(shown):
            for latent, near in _nearest(taken, shown, embeddings, group, n=n, device=place):
                windows, products = _in_turns(near, n)
                latents.append(np.full(len(windows), latent))
                positions.append(windows * length)
                similarities.append(np.minimum(products / np.float32(SCALE * SCALE), 1))
    empty = np.empty(0, np.int64)
    return pa.table(
        {
            "latent": pa.array(np.concatenate([empty, *latents]), pa.int32()),
            "position": pa.array(np.concatenate([empty, *positions]), pa.int64()),
            "similarity": pa.array(np.concatenate([empty, *similarities]), pa.float32()),
        }
    )


def _groups(shown: WindowLists) -> Iterator[range]:
    """Places of latents that are compared together."""
    start = 0
    while start < len(shown.latents):
        room = int(np.searchsorted(shown.first, shown.first[start] + _ROWS, side="right")) - 1
        end = max(start + 1, room)
        yield range(start, end)
        start = end


def _nearest(
    taken: WindowLists, shown: WindowLists, embeddings: Array, group: range, *, n: int, device: Any
) -> Iterator[tuple[int, _Near]]:
    """Each latent of the group with the `n` nearest silent windows of every window shown."""
    first, last = shown.first[group.start], shown.first[group.stop]
    rows = _floats(embeddings[shown.windows[first:last]], device)
    found: dict[int, _Near] = {}
    block = max(1, _PRODUCTS // len(rows))
    for start in range(0, len(embeddings), block):
        columns = _floats(embeddings[start : start + block], device)
        with full_precision():
            products = rows @ columns.T
        for place in group:
            own = products[shown.first[place] - first : shown.first[place + 1] - first]
            silenced = taken.at(place)
            inside = np.searchsorted(silenced, [start, start + products.shape[1]])
            loud = torch.from_numpy(silenced[slice(*inside)] - start).to(device)
            own[:, loud] = -torch.inf
            near = _largest(own, start, n)
            if place in found:
                near = _Near(*map(np.concatenate, zip(found[place], near, strict=True)))
            found[place] = _ranked(near, n)
    for place, near in found.items():
        yield int(shown.latents[place]), near


def _floats(embeddings: Array, device: Any) -> Tensor:
    return torch.from_numpy(np.array(embeddings)).to(device).float()


def _largest(products: Tensor, start: int, n: int) -> _Near:
    """What is not below the n-th largest product of each row; columns are windows from `start`."""
    n = min(n, products.shape[1])
    least = products.topk(n, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
    shown, window = ((products >= least) & (products > -torch.inf)).nonzero(as_tuple=True)
    kept = (shown, window + start, products[shown, window], products.amax(dim=0)[window])
    return _Near(*(column.cpu().numpy() for column in kept))


def _ranked(near: _Near, n: int) -> _Near:
    """The `n` nearest of each shown window, the nearest first, equally near ones by position.

    However many are equally near, no more are kept.
    """
    order = np.lexsort((near.window, -near.product, near.shown))
    order = order[_places(near.shown[order]) < n]
    return _Near(*(column[order] for column in near))


def _places(shown: Array) -> Array:
    """The place of each entry among those of its shown window, which lie together."""
    starts = np.flatnonzero(np.diff(shown, prepend=-1))
    return np.arange(len(shown)) - np.repeat(starts, np.diff(starts, append=len(shown)))


def _in_turns(near: _Near, n: int) -> tuple[Array, Array]:
    """The windows that come first in turns, with the largest product of each; `near` is ranked."""
    turn, window, largest = _places(near.shown), near.window, near.largest
    # The first of several turns in which a window comes.
    by_window = np.lexsort((turn, window))
    once = by_window[np.flatnonzero(np.diff(window[by_window], prepend=-1))]
    ranked = once[np.lexsort((window[once], -largest[once], turn[once]))][:n]
    return window[ranked], largest[ranked]
