"""Windows of the latents of a page, as the page draws them.

In: rows of `sql/explorer/windows.sql`. Out: `PageWindows`.

1. Windows that are the same piece of the corpus are held once, whoever fires in them: `texts`.
2. A text is a list of numbers into `strings`, the distinct tokens as `rendering` shows them, the
   frequent ones first, so that numbers are short.
3. A latent's windows are columns, by selection, split and source. Activations are those of the
   tokens that fire: offset, activation, strength.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from delphi_assets.explorer.described import Row, by_latent
from delphi_assets.reading.rendering import visible

_GROUP = ("selection", "split", "activating", "source")
_OF_WINDOW = (
    "example",
    "quantile",
    "position",
    "max_activation",
    "neighbour",
    "similarity",
    "text",
    "offsets",
    "activations",
    "strengths",
)


class PageWindows(NamedTuple):
    """The windows of a page."""

    strings: list[str]
    texts: list[list[int]]
    groups: dict[int, list[dict[str, Any]]]
    """By latent: columns of windows that share selection, split and source."""


def page_windows(rows: pa.Table) -> PageWindows:
    """The windows of `rows`, which are of the latents of one page."""
    if not rows.num_rows:
        return PageWindows([], [], {})
    strings, texts, text_of = _texts(rows)
    columns = rows.drop_columns("str_tokens").rename_columns({"fired_activations": "activations"})
    windows = columns.append_column("text", pa.array(text_of)).to_pylist()
    groups = {latent: list(_groups(of)) for latent, of in by_latent(windows).items()}
    return PageWindows(strings, texts, groups)


def _texts(rows: pa.Table) -> tuple[list[str], list[list[int]], np.ndarray[Any, Any]]:
    """Distinct tokens, distinct windows as numbers of them, and which of these each row has."""
    tokens = rows["str_tokens"].combine_chunks()
    lengths = pc.list_value_length(tokens).to_numpy(zero_copy_only=False)
    places = np.stack([rows["position"].to_numpy(), lengths], axis=1)
    _, firsts, text_of = np.unique(places, axis=0, return_index=True, return_inverse=True)
    flat = pc.fill_null(tokens.take(pa.array(firsts)).flatten(), "").dictionary_encode()
    numbers = flat.indices.to_numpy()
    order = np.argsort(-np.bincount(numbers, minlength=len(flat.dictionary)), kind="stable")
    strings = [visible(token) for token in flat.dictionary.take(pa.array(order)).to_pylist()]
    frequent_first = np.argsort(order)[numbers]
    pieces = np.split(frequent_first, np.cumsum(lengths[firsts])[:-1])
    return strings, [piece.tolist() for piece in pieces], text_of.reshape(-1)


def _groups(windows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    for key, group in groupby(windows, itemgetter(*_GROUP)):
        held = list(group)
        columns = {name: [window[name] for window in held] for name in _OF_WINDOW}
        filled = {name: of for name, of in columns.items() if any(one is not None for one in of)}
        yield {**dict(zip(_GROUP, key, strict=True)), **filled}
