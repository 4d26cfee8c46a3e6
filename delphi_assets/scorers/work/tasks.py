"""What is to be judged: tasks, made of explanations, scorers and controls.

In: latents, their stored explanations, scorers. Out: a `Task` a scorer and explanation, on the
latent it was written for (control `none`), and the floors that are asked for: the same latent
judged by the explanation of another one that says something else (control `shuffled`) and by an
empty one (control `empty`, once a latent, whatever the number of its explanations). A scorer that
needs no explanation has one task a latent.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from delphi_assets.scorers.work.explained import Explained, unexplained
from delphi_assets.scorers.work.items import order_of
from delphi_assets.scorers.work.scorer import EMPTY, SHUFFLED, Scorer

NONE = "none"


class Task(NamedTuple):
    """One explanation to be judged on the windows of one latent."""

    latent: int
    explained: Explained
    scorer: Scorer[Any]
    control: str


def plan(
    latents: Collection[int],
    stored: Iterable[Explained],
    scorers: Iterable[Scorer[Any]],
    controls: Collection[str],
    seed: str,
) -> Iterator[Task]:
    """Tasks for `latents`, by scorer; `shuffled` draws from all that are `stored`."""
    stored = list(stored)
    others = assign_others(stored, seed) if SHUFFLED in controls else {}
    for scorer in scorers:
        if not scorer.needs_explanation:
            yield from (Task(latent, unexplained(latent), scorer, NONE) for latent in latents)
            continue
        mine = [one for one in stored if one.latent in latents and scorer.judge.reads(one)]
        yield from (Task(one.latent, one, scorer, NONE) for one in mine)
        if SHUFFLED in scorer.controls:
            yield from (
                Task(one.latent, others[one.explanation_id], scorer, SHUFFLED)
                for one in mine
                if one.explanation_id in others
            )
        if EMPTY in controls and EMPTY in scorer.controls:
            for latent in dict.fromkeys(one.latent for one in mine):
                yield Task(latent, unexplained(latent), scorer, EMPTY)


def assign_others(explained: Iterable[Explained], seed: str) -> dict[str, Explained]:
    """For each explanation, by id, that of another latent with another text; seeded.

    Explanations by the same explainer, model and prompt form a ring ordered by a hash of the
    latent; each gets the next one that differs, its successor in most cases. Hence it does not
    matter which latents are being scored, and one more explained latent changes few assignments.
    An explanation gets none where no other latent of its ring has another text.
    """
    rings: dict[tuple[str, str, str | None], list[Explained]] = {}
    for one in explained:
        rings.setdefault((one.explainer, one.explainer_model, one.prompt_hash), []).append(one)
    others = {}
    for ring in rings.values():
        ring.sort(key=lambda one: (order_of(seed, "ring", one.latent), one.explanation_id))
        for one, other in zip(ring, _next_that_differ(ring), strict=True):
            if other is not None:
                others[one.explanation_id] = other
    return others


def n_without_other(tasks: Collection[Task]) -> int:
    """Tasks that have no `shuffled` one beside them, for want of another text."""
    own = sum(task.control == NONE and SHUFFLED in task.scorer.controls for task in tasks)
    return own - sum(task.control == SHUFFLED for task in tasks)


def _next_that_differ(ring: Sequence[Explained]) -> list[Explained | None]:
    """For each of the ring, the next one of another latent with another text.

    Texts may be the same for long stretches, so where the text changes next is looked up.
    """
    size = len(ring)
    change = [0] * (2 * size + 1)
    for place in reversed(range(2 * size)):
        same = ring[place % size].explanation == ring[(place + 1) % size].explanation
        change[place] = change[place + 1] if same else place + 1
    found: list[Explained | None] = []
    for place, one in enumerate(ring):
        at = place + 1
        while at < place + size:
            other = ring[at % size]
            if other.explanation == one.explanation:
                at = change[at] or 2 * size
            elif other.latent == one.latent:
                at += 1
            else:
                break
        found.append(ring[at % size] if at < place + size else None)
    return found
