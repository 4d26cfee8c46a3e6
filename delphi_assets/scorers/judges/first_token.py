"""A judge of single windows that answers with one token: what small models can do.

In: an explanation and one window. Out: yes or no, and its probability.

1. A question is about one window, so that no other window gets in the way. Worked examples are such
   questions, each with its answer.
2. All that comes before the window is the same for every window under an explanation, and most of
   it under all explanations: a server that keeps beginnings of prompts has little more to read than
   the window.
3. Nothing is written but the first token of the answer. Its log-probabilities give
   P(1) / (P(0) + P(1)), summed over the spellings of 1 and 0 (`answers.yes_no`): a model that says
   1 to everything may still be surer where it is right.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.scorers.answers.yes_no import probability
from delphi_assets.scorers.judges.prompted import Prompted, shows_negative, window
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Answer
from delphi_assets.scorers.work.scoring import Scoring


class FirstToken(Prompted[Item]):
    """An LLM whose first token is the answer, 1 or 0."""

    def __init__(self, role: str, scoring: Scoring, **shown: object) -> None:
        self._question = f"{role}_one"
        super().__init__(
            role,
            scoring,
            answer="first_token",
            **scoring.prompts.layout(self._question),
            **shown,
        )

    @property
    def batch_size(self) -> int:
        """One window a question."""
        return 1

    @property
    def wants_logprobs(self) -> bool:
        """Always: they are the answer."""
        return True

    @property
    def wants_schema(self) -> bool:
        """Never: the answer is one token."""
        return False

    @property
    def instructions(self) -> tuple[Message, ...]:
        """`<role>_one.txt` and the worked examples of `<role>.toml`, a turn a window."""
        turns = [self.system(self._question)]
        for case in self.scoring.prompts.scorer_cases(self.role):
            for shown, answer in zip(case.windows, case.answers, strict=True):
                turns.append(Message("user", self._asked(case.explanation, shown)))
                turns.append(Message("assistant", str(answer)))
        return tuple(turns)

    def request(self, explained: Explained, items: Sequence[Item]) -> Request:
        """The window under the explanation."""
        (item,) = items
        question = self._asked(self.description(explained), window(item))
        return replace(self.ask(question, "", signed=shows_negative(item)), max_tokens=1)

    def read(self, completion: Completion, items: Sequence[Item]) -> Sequence[Answer]:
        """What the log-probabilities of the first token say."""
        return [_read(completion)]

    def _asked(self, described: str, shown: str) -> str:
        return self.scoring.prompts.question(self._question, description=described, excerpt=shown)


def _read(completion: Completion) -> Answer:
    if failure := completion.failure:
        return Answer(failure=failure)
    if completion.finish_reason in (failures.CONTENT_FILTER, failures.REFUSAL):
        return Answer(failure=completion.finish_reason)
    tokens = json.loads(completion.logprobs or "[]")
    if not tokens:
        return Answer(failure=failures.NO_LOGPROBS)
    fits = probability(tokens[0]["top"])
    return Answer(failure=failures.NO_CHOICE) if fits is None else Answer(fits >= 0.5, fits)
