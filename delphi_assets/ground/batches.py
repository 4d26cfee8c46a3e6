"""A stream in runs of equal length, of which one is in memory at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Runs of `size` items; the last one holds what is left."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
