"""Intruder: which of these windows does not belong with the others? It needs no explanation.

A latent whose windows a judge cannot tell from others is not one thing that an explanation could
name, so this says how well a latent can be explained at all. One question shows `intruder_windows`
marked windows of a latent, one of which is the intruder:

- default: the intruder is a non-activating window, marked as `fuzz` marks its false items: with the
  layout of an activating one. There is a question for each.
- internal: the intruder is a test window from another quantile than the rest. There is a question
  for each test window; a latent whose windows are all of one quantile has none.

The other windows are test windows of one quantile, drawn by a hash. Where the quantile has too few,
the nearest ones fill up. The intruder's place is drawn by a hash too. A row is about the
intruder's example; its `quantile` is that of the other windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from delphi_assets.prompts import ScorerCase
from delphi_assets.scorers import fuzz
from delphi_assets.scorers.judges.options import Choice, Chooser, numbered
from delphi_assets.scorers.judges.prompted import shows_negative, window
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item, order_of, shuffled
from delphi_assets.scorers.work.scorer import Scorer, Windows
from delphi_assets.scorers.work.scoring import Scoring

NAME = "intruder"
DEFAULT, INTERNAL = "default", "internal"


def intruder(scoring: Scoring) -> Scorer[Choice]:
    """The scorer; raises `SettingError` when the settings name no LLM."""
    settings, threshold = scoring.settings, scoring.profile.explain.threshold
    drawing = Drawing(settings.intruder_type == INTERNAL, settings.intruder_windows - 1)
    return Scorer(
        name=NAME,
        items=lambda record, _: drawing.items(
            fuzz.items(
                record, threshold, scoring.latent_seed(record.latent), scoring.special_tokens
            ),
            f"{scoring.latent_seed(record.latent)}|{NAME}",
        ),
        n_items=drawing.n_items,
        judge=_Judge(
            NAME,
            scoring,
            threshold=threshold,
            type=settings.intruder_type,
            windows=settings.intruder_windows,
        ),
        needs_explanation=False,
        controls=(),
    )


class _Judge(Chooser):
    def shown(self, case: ScorerCase) -> str:
        return numbered("Excerpt", case.windows)

    def question(self, explained: Explained, item: Choice) -> str:
        return numbered("Excerpt", item.options)


@dataclass(frozen=True)
class Drawing:
    """How questions are drawn from a latent's windows."""

    internal: bool
    n_others: int
    """Windows beside the intruder."""

    def n_items(self, windows: Windows) -> int:
        """Questions that windows give at most."""
        if windows.n_test < self.n_others + self.internal:
            return 0
        return windows.n_test if self.internal else windows.n_non_activating

    def items(self, marked: Sequence[Item], seed: str) -> list[Choice]:
        """Questions, in a seeded order, from the items of `fuzz`."""
        active = [item for item in marked if item.truth]
        intruders = active if self.internal else [item for item in marked if not item.truth]
        drawn = (self._question(one, active, seed) for one in intruders)
        return shuffled(filter(None, drawn), seed)

    def _question(self, one: Item, active: Sequence[Item], seed: str) -> Choice | None:
        """The question in which `one` is the intruder; None when there are too few others."""
        pool = [item for item in active if not self.internal or item.quantile != one.quantile]
        if len(pool) < self.n_others:
            return None
        quantile = min(
            (item.quantile or 0 for item in pool),
            key=lambda of: order_of(seed, "quantile", one.example, of),
        )
        others = sorted(
            pool,
            key=lambda item: (
                abs((item.quantile or 0) - quantile),
                order_of(seed, "other", one.example, item.example),
            ),
        )[: self.n_others]
        shown = sorted(
            [one, *others], key=lambda item: order_of(seed, "place", one.example, item.example)
        )
        return Choice(
            example=one.example,
            variant=INTERNAL if self.internal else DEFAULT,
            truth=True,
            quantile=quantile,
            str_tokens=one.str_tokens,
            marked=one.marked,
            chance=1 / len(shown),
            options=tuple(window(item) for item in shown),
            right=shown.index(one),
            signed=any(map(shows_negative, shown)),
        )
