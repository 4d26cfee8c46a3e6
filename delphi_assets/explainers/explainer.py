"""What an explainer is: something that makes a text, or several candidates, of train windows.

In: a latent's record with its train windows, and the `Terms`. Out: `Candidate`s, usually one.

- A `ComputedExplainer` makes the text here.
- An `AskedExplainer` makes the messages for an LLM, and reads its answer.

The record holds nothing but train windows: no explainer sees what a scorer will judge.

The stage explanations knows no explainer by name: it finds the latents that still need one, hands
over their records and writes the rows. `registry` says how an explainer gets its name.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from delphi_assets.explainers.answers import ReadExplanation, parse, schema
from delphi_assets.explainers.terms import Terms
from delphi_assets.llm.asking import repair
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.reading.highlighting import FORMAT
from delphi_assets.reading.records import LatentRecord
from delphi_assets.settings import ExplainSettings

Result = TypeVar("Result")


class Ask(Protocol):
    """Asks an LLM; answers are on disk when they are there. See `llm.asking.repair.ask`."""

    async def __call__(
        self,
        request: Request,
        read: Callable[[Completion], Result],
        failure_of: Callable[[Result], str | None],
    ) -> repair.ReadAnswer[Result]:
        """What `read` makes of the answer, after a second try where the first cannot be read."""
        ...


class Candidate(NamedTuple):
    """One text that was made for a latent, or the reason why there is none."""

    explanation: ReadExplanation
    n_examples: int
    """Activating train windows that the explainer saw."""
    completion: Completion | None = None
    """The answer that gave it; None without an LLM."""
    number: int | None = None
    """Which of several; None for the only one."""
    quick_score: float | None = None
    quick_request: str | None = None
    """The completion that gave `quick_score`."""
    chosen: bool = True
    """Whether scorers judge it."""


class NoTextError(Exception):
    """A computed explainer has no text for a latent; the others go on."""


class Explainer(ABC):
    """Who explains. Use one of the two kinds below."""

    needs_model: bool | None = None
    """Whether it asks `explain.explainer_model`; None when it makes nothing."""
    text_counts = False
    """Whether it is asked about every latent again, as another text is another explanation."""

    def needs_non_activating(self, settings: ExplainSettings) -> bool:
        """Whether it shows train windows in which the latent is silent."""
        return False

    @abstractmethod
    def candidates(self, settings: ExplainSettings) -> Sequence[int | None]:
        """Numbers of the candidates that a latent gets: a None for an only one."""

    @abstractmethod
    def prompt_hash(self, terms: Terms) -> str:
        """Names the instructions; another one makes another explanation."""

    def made_by(self, terms: Terms) -> Mapping[str, object]:
        """Settings beside the prompt that change what is written."""
        return {}

    def problem(self, settings: ExplainSettings) -> str | None:
        """What is wrong with settings that it cannot work with; None when nothing is."""
        return None


class ComputedExplainer(Explainer):
    """An explainer that asks nobody."""

    needs_model = False

    def candidates(self, settings: ExplainSettings) -> Sequence[int | None]:
        """One."""
        return (None,)

    @abstractmethod
    def open(self, terms: Terms) -> Callable[[LatentRecord], str]:
        """A function from a record to its text; it may raise `NoTextError`.

        An empty text is a failure.
        """


class AskedExplainer(Explainer):
    """An explainer that asks an LLM."""

    needs_model = True

    def candidates(self, settings: ExplainSettings) -> Sequence[int | None]:
        """One."""
        return (None,)

    @abstractmethod
    def messages(self, record: LatentRecord, terms: Terms) -> tuple[Message, ...]:
        """The prompt: what is the same for all latents first, then the latent's windows."""

    def made_by(self, terms: Terms) -> Mapping[str, object]:
        """What marks tokens, how answers are sampled and held to a form, and the model where its
        name does not say which it is.
        """
        return {
            "threshold": terms.settings.threshold,
            "temperature": terms.llm.temperature,
            "json_schema": terms.llm.json_schema,
            **({} if terms.identity is None else {"identity": terms.identity}),
        }

    def request(self, record: LatentRecord, terms: Terms) -> Request:
        """The question about a latent."""
        return Request(
            role="explainer",
            model=terms.settings.explainer_model,
            messages=self.messages(record, terms),
            temperature=terms.llm.temperature,
            max_tokens=terms.llm.max_tokens,
            schema=schema(terms.settings.cot) if terms.llm.json_schema else None,
            identity=terms.identity,
        )

    def read(self, completion: Completion) -> ReadExplanation:
        """The text in an answer, or why there is none."""
        return parse(completion)

    async def explain(self, record: LatentRecord, terms: Terms, ask: Ask) -> Sequence[Candidate]:
        """Ask, read, and give the candidates in the order of `candidates`."""
        reply = await ask(self.request(record, terms), self.read, ReadExplanation.failure_of)
        return [Candidate(reply.result, len(record.train), reply.completion)]


class Instructed(AskedExplainer):
    """An asked explainer whose prompt is instructions, worked examples and a question."""

    question_name: str | None = None
    """The `<name>` of the file `<name>_question.txt` that its question is; None without one."""

    @abstractmethod
    def instructions(self, terms: Terms) -> tuple[Message, ...]:
        """The part of the prompt that is the same for all latents."""

    @abstractmethod
    def question(self, record: LatentRecord, terms: Terms) -> str:
        """The latent's windows as text."""

    def layout(self, terms: Terms) -> Mapping[str, str]:
        """What of the question is the same for all latents and is named by the hash of the prompt
        (`Prompts.layout`).
        """
        return terms.prompts.layout(self.question_name) if self.question_name else {}

    def messages(self, record: LatentRecord, terms: Terms) -> tuple[Message, ...]:
        """The instructions, then the question."""
        return (*self.instructions(terms), Message("user", self.question(record, terms)))

    def prompt_hash(self, terms: Terms) -> str:
        """Hash of the instructions, of the question and of how windows are shown."""
        return hash_of(self.instructions(terms), self.layout(terms))


def hash_of(instructions: Sequence[Message] | str, layout: Mapping[str, str] | None = None) -> str:
    """A `prompt_hash`: changes with the wording, and with how windows are shown (`FORMAT`)."""
    named = [FORMAT, instructions, *([layout] if layout else [])]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]
