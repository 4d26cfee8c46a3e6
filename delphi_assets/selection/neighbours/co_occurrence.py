"""Latents that fire on the same tokens.

In: the activations of a hookpoint. Out: for each latent those with the largest Jaccard index,

    tokens on which both fire / tokens on which either fires,

exact. Latents that share no token are no neighbours.

1. Read the activations once, bucket by bucket: for each latent the tokens on which it fires.
2. Turn them around: for each token the latents that fire on it, in chunks of equal length, which
   are copied whole. The last one of a token is filled up with a latent that does not exist.
3. For each latent, count how often each other one is in the chunks of its tokens: the tokens on
   which both fire. Only those above zero are compared further.

Memory is that of the two lists: about 8 bytes an activation and 54 a token, so 0.2 GB for 17
million activations and 5 GB for 500 million. The number of latents hardly matters to it. Time
grows with the sum over tokens of the square of the latents that fire on it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delphi_assets.caching.published import published_buckets
from delphi_assets.ground.progress import Bar
from delphi_assets.lake.lake import read_parquet
from delphi_assets.lake.place import Place
from delphi_assets.selection.neighbours.method import NeighbourMethod, NeighbourPlace, Pairs

_CHUNK = 16
"""Latents in a chunk: one cache line of int32."""

_TOKENS_AT_ONCE = 32_768
"""Of one latent; bounds what is copied together."""

_LATENTS_AT_ONCE = 512
"""Ranked together."""


class TokensOfLatents(NamedTuple):
    """The tokens on which each latent fires; latent i has those in tokens[first[i]:first[i+1]]."""

    tokens: NDArray[Any]
    """Positions [activations], unsigned."""
    first: NDArray[np.int64]
    """[latents + 1]"""


class LatentsOfTokens(NamedTuple):
    """The latents that fire on each token; token t has those in chunks[first[t]:first[t+1]]."""

    chunks: NDArray[np.int32]
    """[chunks, _CHUNK], filled up with the number of latents."""
    first: NDArray[np.int64]
    """[tokens + 1]"""


class CoOccurrence(NeighbourMethod):
    """By the tokens on which both fire."""

    def find(self, place: NeighbourPlace) -> Iterator[Pairs]:
        """Raises `NotReadyError` without activations, `DataError` naming a damaged file."""
        fires = _read(place)
        firing = _latents_of_tokens(fires)
        sizes = np.diff(fires.first)
        width = len(sizes)
        with Bar(total=width, desc=f"neighbours {place.hookpoint}", unit="latent") as bar:
            for start in range(0, width, _LATENTS_AT_ONCE):
                latents = range(start, min(start + _LATENTS_AT_ONCE, width))
                yield _nearest(fires, firing, sizes, latents, place.n_neighbours)
                bar.update(len(latents))


def _read(place: Place) -> TokensOfLatents:
    buckets = published_buckets(place)
    width = int(buckets[0].facts["num_latents"])
    end = place.profile.n_shards * place.profile.cache.shard_tokens
    tokens = np.empty(sum(bucket.rows for bucket in buckets), np.min_scalar_type(end))
    sizes, filled = np.zeros(width, np.int64), 0
    for bucket in buckets:
        files = place.lake.checked("activations", bucket.files)
        rows = read_parquet(place.lake, files, ["latent", "position"])
        tokens[filled : filled + rows.num_rows] = rows["position"].to_numpy()
        sizes += np.bincount(rows["latent"].to_numpy(), minlength=width)
        filled += rows.num_rows
    return TokensOfLatents(tokens, _starts(sizes))


def _latents_of_tokens(fires: TokensOfLatents) -> LatentsOfTokens:
    width = len(fires.first) - 1
    n_tokens = int(fires.tokens.max(initial=0)) + 1
    fired = np.zeros(n_tokens, np.int64)
    for latent in range(width):
        fired[_tokens(fires, latent)] += 1
    first = _starts(-(-fired // _CHUNK))
    chunks = np.full((first[-1], _CHUNK), width, np.int32)
    flat, free = chunks.reshape(-1), first[:-1] * _CHUNK
    for latent in range(width):
        # No token is twice in a latent's list, so every entry gets a place of its own.
        tokens = _tokens(fires, latent)
        flat[free[tokens]] = latent
        free[tokens] += 1
    return LatentsOfTokens(chunks, first)


def _nearest(
    fires: TokensOfLatents,
    firing: LatentsOfTokens,
    sizes: NDArray[np.int64],
    latents: range,
    n_neighbours: int,
) -> Pairs:
    """For each of the latents the nearest, and what is as near as the last of them."""
    neighbours, similarities = [], []
    for latent in latents:
        both = _both(firing, _tokens(fires, latent), len(sizes))
        both[latent] = 0
        others = np.flatnonzero(both)
        shared = both[others]
        jaccard = shared / (sizes[latent] + sizes[others] - shared)
        if len(others) > n_neighbours:
            least = np.partition(jaccard, -n_neighbours)[-n_neighbours]
            kept = jaccard >= least
            others, jaccard = others[kept], jaccard[kept]
        neighbours.append(others)
        similarities.append(jaccard)
    latent_of = np.repeat(np.asarray(latents), [len(found) for found in neighbours])
    return Pairs(latent_of, np.concatenate(neighbours), np.concatenate(similarities))


def _both(firing: LatentsOfTokens, tokens: NDArray[Any], width: int) -> NDArray[np.int64]:
    """On how many of `tokens` each latent fires [width]."""
    counts = np.zeros(width + 1, np.int64)
    for start in range(0, len(tokens), _TOKENS_AT_ONCE):
        part = tokens[start : start + _TOKENS_AT_ONCE]
        first = firing.first[part]
        n_chunks = firing.first[part + 1] - first
        before = np.cumsum(n_chunks) - n_chunks
        chunks = np.repeat(first - before, n_chunks)
        chunks += np.arange(len(chunks))
        counts += np.bincount(firing.chunks.take(chunks, axis=0).reshape(-1), minlength=width + 1)
    return counts[:width]


def _tokens(fires: TokensOfLatents, latent: int) -> NDArray[Any]:
    return fires.tokens[fires.first[latent] : fires.first[latent + 1]]


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of several lists of these sizes begins, laid end to end, and the end of all."""
    return np.concatenate([[0], np.cumsum(sizes)])
