"""Fuzzing: are the highlighted tokens the ones the explanation speaks of?

In: a record. Out: its test windows with the tokens highlighted on which the latent fires (true),
and its non-activating windows with as many tokens highlighted at drawn places (false).

The layout of the highlighting must not tell the two apart, so every false item takes its layout
from a true one:

1. Non-activating windows are ordered by a hash and matched with the test windows, one to one; when
   there are more of them, the test windows are gone through again.
2. A false item keeps the lengths of its match's runs of highlighted tokens, in a drawn order.
3. The runs are placed, at least one token apart, so that every placement is equally likely. The
   draw is seeded with latent and window: no two latents share their places.
"""

import random
from collections.abc import Sequence
from itertools import groupby

from delphi_assets.highlighting import mark
from delphi_assets.records import Example, LatentRecord
from delphi_assets.scorers.items import Item, order_of, shuffled

TRUE, FALSE = "true", "false"


def items(record: LatentRecord, threshold: float, seed: str) -> list[Item]:
    """The record's items; `seed` names run, hookpoint, latent and seed.

    Tokens are highlighted from `threshold` times the latent's maximum on. Without test windows
    there is nothing to match, hence no item.
    """
    seed = f"{seed}|fuzz"
    true = [_true(example, record.max_activation, threshold) for example in record.test]
    if not true:
        return []
    matches = sorted(true, key=lambda item: order_of(seed, "match", item.example))
    silent = sorted(
        record.non_activating, key=lambda example: order_of(seed, "silent", example.example)
    )
    false = [
        _false(example, matches[index % len(matches)], f"{seed}|{example.position}")
        for index, example in enumerate(silent)
    ]
    return shuffled([*true, *false], seed)


def run_lengths(marked: Sequence[bool]) -> list[int]:
    """Lengths of the runs of marked tokens, in order."""
    return [len(list(run)) for is_marked, run in groupby(marked) if is_marked]


def place(runs: Sequence[int], length: int, draw: random.Random) -> list[bool]:
    """`length` tokens with the runs marked, in drawn order, at least one unmarked token apart.

    With the gaps that must be there taken out, a placement is a choice of distinct slots: each is
    equally likely. Runs that do not fit are cut from the longest.
    """
    runs = _fitting(runs, length)
    draw.shuffle(runs)
    slots = sorted(draw.sample(range(length - sum(runs) + 1), len(runs)))
    marked = [False] * length
    placed = 0
    for slot, run in zip(slots, runs, strict=True):
        start = slot + placed
        marked[start : start + run] = [True] * run
        placed += run
    return marked


def _fitting(runs: Sequence[int], length: int) -> list[int]:
    fitting = sorted(runs)
    while sum(fitting) + len(fitting) - 1 > length:
        fitting[-1] -= 1
        fitting = sorted(run for run in fitting if run)
    return fitting


def _true(example: Example, maximum: float, threshold: float) -> Item:
    marked = mark(example.activations, threshold, maximum, inclusive=True)
    return Item(
        example=example.example,
        variant=TRUE,
        truth=True,
        quantile=example.quantile,
        str_tokens=tuple(example.str_tokens),
        marked=tuple(marked),
    )


def _false(example: Example, match: Item, seed: str) -> Item:
    assert match.marked is not None
    marked = place(run_lengths(match.marked), len(example.str_tokens), random.Random(seed))
    return Item(
        example=example.example,
        variant=FALSE,
        truth=False,
        quantile=None,
        str_tokens=tuple(example.str_tokens),
        marked=tuple(marked),
    )
