"""What is to be judged: tasks, made of explanations, scorers and controls.

In: stored explanations. Out: a `Task` a scorer and explanation, on the latent it was written for
(control `none`) and, as a floor, on one other latent (control `shuffled`).
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from delphi_assets.scorers.items import order_of
from delphi_assets.settings import Scorer, ScoreSettings

NONE, SHUFFLED = "none", "shuffled"


class Explained(NamedTuple):
    """A stored explanation."""

    latent: int
    explanation_id: str
    explainer: str
    model: str
    prompt_hash: str | None
    explanation: str


class Windows(NamedTuple):
    """How many windows a latent has for the scorers."""

    n_test: int
    n_non_activating: int

    def items(self, scorer: str) -> int:
        """Items that `scorer` makes of them."""
        if scorer == "fuzz" and not self.n_test:
            return 0
        return self.n_test + self.n_non_activating


class Task(NamedTuple):
    """One explanation to be judged on the windows of one latent."""

    latent: int
    explained: Explained
    scorer: Scorer
    control: str


def plan(
    mine: Iterable[Explained], judged: Iterable[Explained], settings: ScoreSettings, seed: str
) -> Iterator[Task]:
    """Tasks for the explanations in `mine`; controls are drawn from all that are `judged`."""
    others = assign_others(judged, seed) if settings.shuffled else {}
    for one in mine:
        for scorer in settings.scorers:
            yield Task(one.latent, one, scorer, NONE)
            if one.explanation_id in others:
                yield Task(one.latent, others[one.explanation_id], scorer, SHUFFLED)


def assign_others(explained: Iterable[Explained], seed: str) -> dict[str, Explained]:
    """For each explanation, by id, that of another latent: a seeded derangement.

    Explanations by the same explainer, model and prompt form a ring ordered by a hash of the
    latent; each gets its successor. Hence it does not matter which latents are being scored, and
    one more explained latent changes one assignment. An explanation alone in its ring gets none.
    """
    rings: dict[tuple[str, str, str | None], list[Explained]] = {}
    for one in explained:
        rings.setdefault((one.explainer, one.model, one.prompt_hash), []).append(one)
    others = {}
    for ring in rings.values():
        ring.sort(key=lambda one: (order_of(seed, "ring", one.latent), one.explanation_id))
        for place, one in enumerate(ring):
            successors = (*ring[place + 1 :], *ring[:place])
            other = next((o for o in successors if o.latent != one.latent), None)
            if other is not None:
                others[one.explanation_id] = other
    return others
