"""Fuzzing: are the highlighted tokens the ones the explanation speaks of?

The items are a latent's test windows with the tokens highlighted on which it fires (true), and its
non-activating windows with the highlighting of a test window laid over them (false).

The layout of the highlighting must not tell the two apart, so it is the same on both sides, signs
included:

1. Test windows are ordered by a hash and make a queue of layouts; when it is used up, it is filled
   again.
2. Each non-activating window takes the first layout of the queue that highlights none of its
   special tokens: the latent does not fire on those, so a mark there would say "false". Windows
   that hold special tokens choose first, while there is a choice.
3. A window that no layout fits is left out.

That is the type `default`. With `active`, the false items are the test windows once more, with the
layout of another one laid over them that touches no token on which the latent fires. The judge has
to know where in a window the pattern is, not only whether it is there. (Where all windows fire in
the same places, as with `selection.center_examples`, no layout fits.)
"""

from collections.abc import Collection

from delphi_assets.reading.highlighting import mark
from delphi_assets.reading.records import Example, LatentRecord
from delphi_assets.scorers.judges.single_windows import judge_of
from delphi_assets.scorers.work.items import Item, order_of, shuffled
from delphi_assets.scorers.work.scorer import Scorer, Windows
from delphi_assets.scorers.work.scoring import Scoring

NAME = "fuzz"
TRUE, FALSE = "true", "false"


def fuzz(scoring: Scoring) -> Scorer[Item]:
    """The scorer, with the judge that the settings name."""
    threshold = scoring.profile.explain.threshold
    active = scoring.settings.fuzz_type == "active"
    return Scorer(
        name=NAME,
        items=lambda record, _: items(
            record,
            threshold,
            scoring.latent_seed(record.latent),
            scoring.special_tokens,
            active=active,
        ),
        n_items=_n_active if active else _n_default,
        judge=judge_of(
            NAME, scoring, threshold=threshold, **({"type": "active"} if active else {})
        ),
    )


def _n_default(windows: Windows) -> int:
    return sum(windows) if windows.n_test else 0


def _n_active(windows: Windows) -> int:
    return 2 * windows.n_test


def items(
    record: LatentRecord,
    threshold: float,
    seed: str,
    special: Collection[str] = frozenset(),
    *,
    active: bool = False,
) -> list[Item]:
    """The record's items; `seed` names run, hookpoint, latent and seed.

    Tokens are highlighted from `threshold` times the latent's maximum on. `special` are the tokens,
    as text, on which no latent fires. Without test windows there is nothing to lay over the others,
    hence no item.
    """
    seed = f"{seed}|{NAME}"
    true = [_true(example, record.max_activation, threshold) for example in record.test]
    wrongly_marked = record.test if active else record.non_activating
    return shuffled([*true, *_false(true, wrongly_marked, seed, special)], seed)


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
    true: list[Item], examples: list[Example], seed: str, special: Collection[str]
) -> list[Item]:
    layouts = [
        item.marked
        for item in sorted(true, key=lambda item: order_of(seed, "match", item.example))
        if item.marked is not None
    ]
    constrained = {example.example for example in examples if _taboo(example, special)}
    in_turn = sorted(
        examples,
        key=lambda example: (
            example.example not in constrained,
            order_of(seed, "silent", example.example),
        ),
    )
    queue: list[tuple[int, ...]] = []
    found = []
    for example in in_turn:
        queue = queue or list(layouts)
        taboo = _taboo(example, special)
        for marked in (*queue, *layouts):
            if not any(marked[place] for place in taboo):
                found.append(_laid_over(example, marked))
                if marked in queue:
                    queue.remove(marked)
                break
    return found


def _taboo(example: Example, special: Collection[str]) -> list[int]:
    """Places in which a mark would not be wrong, or would show that it is."""
    return [
        place
        for place, (token, activation) in enumerate(
            zip(example.str_tokens, example.activations, strict=True)
        )
        if activation or token in special
    ]


def _laid_over(example: Example, marked: tuple[int, ...]) -> Item:
    return Item(
        example=example.example,
        variant=FALSE,
        truth=False,
        quantile=example.quantile,
        str_tokens=tuple(example.str_tokens),
        marked=marked,
    )
