"""Judges that pick one of several options: which one is right?

`Chooser` asks an LLM, one question at a time: a judge that saw several windows of one latent could
infer the answer to one from the others. Options come in an order given by a hash. A row says
whether the right one was picked, so the share of true predictions is the accuracy, to be compared
with `chance`: that of a judge who knows nothing.
"""

import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.prompts import ScorerCase
from delphi_assets.scorers.answers import picks
from delphi_assets.scorers.judges.prompted import Prompted
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Answer


@dataclass(frozen=True)
class Choice(Item):
    """Options to pick from, and what is known when picking: the window, in some scorers."""

    options: tuple[str, ...] = ()
    right: int = 0
    """Place of the right option, from 0."""
    signed: bool = False
    """Whether a window that is shown has a negative mark."""


class Chooser(Prompted[Choice]):
    """An LLM that answers with the number of an option."""

    @property
    def batch_size(self) -> int:
        """One question at a time."""
        return 1

    @property
    def instructions(self) -> tuple[Message, ...]:
        """`<role>.txt` and the worked examples of `<role>.toml`."""
        turns = [self.system(self.role)]
        for case in self.scoring.prompts.scorer_cases(self.role):
            turns.append(Message("user", self.shown(case)))
            turns.append(Message("assistant", json.dumps({"answer": case.answers[0]})))
        return tuple(turns)

    @abstractmethod
    def shown(self, case: ScorerCase) -> str:
        """A worked example, in the form of a question."""

    @abstractmethod
    def question(self, explained: Explained, item: Choice) -> str:
        """The numbered options."""

    def request(self, explained: Explained, items: Sequence[Choice]) -> Request:
        """The question about the only item."""
        (item,) = items
        question, answer = self.question(explained, item), schema(len(item.options))
        return self.ask(question, answer, signed=item.signed)

    def read(self, completion: Completion, items: Sequence[Choice]) -> Sequence[Answer]:
        """Whether the right option was picked, and its probability where the tokens tell."""
        (item,) = items
        pick = picks.parse(completion, len(item.options))
        if pick.option is None:
            return [Answer(failure=pick.failure)]
        probability = pick.probabilities[item.right] if pick.probabilities else None
        return [Answer(pick.option == item.right, probability)]


def schema(count: int) -> str:
    """JSON schema, as JSON text, of the number of one of `count` options."""
    return json.dumps(
        {
            "type": "object",
            "properties": {"answer": {"type": "integer", "enum": list(range(1, count + 1))}},
            "required": ["answer"],
            "additionalProperties": False,
        }
    )


def numbered(what: str, texts: Sequence[str]) -> str:
    """Texts as `<what> 1: ...`, a paragraph each."""
    return "\n\n".join(f"{what} {number}: {text}" for number, text in enumerate(texts, start=1))
