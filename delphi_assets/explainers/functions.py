"""Explainers of one's own: a function makes the text, or the messages for an LLM.

In: a function of a latent's record, whose windows are the train windows; or texts by latent. Out:
an `Explainer`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from delphi_assets.errors import DataError
from delphi_assets.explainers.explainer import (
    AskedExplainer,
    ComputedExplainer,
    NoTextError,
    hash_of,
)
from delphi_assets.explainers.terms import Terms
from delphi_assets.ground.shown_values import shown
from delphi_assets.llm.calls.requests import Message
from delphi_assets.reading.records import LatentRecord


class FunctionExplainer(ComputedExplainer):
    """`function(record)` is the explanation. Another `version` makes its explanations others."""

    text_counts = True

    def __init__(self, function: Callable[[LatentRecord], Any], version: str = "1") -> None:
        self._function, self._version = function, version

    def prompt_hash(self, terms: Terms) -> str:
        """The version."""
        return f"version {self._version}"

    def open(self, terms: Terms) -> Callable[[LatentRecord], str]:
        """The function itself; a `LookupError`, None and NaN mean that it has no text.

        Raises `DataError` naming the latent for another error of the function, or what is no text.
        """
        name = terms.settings.explainer
        return lambda record: self._text(name, record)

    def _text(self, name: str, record: LatentRecord) -> str:
        try:
            text = self._function(record)
        except LookupError as error:
            raise NoTextError(f"{type(error).__name__}: {error}") from error
        except Exception as error:
            # A function of one's own may raise anything.
            raise DataError(
                f"the explainer {name!r} failed at latent {record.latent}: "
                f"{type(error).__name__}: {error}; mend it and explain again. Texts that it gave "
                "before are stored."
            ) from error
        if text is None or (isinstance(text, float) and math.isnan(text)):
            raise NoTextError(f"it gave {text}")
        if not isinstance(text, str):
            raise DataError(
                f"the explainer {name!r} gave {shown(text)} for latent {record.latent}; expected "
                "a text, or None where it has none."
            )
        return text


def of_texts(texts: Mapping[int, str], version: str = "1") -> FunctionExplainer:
    """The explainer whose texts are there already, by latent."""
    return FunctionExplainer(lambda record: texts[record.latent], version)


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
