"""Judges that read a causal language model: what `surprisal` and `simulation` have in common.

In: a prompt with `{description}` in it, an explanation, windows. Out: for each window, what the
model says about it when it follows the prompt with the explanation in its place.

A prompt is plain text with worked examples, as for a model that was never taught to chat. It is the
same for all windows of a latent, and goes through the model once.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from delphi_assets.errors import SettingError
from delphi_assets.models.causal_model import CausalModel, Query
from delphi_assets.reading.highlighting import FORMAT
from delphi_assets.scorers.judges.prompted import described
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Answer, Computed, hash_of
from delphi_assets.scorers.work.scoring import Scoring

NO_TEXT, TOO_LONG = "no_text", "too_long"
"""Failures: a window of special tokens only; more tokens than the model takes."""

_GAP = "{description}"


class CausalJudge(Computed[Item]):
    """A model in memory; `role` is the scorer's name and that of its prompt."""

    reads_prompts = True

    def __init__(self, role: str, scoring: Scoring) -> None:
        self._scoring = scoring
        self._prompt = scoring.prompts.text(role)
        self._legend = scoring.prompts.text("lexical")
        if _GAP not in self._prompt:
            raise SettingError(
                f"score.prompts = {scoring.settings.prompts!r} holds a {role}.txt without {_GAP}; "
                "expected it once, where the explanation is to stand."
            )

    @property
    def model(self) -> str:
        """The model of the settings."""
        return self._scoring.settings.causal_model

    @property
    def judge_hash(self) -> str:
        """Hash of the texts around explanation and window, and of the model's precision.

        Of its files too, once they were replaced.
        """
        other = self._scoring.other_causal_model
        return hash_of(
            **({} if other is None else {"weights": other}),
            format=FORMAT,
            prompt=self._prompt,
            legend=self._legend,
            dtype=self._scoring.settings.causal_dtype,
            **self._asked(),
        )

    def _asked(self) -> dict[str, object]:
        """What else changes the answers."""
        return {}

    def description(self, explained: Explained) -> str:
        """The explanation as the prompt shows it."""
        return described(explained, self._legend)

    @cached_property
    def reader(self) -> CausalModel:
        """The model, loaded when first asked for."""
        return self._scoring.causal_model

    @abstractmethod
    def query(self, item: Item) -> Query:
        """What is asked about a window; no places where there is nothing to ask."""

    def read(self, description: str, items: Sequence[Item]) -> list[NDArray[np.float32] | Answer]:
        """Log-probabilities [places, candidates] for each window, or its failure."""
        prompt = self._prompt.replace(_GAP, description)
        prefix, queries = self.reader.beginning(f"{prompt}\n"), [self.query(one) for one in items]
        failures = [self._failure(len(prefix), query) for query in queries]
        asked = [query for query, failure in zip(queries, failures, strict=True) if not failure]
        read = iter(self.reader.log_probabilities(prefix, asked))
        return [Answer(failure=failure) if failure else next(read) for failure in failures]

    def _failure(self, before: int, query: Query) -> str | None:
        if not len(query.places):
            return NO_TEXT
        return TOO_LONG if before + len(query.tokens) > self.reader.longest else None
