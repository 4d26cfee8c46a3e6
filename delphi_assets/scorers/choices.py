"""From a judge's raw answer to the one of several options that it picks.

In: a completion and the number of options. Out: the pick, or the reason why there is none.

1. The number behind the last "answer" counts: `{"answer": 3}`, `Answer: excerpt 3`, behind
   reasoning, in a code fence.
2. Else the text, or its last line, has to hold a single number: `3`, `[3]`, `Excerpt 3.`
3. With log-probabilities, the token that holds the number gives the probability of each option
   among the options that the server tells about.
"""

import json
import math
import re
from typing import NamedTuple

from delphi_assets.llm import failures
from delphi_assets.llm.completions import Completion
from delphi_assets.scorers.answers import no_text

_NAMED = re.compile(
    r"answer\W{0,6}(?:is\W{1,6})?(?:(?:excerpt|description|number|option)\W{1,6})?(\d+)(?![\d.]*\d)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\d.])\d+(?!\.?\d)")


class Pick(NamedTuple):
    """The place of the option that was picked, from 0, or why there is none."""

    option: int | None = None
    probabilities: tuple[float, ...] | None = None
    """Of each option; None where the log-probabilities do not tell."""
    failure: str | None = None


def parse(completion: Completion, count: int) -> Pick:
    """The pick among `count` options that were numbered from 1. Nothing is made up."""
    failure = no_text(completion)
    if failure is not None:
        return Pick(failure=failure)
    text = completion.answer or ""
    found = _find(text)
    if found is None or not 1 <= int(found[0]) <= count:
        if completion.finish_reason == "length":
            return Pick(failure=failures.TRUNCATED)
        refused = found is None and failures.is_refusal(text)
        return Pick(failure=failures.REFUSAL if refused else failures.UNPARSEABLE)
    return Pick(int(found[0]) - 1, _probabilities(completion.logprobs, int(found[0]), count))


def _find(text: str) -> re.Match[str] | None:
    """Where the picked number stands: a match whose text it is."""
    named = list(_NAMED.finditer(text))
    if named:
        return _NUMBER.search(text, named[-1].start(1))
    for start in dict.fromkeys((0, text.rstrip().rfind("\n") + 1)):
        numbers = list(_NUMBER.finditer(text, start))
        if len(numbers) == 1:
            return numbers[0]
    return None


def _probabilities(logprobs: str | None, picked: int, count: int) -> tuple[float, ...] | None:
    """Probabilities of the options at the token that holds the number."""
    if logprobs is None:
        return None
    tokens = json.loads(logprobs)
    found = _find("".join(token["token"] for token in tokens))
    if found is None or int(found[0]) != picked:
        return None
    end = 0
    for token in tokens:
        end += len(token["token"])
        if found.start() < end:
            return _shares(token["top"], count)
    return None


def _shares(top: list[tuple[str, float]], count: int) -> tuple[float, ...] | None:
    mass = [0.0] * count
    for token, logprob in top:
        spelled = token.strip(" \t\r\n[],:\"'{}*")
        if spelled.isdecimal() and 1 <= int(spelled) <= count:
            mass[int(spelled) - 1] += math.exp(logprob)
    whole = sum(mass)
    return tuple(part / whole for part in mass) if whole else None
