"""Windows in which a latent is silent and a latent like it fires.

In: the windows that cannot be given to each latent, its neighbours, and where latents fire. Out:
rows (latent, neighbour, similarity, position), and a neighbour's activations in its windows.

1. The neighbours of a latent are asked one after the other, the nearest first.
2. Each gives at most 10 of the windows in which it fires and the latent is silent: the first in
   the latent's order of draws (`sql/examples/1_macros/draw.sql`), which is another one for every
   latent.
3. This ends when the latent has what was asked for, or no neighbour is left.

Memory is that of the neighbours and silent windows of a bucket of latents.
"""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from delphi_assets.caching.firings import Firings
from delphi_assets.selection.non_activating.window_lists import WindowLists

N_OF_ONE = 10
"""Most windows that one neighbour gives."""

Array = NDArray[Any]


def windows_of_neighbours(
    taken: WindowLists,
    near: pa.Table,
    firings: Firings,
    *,
    length: int,
    n_windows: int,
    n: int,
    draw_of: str,
) -> pa.Table:
    """At most `n`, above 0, rows (latent, neighbour, similarity, position) for each latent.

    `taken` lists the windows that cannot be given to each. `near` has latent, neighbour and
    similarity, sorted by latent, the nearest first. Windows are `length` tokens long, the run has
    `n_windows` whole ones. `draw_of` is what draws depend on, beside latent and window.
    """
    is_taken = np.zeros(n_windows, bool)
    given, entries = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    others = near["neighbour"].to_numpy()
    begins = np.searchsorted(near["latent"].to_numpy(), taken.latents)
    ends = np.searchsorted(near["latent"].to_numpy(), taken.latents, side="right")
    for (latent, windows), begin, end in zip(taken, begins, ends, strict=True):
        key, left = _draw_key(f"{draw_of} {latent}"), n
        is_taken[windows] = True
        before = len(given)
        for entry in range(begin, end):
            offered = firings.windows(int(others[entry]), length)
            offered = offered[: np.searchsorted(offered, n_windows)]
            drawn = _first_drawn(offered[~is_taken[offered]], key, min(left, N_OF_ONE))
            is_taken[drawn] = True
            given.append(drawn)
            entries.append(np.full(len(drawn), entry))
            left -= len(drawn)
            if not left:
                break
        for cleared in (windows, *given[before:]):
            is_taken[cleared] = False
    rows = near.take(np.concatenate(entries))
    return rows.append_column("position", pa.array(np.concatenate(given) * length))


def with_neighbour_activations(rows: pa.Table, length: int, firings: Firings | None) -> pa.Table:
    """`rows` (neighbour, position, ...) with the neighbour's activation on each token."""
    neighbour = rows["neighbour"].combine_chunks()
    without = neighbour.is_null()
    found = np.zeros((rows.num_rows - neighbour.null_count, length), np.float32)
    if firings is not None:
        places = np.flatnonzero(~without.to_numpy(zero_copy_only=False))
        starts, others = rows["position"].to_numpy()[places], neighbour.drop_null().to_numpy()
        for place, (start, other) in enumerate(zip(starts.tolist(), others.tolist(), strict=True)):
            found[place] = firings.inside(other, start, length)
    counts = (~without.to_numpy(zero_copy_only=False)) * length
    edges = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(edges), pa.array(found.ravel()), mask=without)
    return rows.append_column("neighbour_activations", lists)


def _first_drawn(windows: Array, key: int, n: int) -> Array:
    """The `n` of `windows` that a latent's draws come to first."""
    if len(windows) <= n:
        return windows
    return windows[np.argpartition(_draw(key, windows), n - 1)[:n]]


def _draw_key(text: str) -> int:
    """The low half of its MD5, cut to 32 bits, as `md5_number_lower` in SQL has it."""
    return int.from_bytes(hashlib.md5(text.encode()).digest()[8:12], "little")


def _draw(key: int, windows: Array) -> NDArray[np.uint64]:
    """The macro of `sql/examples/1_macros/draw.sql`: 32 bits for each window, no two the same."""
    x = windows.astype(np.uint64) ^ np.uint64(key)
    for _ in range(2):
        x = ((x ^ x >> np.uint64(16)) * np.uint64(73244475)) & np.uint64(0xFFFFFFFF)
    return x ^ x >> np.uint64(16)
