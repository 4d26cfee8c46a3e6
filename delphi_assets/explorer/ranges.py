"""Ranges of latents: how many are read at a time, and how many a data file holds.

A file's number is the index of its first latent, divided by the latents a file holds: whoever
knows a latent knows its files.
"""

from collections.abc import Iterator
from typing import NamedTuple

from delphi_assets.latent_ranges import Latents

PAGE = 20
"""Latents in a file of pages: what is loaded to see one of them."""
RANGE = 500
"""Latents read from the lake at a time, whole files of pages."""
PIECE = 5_000
"""Latents in a file of the list, whole ranges; scores are computed for as many at a time."""


class Range(NamedTuple):
    """Latents first <= latent < last."""

    first: int
    last: int


def ranges(n_latents: int, latents: Latents, length: int = RANGE) -> Iterator[Range]:
    """The ranges of `n_latents` latents that hold any of `latents`."""
    for first in range(0, n_latents, length):
        last = min(first + length, n_latents)
        if latents.among(first, last):
            yield Range(first, last)
