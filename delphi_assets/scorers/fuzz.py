"""Fuzzing: are the highlighted tokens the ones the explanation speaks of?

In: a record. Out: its test windows with the tokens highlighted on which the latent fires (true),
and its non-activating windows with the highlighting of a test window laid over them (false).

The layout of the highlighting must not tell the two apart, so it is the same on both sides:

1. Test windows are ordered by a hash and make a queue of layouts; when it is used up, it is filled
   again.
2. Each non-activating window takes the first layout of the queue that highlights none of its
   special tokens: the latent does not fire on those, so a mark there would say "false". Windows
   that hold special tokens choose first, while there is a choice.
3. A window that no layout fits is left out.
"""

from collections.abc import Collection

from delphi_assets.highlighting import mark
from delphi_assets.records import Example, LatentRecord
from delphi_assets.scorers.items import Item, order_of, shuffled

TRUE, FALSE = "true", "false"


def items(
    record: LatentRecord, threshold: float, seed: str, special: Collection[str] = frozenset()
) -> list[Item]:
    """The record's items; `seed` names run, hookpoint, latent and seed.

    Tokens are highlighted from `threshold` times the latent's maximum on. `special` are the tokens,
    as text, on which no latent fires. Without test windows there is nothing to lay over the others,
    hence no item.
    """
    seed = f"{seed}|fuzz"
    true = [_true(example, record.max_activation, threshold) for example in record.test]
    return shuffled([*true, *_false(true, record.non_activating, seed, special)], seed)


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


def _false(
    true: list[Item], silent: list[Example], seed: str, special: Collection[str]
) -> list[Item]:
    layouts = [
        item.marked
        for item in sorted(true, key=lambda item: order_of(seed, "match", item.example))
        if item.marked is not None
    ]
    has_special = {example.example for example in silent if _special(example, special)}
    in_turn = sorted(
        silent,
        key=lambda example: (
            example.example not in has_special,
            order_of(seed, "silent", example.example),
        ),
    )
    queue: list[tuple[bool, ...]] = []
    found = []
    for example in in_turn:
        queue = queue or list(layouts)
        taboo = _special(example, special)
        for marked in (*queue, *layouts):
            if not any(marked[place] for place in taboo):
                found.append(_laid_over(example, marked))
                if marked in queue:
                    queue.remove(marked)
                break
    return found


def _special(example: Example, special: Collection[str]) -> list[int]:
    return [place for place, token in enumerate(example.str_tokens) if token in special]


def _laid_over(example: Example, marked: tuple[bool, ...]) -> Item:
    return Item(
        example=example.example,
        variant=FALSE,
        truth=False,
        quantile=None,
        str_tokens=tuple(example.str_tokens),
        marked=marked,
    )
