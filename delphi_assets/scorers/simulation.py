"""Simulation: how strongly would the latent fire on each token, by the explanation alone?

After Bills et al. 2023, "Language models can explain neurons in language models": the simulated
activations of a window, 0 to 10 a token, are to follow the magnitudes of the real ones, which their
correlation tells (`sql/scores/correlations.sql`). The items are those of `detection`. There are two
ways to get them (`score.simulation_type`), both about all tokens of a window at once:

logprobs: a causal model in memory reads the tokens, one a line, with "unknown" in place of every
    activation. Before each "unknown" it is asked for its log-probabilities of the digits 0 to 9.
    They are scaled to sum to 1, and the expected digit times 10/9 is the activation. (Bills et al.
    let the scale end with 10, which is a token for few models besides theirs.) One pass a window
    gives what would else take an answer a token.
json: the LLM of `score.scorer_model` writes a list of (token, activation) pairs
(`token_activations`).
"""

import json
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from delphi_assets.errors import SettingError
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.models.causal_model import Query
from delphi_assets.reading.highlighting import show
from delphi_assets.scorers import detection
from delphi_assets.scorers.answers import token_activations
from delphi_assets.scorers.judges.causal_judge import CausalJudge
from delphi_assets.scorers.judges.local_models import check_causal_model
from delphi_assets.scorers.judges.prompted import Prompted
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import NOT_FINITE, Answer, Scorer
from delphi_assets.scorers.work.scoring import Scoring

NAME = "simulation"
TAB, UNKNOWN, TAB_SHOWN = "\t", "unknown", "→"


def simulation(scoring: Scoring) -> Scorer[Item]:
    """The scorer, with the judge that the settings name.

    Raises `SettingError` for a causal model that cannot be one, or without an LLM for `json`.
    """
    writes = scoring.settings.simulation_type == "json"
    if not writes:
        check_causal_model(scoring.settings.causal_model)
    return Scorer(
        name=NAME,
        items=lambda record, _: detection.items(record, scoring.latent_seed(record.latent)),
        n_items=sum,
        judge=WrittenSimulation(scoring) if writes else ReadSimulation(NAME, scoring),
    )


class ReadSimulation(CausalJudge):
    """Activations expected by the log-probabilities of a causal model."""

    @cached_property
    def digits(self) -> Sequence[int]:
        """Ids of "0" to "9" behind a tab; raises `SettingError` where they are no tokens."""
        before, *found = self.reader.ids(TAB, *(f"{TAB}{digit}" for digit in range(10)))
        last = [ids[-1] for ids in found]
        if any(ids[:-1] != before for ids in found) or len(set(last)) < 10:
            raise SettingError(
                f"score.causal_model = {self.model!r} has no token for each digit; expected a "
                "model that has, or score.simulation_type = 'json'."
            )
        return last

    def query(self, item: Item) -> Query:
        """The digits are asked for in place of every "unknown"."""
        shown = [show(token).replace(TAB, TAB_SHOWN) for token in item.str_tokens]
        tab, unknown, *cut = self.reader.ids(TAB, f"{UNKNOWN}\n", *shown)
        tokens: list[int] = []
        places = []
        for token in cut:
            tokens += [*token, *tab]
            places.append(len(tokens))
            tokens += unknown
        return Query(tokens, places, [self.digits] * len(places))

    def answer(self, explained: Explained, items: Sequence[Item]) -> Sequence[Answer]:
        """An activation a token."""
        read = self.read(self.description(explained), items)
        return [one if isinstance(one, Answer) else _expected(one) for one in read]


def _expected(log_probabilities: NDArray[np.float32]) -> Answer:
    """Expected values of digits whose log-probabilities [tokens, 10] are given, times 10/9."""
    shifted = log_probabilities - log_probabilities.max(axis=1, keepdims=True)
    weights = np.exp(shifted.astype(np.float64))
    expected = weights @ np.arange(10) / weights.sum(axis=1) * 10 / 9
    if not np.isfinite(expected).all():
        return Answer(failure=NOT_FINITE)
    return Answer(simulated=tuple(expected.tolist()))


class WrittenSimulation(Prompted[Item]):
    """Activations that an LLM writes down."""

    def __init__(self, scoring: Scoring) -> None:
        super().__init__(NAME, scoring)

    @property
    def batch_size(self) -> int:
        """A window at a time."""
        return 1

    @property
    def instructions(self) -> tuple[Message, ...]:
        """`simulation_json.txt`."""
        return (Message("system", self.scoring.prompts.text("simulation_json")),)

    def request(self, explained: Explained, items: Sequence[Item]) -> Request:
        """The window's tokens under the explanation."""
        (item,) = items
        tokens = json.dumps(item.str_tokens, ensure_ascii=False)
        question = f"Description: {self.description(explained)}\n\nTokens: {tokens}"
        return self.ask(question, token_activations.schema(len(item.str_tokens)))

    def read(self, completion: Completion, items: Sequence[Item]) -> Sequence[Answer]:
        """An activation a token, or why there are none."""
        (item,) = items
        found = token_activations.parse(completion, item.str_tokens)
        return [Answer(simulated=found.activations, failure=found.failure)]
