"""Judges that are LLMs with a prompt: instructions, worked examples, then the question.

Instructions and worked examples come first and are the same for all latents. An explanation stands
on one line, as windows do, so that none can add an excerpt of its own to the question. A lexical
one has a line a token, and comes with a sentence on how to read it. A question that shows a
negative mark has one on signs.
"""

from abc import abstractmethod
from functools import cached_property

from delphi_assets.errors import SettingError
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.llm.calls.transport import identity_of
from delphi_assets.reading import lexical
from delphi_assets.reading.highlighting import FORMAT, highlight, on_one_line, show
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Asked, I, hash_of
from delphi_assets.scorers.work.scoring import Scoring


class Prompted(Asked[I]):
    """What such judges have in common."""

    def __init__(self, role: str, scoring: Scoring, **shown: object) -> None:
        """`role` is the scorer's name, `shown` settings that change what its questions show.

        Raises `SettingError` when the settings name no LLM.
        """
        self.role, self.scoring, self._shown = role, scoring, shown
        if self.model == "lexical":
            raise SettingError(
                f"score.scorers holds {role!r} and score.scorer_model = 'lexical'; expected a "
                "LiteLLM model string, for this scorer has no lexical judge."
            )

    @property
    def model(self) -> str:
        """The LLM of the settings."""
        return self.scoring.settings.scorer_model

    @property
    @abstractmethod
    def instructions(self) -> tuple[Message, ...]:
        """What is the same in all questions, to begin with."""

    @property
    def wants_logprobs(self) -> bool:
        """Whether log-probabilities are asked for."""
        return self.scoring.settings.log_prob

    @property
    def wants_schema(self) -> bool:
        """Whether the server shall hold answers to a JSON schema."""
        return self.scoring.profile.llm.json_schema

    @property
    def legend(self) -> str:
        """How a lexical explanation is to be read."""
        return self.scoring.prompts.text("lexical")

    def description(self, explained: Explained) -> str:
        """An explanation as the LLM is shown it."""
        return described(explained, self.legend)

    @cached_property
    def judge_hash(self) -> str:
        """Hash of the instructions and the settings, but for `max_tokens`, and of the model where
        its name does not say which it is.
        """
        llm = self.scoring.profile.llm
        model = {} if self._identity is None else {"identity": self._identity}
        return hash_of(
            format=FORMAT,
            instructions=self.instructions,
            legend=self.legend,
            temperature=llm.temperature,
            json_schema=self.wants_schema,
            log_prob=self.wants_logprobs,
            **self._shown,
            **model,
        )

    @cached_property
    def _identity(self) -> str | None:
        return identity_of(self.scoring.profile.llm, self.model)

    def system(self, name: str) -> Message:
        """The instructions `<name>.txt`, and how excerpts are shown."""
        texts = self.scoring.prompts
        return Message("system", "\n\n".join([texts.text(name), texts.text("excerpts")]))

    def ask(self, question: str, schema: str, *, signed: bool = False) -> Request:
        """The request for a question; `schema` (JSON text) is sent where the settings want it.

        `signed` says that the question shows a negative mark.
        """
        llm = self.scoring.profile.llm
        if signed:
            question = f"{self.scoring.prompts.text('signed')}\n\n{question}"
        return Request(
            role=self.role,
            model=self.model,
            messages=(*self.instructions, Message("user", question)),
            temperature=llm.temperature,
            max_tokens=llm.max_tokens,
            logprobs=self.wants_logprobs,
            schema=schema if self.wants_schema else None,
            identity=self._identity,
        )


def described(explained: Explained, legend: str) -> str:
    """An explanation as a model is shown it, a lexical one under its legend; "(none)" for none."""
    text = laid_out(explained.explanation)
    return f"{legend}\n{text}" if explained.explainer == "lexical" else text or "(none)"


def laid_out(explanation: str) -> str:
    """An explanation on one line; on a line a token where it is what the lexical explainer writes.

    A text without line breaks stays as it is: questions that were asked are known by their text.
    """
    return explanation if lexical.is_written(explanation) else on_one_line(explanation)


def shows_negative(item: Item) -> bool:
    """Whether a mark of the item's window is negative."""
    return any(mark < 0 for mark in item.marked or ())


def window(item: Item) -> str:
    """An item's window on one line, its marked tokens between << and >>."""
    if item.marked is None:
        return show("".join(item.str_tokens))
    return highlight(item.str_tokens, item.marked)
