"""Explainers of one's own: a function makes the text, or the messages for an LLM.

In: a function of a latent's record, whose windows are the train windows. Out: an `Explainer`.
"""

from collections.abc import Callable, Sequence

from delphi_assets.explainers.explainer import AskedExplainer, ComputedExplainer, hash_of
from delphi_assets.explainers.terms import Terms
from delphi_assets.llm.calls.requests import Message
from delphi_assets.reading.records import LatentRecord


class FunctionExplainer(ComputedExplainer):
    """`function(record)` is the explanation. Another `version` makes its explanations others."""

    def __init__(self, function: Callable[[LatentRecord], str], version: str = "1") -> None:
        self._function, self._version = function, version

    def prompt_hash(self, terms: Terms) -> str:
        """The version."""
        return f"version {self._version}"

    def open(self, terms: Terms) -> Callable[[LatentRecord], str]:
        """The function itself."""
        return self._function


class PromptExplainer(AskedExplainer):
    """`function(record, terms)` gives the messages for the LLM `explain.explainer_model`.

    They have to ask for the explanation behind `[EXPLANATION]:`, or in a JSON object's field
    "explanation". Another `version` makes its explanations others.
    """

    def __init__(
        self, function: Callable[[LatentRecord, Terms], Sequence[Message]], version: str = "1"
    ) -> None:
        self._function, self._version = function, version

    def messages(self, record: LatentRecord, terms: Terms) -> tuple[Message, ...]:
        """What the function gives."""
        return tuple(self._function(record, terms))

    def prompt_hash(self, terms: Terms) -> str:
        """Hash of the version: only the function knows its instructions."""
        return hash_of(f"version {self._version}")
