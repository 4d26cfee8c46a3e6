"""Surprisal: does a language model expect the window's text more when it knows the explanation?

The scorer is Delphi's (Paulo et al. 2024, arXiv:2410.13928, "surprisal scoring"): an explanation
that says what is in a window lowers a base model's loss on it. `value` is the mean gain a token,

    1/n sum_i [ln p(token_i | prompt with the explanation, tokens before)
               - ln p(token_i | prompt with a neutral text, tokens before)]

in nats, over the n tokens that the causal model makes of the window's text. The difference takes
out how hard the text is in itself. It should be larger in windows in which the latent fires than in
others, which AUROC tells (`sql/scores/`).

The items are those of `detection`. Special tokens of the subject model are left out of the text.
The neutral text is `surprisal_neutral.txt`; an empty explanation is shown as "(none)".

Only a model in memory is asked: hardly an endpoint of chat models tells the log-probabilities of a
text it is given.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from delphi_assets.models.causal_model import Query
from delphi_assets.scorers import detection
from delphi_assets.scorers.judges.causal_judge import CausalJudge
from delphi_assets.scorers.judges.local_models import check_causal_model
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Answer, Scorer, valued
from delphi_assets.scorers.work.scoring import Scoring

NAME = "surprisal"


def surprisal(scoring: Scoring) -> Scorer[Item]:
    """The scorer; raises `SettingError` for a causal model that cannot be one."""
    check_causal_model(scoring.settings.causal_model)
    return Scorer(
        name=NAME,
        items=lambda record, _: detection.items(record, scoring.latent_seed(record.latent)),
        n_items=sum,
        judge=Surprisal(scoring),
    )


class Surprisal(CausalJudge):
    """The gain of every window."""

    def __init__(self, scoring: Scoring) -> None:
        super().__init__(NAME, scoring)
        self._neutral = scoring.prompts.text("surprisal_neutral")
        self._expected: tuple[Sequence[Item], list[NDArray[np.float32] | Answer]] = ((), [])

    def _asked(self) -> dict[str, object]:
        return {"neutral": self._neutral}

    def query(self, item: Item) -> Query:
        """Each token of the window's text is asked for."""
        [tokens] = self.reader.ids(self._scoring.text(item.str_tokens))
        return Query(tokens, range(len(tokens)), [[token] for token in tokens])

    def answer(self, explained: Explained, items: Sequence[Item]) -> Sequence[Answer]:
        """A value an item, or the failure of the longer of the two prompts."""
        told = self.read(self.description(explained), items)
        return [_gain(*pair) for pair in zip(told, self._without(items), strict=True)]

    def _without(self, items: Sequence[Item]) -> list[NDArray[np.float32] | Answer]:
        """What the model says with the neutral text; kept for the latent's next explanation."""
        if self._expected[0] != items:
            self._expected = items, self.read(self._neutral, items)
        return self._expected[1]


def _gain(told: NDArray[np.float32] | Answer, without: NDArray[np.float32] | Answer) -> Answer:
    if isinstance(told, Answer):
        return told
    if isinstance(without, Answer):
        return without
    difference = np.subtract(told, without, dtype=np.float64)
    return valued(float(difference.mean()))
