"""The prompts, as package data: instructions as .txt, worked examples as .toml.

Everything fixed comes first in a prompt, so that the caches of providers apply from one latent to
the next.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple


class ExplainerCase(NamedTuple):
    """A worked example for the explainer."""

    windows: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    """Highlighted text of each window, and its (token, 0-10) pairs."""
    reasoning: str
    explanation: str


class ScorerCase(NamedTuple):
    """A worked example for a scorer."""

    explanation: str
    windows: tuple[str, ...]
    answers: tuple[int, ...]


@cache
def text(name: str) -> str:
    """Instructions `<name>.txt`."""
    return (files(__package__) / f"{name}.txt").read_text(encoding="utf-8").strip()


@cache
def explainer_cases() -> tuple[ExplainerCase, ...]:
    """Worked examples of `explainer.toml`."""
    return tuple(
        ExplainerCase(
            tuple(
                (window["text"], tuple((token, value) for token, value in window["activations"]))
                for window in case["windows"]
            ),
            case["reasoning"].strip(),
            case["explanation"],
        )
        for case in _toml("explainer")
    )


@cache
def scorer_cases(scorer: str) -> tuple[ScorerCase, ...]:
    """Worked examples of `<scorer>.toml`."""
    return tuple(
        ScorerCase(case["explanation"], tuple(case["windows"]), tuple(case["answers"]))
        for case in _toml(scorer)
    )


def _toml(name: str) -> list[dict[str, Any]]:
    raw = (files(__package__) / f"{name}.toml").read_text(encoding="utf-8")
    cases: list[dict[str, Any]] = tomllib.loads(raw)["case"]
    return cases
