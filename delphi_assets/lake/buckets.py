"""Buckets: the contiguous ranges of latents into which a hookpoint's activations are split."""

from itertools import pairwise
from typing import NamedTuple


class Bucket(NamedTuple):
    """A bucket's number and its latents, half open: first <= latent < last."""

    number: int
    first: int
    last: int


def bucket_ranges(num_latents: int, n_buckets: int) -> list[Bucket]:
    """`n_buckets` contiguous ranges that cover `num_latents` latents, as even as can be."""
    edges = [number * num_latents // n_buckets for number in range(n_buckets + 1)]
    return [Bucket(number, first, last) for number, (first, last) in enumerate(pairwise(edges))]
