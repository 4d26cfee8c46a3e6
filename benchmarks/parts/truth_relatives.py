"""Which planted latents hold on more than another one, on less, or on something alike?

In: what planted latents do. Out: for each, other planted latents by relation, of which none is
told: they are found by the tokens on which both fire.

- `parent`: it holds on 90% of the latent's tokens, and on half as many again; the smallest of them.
- `child`: 90% of its tokens are the latent's, which has half as many again; the largest of them.
- `sibling`: of the same kind, with less than a tenth of the smaller one's tokens in common.
- `other`: of another kind, with as little in common.

Of several siblings and others the first by a hash of both names.
"""

from collections.abc import Callable
from hashlib import sha256

import numpy as np

from benchmarks.parts.truth_lake import Known, Planted

_WITHIN, _LARGER, _APART = 0.9, 1.5, 0.1


def relatives(planted: Planted) -> dict[str, dict[int, int]]:
    """By relation, the latent that a latent has in it."""
    known = planted.known
    fires = np.stack([planted.strength[one.latent] > 0 for one in known]).astype(np.float32)
    shared, sizes = fires @ fires.T, fires.sum(1)
    found: dict[str, dict[int, int]] = {"parent": {}, "child": {}, "sibling": {}, "other": {}}
    for own, one in enumerate(known):
        within, holds = shared[own] / sizes[own], shared[own] / sizes
        larger, smaller = sizes >= _LARGER * sizes[own], sizes[own] >= _LARGER * sizes
        parents = np.flatnonzero((within >= _WITHIN) & larger)
        children = np.flatnonzero((holds >= _WITHIN) & smaller)
        apart = shared[own] / np.minimum(sizes, sizes[own]) < _APART
        if len(parents):
            found["parent"][one.latent] = known[min(parents, key=lambda at: sizes[at])].latent
        if len(children):
            found["child"][one.latent] = known[max(children, key=lambda at: sizes[at])].latent
        for relation, fits in _ALIKE.items():
            others = [
                other for at, other in enumerate(known) if apart[at] and fits(one.kind, other.kind)
            ]
            if others:
                first = min(others, key=lambda other: _hash(one, other))
                found[relation][one.latent] = first.latent
    return found


_ALIKE: dict[str, Callable[[str, str], bool]] = {
    "sibling": lambda own, other: own == other,
    "other": lambda own, other: own != other,
}


def _hash(one: Known, other: Known) -> str:
    return sha256(f"{one.name} {other.name}".encode()).hexdigest()
