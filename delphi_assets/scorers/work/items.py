"""What a scorer asks about: items, in an order that gives nothing away."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class Item:
    """One window put to a judge, with the right answer. Scorers that ask for more subclass it."""

    example: int
    """Index of the example in its record."""
    variant: str
    """What is asked about it, where a scorer asks several things: see the table predictions."""
    truth: bool
    quantile: int | None
    str_tokens: tuple[str, ...]
    marked: tuple[int, ...] | None = None
    """Marks of the tokens, see `highlighting`; None where the scorer highlights none."""
    chance: float | None = None
    """Share of right picks by a judge that knows nothing, where one of several is to be picked."""


AnItem = TypeVar("AnItem", bound=Item)


def order_of(seed: str, *parts: object) -> str:
    """A hash to order by: a shuffle that is the same on every machine."""
    return hashlib.sha256("|".join([seed, *map(str, parts)]).encode()).hexdigest()


def shuffled(items: Iterable[AnItem], seed: str) -> list[AnItem]:
    """The items ordered by a hash of seed, example and variant."""
    return sorted(items, key=lambda item: order_of(seed, item.example, item.variant))
