"""What stands in chosen windows: tokens, their texts, and the latent's activation on each.

In: the tables contexts and vocabulary of a run, the activations of a bucket, and windows by latent
and first position. Out: the columns tokens, str_tokens, activations and normalized of `examples`.

1. The run's tokens lie in one flat file, in order of position: a window is a slice of it. The file
   has no name, lies in the system's temporary folder, and is mapped into memory.
2. A bucket's activations are sorted by latent, then position, so those in a window are a slice too,
   found by bisection. Memory is that of the bucket's activations and windows.

Both are arithmetic on positions, where a join would look up every token of every window.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view

from delphi_assets.ground.flat_file import FlatFile
from delphi_assets.lake.lake import Lake, read_parquet
from delphi_assets.latent_ranges import Latents

Array = npt.NDArray[Any]


class Corpus(NamedTuple):
    """A run's tokens [n_tokens] by position, and the text of every token of the vocabulary."""

    tokens: Array
    str_tokens: pa.Array


def read_corpus(lake: Lake, contexts: list[str], vocabulary: list[str]) -> Corpus:
    """The corpus of a run, from the files of these tables."""
    with FlatFile(np.int32) as flat:
        for location in contexts:
            rows = read_parquet(lake, [location], ["tokens"])
            flat.append(rows["tokens"].combine_chunks().flatten().to_numpy())
        tokens = flat.mapped()
    texts = read_parquet(lake, vocabulary, ["token", "str_token"])
    return Corpus(tokens, texts.sort_by("token")["str_token"].combine_chunks())


def with_contents(
    windows: pa.Table, length: int, corpus: Corpus, lake: Lake, activations: Sequence[str]
) -> pa.Table:
    """`windows` (latent, position, activating, latent_max, ...) with what stands in them.

    `activations` are the files of the bucket that the latents are in.
    """
    positions = windows["position"].to_numpy()
    tokens = sliding_window_view(corpus.tokens, length)[positions].ravel()
    values, normalized = _activations(windows, length, lake, activations)
    edges = pa.array(np.arange(len(positions) + 1, dtype=np.int32) * length)
    columns = {
        "tokens": pa.array(tokens),
        "str_tokens": _texts(tokens, corpus.str_tokens),
        "activations": pa.array(values.ravel()),
        "normalized": pa.array(normalized.ravel()),
    }
    for name, column in columns.items():
        windows = windows.append_column(name, pa.ListArray.from_arrays(edges, column))
    return windows


def _texts(tokens: npt.NDArray[np.int32], str_tokens: pa.Array) -> pa.DictionaryArray:
    """The text of every token; the dictionary holds those that occur."""
    occurs = np.zeros(len(str_tokens), dtype=bool)
    occurs[tokens] = True
    occurring = np.flatnonzero(occurs)
    places = np.zeros(len(str_tokens), dtype=np.int32)
    places[occurring] = np.arange(len(occurring))
    return pa.DictionaryArray.from_arrays(
        pa.array(places[tokens]), str_tokens.take(pa.array(occurring))
    )


class _Activations(NamedTuple):
    """Activations [n_windows, length] of each window's latent, 0 where it is silent."""

    values: npt.NDArray[np.float32]
    normalized: npt.NDArray[np.int8]


def _activations(
    windows: pa.Table, length: int, lake: Lake, activations: Sequence[str]
) -> _Activations:
    columns = ["latent", "position", "activation"]
    shown = ranges_of(windows["latent"].to_numpy())
    fired = read_parquet(lake, list(activations), columns, shown)
    positions = fired["position"].to_numpy()
    first = np.flatnonzero(windows["activating"].to_numpy(zero_copy_only=False))
    latents, starts, maxima = (
        windows[name].to_numpy()[first] for name in ("latent", "position", "latent_max")
    )
    # One number that orders by latent, then position: 23 bits for latents, 40 for positions.
    keys = _keys(fired["latent"].to_numpy(), positions)
    begins = np.searchsorted(keys, _keys(latents, starts))
    ends = np.searchsorted(keys, _keys(latents, starts + length))
    counts = ends - begins
    window = np.repeat(np.arange(len(first)), counts)
    entry = np.arange(counts.sum()) + np.repeat(begins - (counts.cumsum() - counts), counts)
    found = fired["activation"].to_numpy()[entry]
    # Delphi's scale: ceil(10 a / max), clamped, in single precision. A sign is that of `found`.
    tenths = np.clip(np.ceil(np.abs(found) * np.float32(10) / np.abs(maxima[window])), 0, 10)
    place = first[window], positions[entry] - starts[window]
    made = _Activations(
        np.zeros((len(windows), length), np.float32), np.zeros((len(windows), length), np.int8)
    )
    made.values[place], made.normalized[place] = found, np.copysign(tenths, found)
    return made


def ranges_of(latents: Array) -> Latents:
    """The latents that occur, in as few ranges as hold no other."""
    there = np.unique(latents)
    ends = np.flatnonzero(np.diff(there) > 1)
    firsts, lasts = there[[0, *(ends + 1)]], there[[*ends, -1]]
    return Latents(tuple(zip(firsts.tolist(), (lasts + 1).tolist(), strict=True)))


def _keys(latents: Array, positions: Array) -> Array:
    return (latents.astype(np.int64) << 40) + positions
