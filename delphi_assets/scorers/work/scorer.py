"""What a scorer is: the items it makes of a latent's windows, and the judge they are put to.

A `Scorer` says what is asked, its judge who answers and how:

- an `Asked` judge is an LLM: it turns a few items into a `Request`, and the `Completion` that comes
  back into an `Answer` an item;
- a `Computed` judge answers here, all items of a latent at once: by counting, with a sentence
  encoder, with a model in memory.

The stage predictions knows no scorer by name: it makes the items, skips what is answered, puts the
rest to the judge and writes the rows. `registry` says how a scorer gets its name.
"""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Request
from delphi_assets.prompts import Prompts
from delphi_assets.reading.records import LatentRecord
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item

SHUFFLED, EMPTY = "shuffled", "empty"
NOT_FINITE = "not_finite"
"""The failure of a computed judge whose model gave no finite number."""

I = TypeVar("I", bound=Item)  # noqa: E741 - an item


class Answer(NamedTuple):
    """What a judge says to one item: at least one of the fields is given."""

    prediction: bool | None = None
    probability: float | None = None
    """Of the answer true, from 0 to 1."""
    value: float | None = None
    """Any other score; higher is more like the truth."""
    simulated: tuple[float, ...] | None = None
    """The activation expected on each token of the window."""
    failure: str | None = None
    """Why there is no answer: a code of `llm.calls.failures`, or the judge's own."""


class Windows(NamedTuple):
    """How many windows a latent has for the scorers."""

    n_test: int
    n_non_activating: int


class Judge(ABC, Generic[I]):
    """Who answers. Use one of the two kinds below."""

    reads_prompts = False
    """Whether `Scoring.prompts` are part of what it asks, so that their version is to be kept."""

    @property
    @abstractmethod
    def model(self) -> str:
        """The judge's name in the table predictions: a model string, or `lexical`."""

    @property
    @abstractmethod
    def judge_hash(self) -> str:
        """Names how it is asked; answers to other questions are not to be mixed with its own.

        Everything that changes a question or how it is answered belongs in it (`hash_of`), but for
        the latent, the explanation and the windows.
        """

    def hash_for(self, explained: Explained) -> str:
        """`judge_hash` of the questions about this explanation: another one where they depend on
        more than it, such as other explanations that it is shown with.
        """
        return self.judge_hash

    def reads(self, explained: Explained) -> bool:
        """Whether the judge can make sense of this explanation; others are left out."""
        return True


class Asked(Judge[I]):
    """A judge that is an LLM."""

    reads_prompts = True

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Most items in a question."""

    @abstractmethod
    def request(self, explained: Explained, items: Sequence[I]) -> Request:
        """The question about these items."""

    @abstractmethod
    def read(self, completion: Completion, items: Sequence[I]) -> Sequence[Answer]:
        """An answer an item, in their order; a failed completion is a failure of each."""


class Computed(Judge[I]):
    """A judge that answers without an LLM's endpoint."""

    @abstractmethod
    def answer(self, explained: Explained, items: Sequence[I]) -> Sequence[Answer]:
        """An answer an item, in their order. `items` are all that the scorer made of a latent."""


@dataclass(frozen=True)
class Scorer(Generic[I]):
    """One scorer, made for one `Scoring`."""

    name: str
    """As in the table predictions."""
    items: Callable[[LatentRecord, Explained], Sequence[I]]
    """What is put to the judge. The same each time it is asked: questions are cut from it."""
    n_items: Callable[[Windows], int]
    """How many items that makes at most, told without reading the windows."""
    judge: Asked[I] | Computed[I]
    needs_explanation: bool = True
    """Without it, a latent is judged once, under the explanation_id `none`."""
    controls: tuple[str, ...] = (SHUFFLED, EMPTY)
    """Floors that make sense for it; none for a scorer that needs no explanation."""
    prompts: Prompts | None = None
    """What its judge reads, in the version that is kept; filled in by the stage."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Its own options that are not as declared; filled in by the registry."""

    def hash_for(self, explained: Explained) -> str:
        """The judge's hash of its questions about this explanation, with `options` if any are."""
        judge_hash = self.judge.hash_for(explained)
        return hash_of(judge=judge_hash, options=self.options) if self.options else judge_hash


def hash_of(**asked: object) -> str:
    """A `judge_hash` of everything named."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def failures_of(failure: str, items: Sequence[Item]) -> list[Answer]:
    """The same failure for each item."""
    return [Answer(failure=failure)] * len(items)


def valued(value: float) -> Answer:
    """The answer that is a value, or a failure where it is not finite."""
    return Answer(value=value) if math.isfinite(value) else Answer(failure=NOT_FINITE)
