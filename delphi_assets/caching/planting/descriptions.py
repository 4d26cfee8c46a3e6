"""The table planted: what each latent of a planted run is, and descriptions of it.

In: predicates, and what was counted of their latents. Out: rows, one a description: the true one,
those that the file says are wrong, another latent's, and none.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from delphi_assets.caching.planting.firing import Counts
from delphi_assets.caching.planting.predicates import Predicate, Predicates
from delphi_assets.lake.schema import PLANTED

_OTHER, _EMPTY = "other", "empty"
"""Relations of descriptions that no file says: another latent's, and none."""


def described_rows(
    predicates: Predicates, counts: Sequence[Counts], n_tokens: int, seed: str
) -> pa.Table:
    """Rows of the table planted; `counts` are of each latent, among `n_tokens` that can fire."""
    return PLANTED.from_rows(
        [
            {**_of_latent(predicates, latent, counts[latent], n_tokens), **described._asdict()}
            for latent in range(len(predicates.all))
            for described in _descriptions(predicates, latent, seed)
        ]
    )


class _Described(NamedTuple):
    """One description of a latent: how it stands to the truth, which of several, its text."""

    relation: str
    number: int
    text: str


def _of_latent(
    predicates: Predicates, latent: int, counts: Counts, n_tokens: int
) -> dict[str, object]:
    """Columns that every description of a latent has."""
    predicate = predicates.all[latent]
    stated, numbers = predicate.stated, {one.name: n for n, one in enumerate(predicates.all)}
    defects = stated.defects
    return {
        "latent": latent,
        "name": stated.name,
        "kind": predicate.kind_name,
        "sign": stated.sign,
        "base_rate": counts.n_true / max(n_tokens, 1),
        "n_true": counts.n_true,
        "n_missed": counts.n_missed,
        "n_false": counts.n_false,
        "miss_rate": defects.miss_rate,
        "absorbed_by": numbers.get(defects.absorbed_by or ""),
        "absorbed_rate": defects.absorbed_rate,
        "silent_rate": defects.silent_rate,
        "false_fire_rate": defects.false_fire_rate,
        "stronger_at": numbers.get(defects.stronger_at or ""),
        "strength_factor": defects.strength_factor,
    }


def _descriptions(predicates: Predicates, latent: int, seed: str) -> list[_Described]:
    """True, wrong, another latent's and none, in this order."""
    predicate, counted = predicates.all[latent], dict[str, int]()
    given = [
        ("true", predicate.stated.text),
        *predicate.stated.wrong.rows(),
        *((_OTHER, text) for text in _of_another(predicates, predicate, seed)),
        (_EMPTY, ""),
    ]
    found = []
    for relation, text in given:
        counted[relation] = counted.get(relation, 0) + 1
        found.append(_Described(relation, counted[relation], text))
    return found


def _of_another(predicates: Predicates, predicate: Predicate, seed: str) -> list[str]:
    """The true description of another latent of another kind, drawn by a hash; none without one.

    Not one that either of the two is made of, nor of the same words as one of its own.
    """
    own = {predicate.stated.text, *(text for _, text in predicate.stated.wrong.rows())}

    def drawn(other: Predicate) -> str:
        return hashlib.sha256(f"{seed}|{predicate.name}|{other.name}".encode()).hexdigest()

    others = [
        other
        for other in predicates.all
        if other.kind_name != predicate.kind_name
        and predicate.name not in other.others
        and other.name not in predicate.others
        and other.stated.text not in own
        and other.kind_name != "random"
    ]
    return [min(others, key=drawn).stated.text] if others else []
