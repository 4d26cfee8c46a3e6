"""From a judge's raw answer to the one of several options that it picks.

In: a completion and the number of options. Out: the pick, or the reason why there is none.

1. A number is *stated* behind "answer": `{"answer": 3}`, `Answer: excerpt 3`, behind reasoning, in
   a code fence; or on a last line that holds nothing else: `3`, `[3]`, `Excerpt 3.` The last one
   stated counts. What a model thinks before `</think>` does not.
2. Without one, the text, or its last line, has to hold a single number: `Excerpt 3 is about food.`
3. A text that says two things is a failure: `Answer: 2 or 3`, or one that ends otherwise, by words
   that take the answer back (`Answer: 2. But on reflection, excerpt 4.`) or by a last line that
   names another option only.
4. With log-probabilities, the token that holds the number gives the probability of each option
   among the options that the server tells about.
"""

import json
import math
import re
from typing import NamedTuple

from delphi_assets.llm import failures
from delphi_assets.llm.completions import Completion
from delphi_assets.llm.statements import objects_with, without_thoughts
from delphi_assets.scorers.answers import no_text

_OPTION = r"(?:(?:excerpt|description|number|option)\W{1,6})?"
_STATED = re.compile(
    rf"answer\W{{0,6}}(?:is\W{{1,6}})?{_OPTION}(\d+)(?![\d.]*\d)"
    rf"|^[\s>*_`#\[({{]*(?:so|thus|final(?:ly)?)?\W{{0,6}}{_OPTION}(\d+)[\s*_`\])}}.!]*\Z",
    re.IGNORECASE | re.MULTILINE,
)
_FIELD = re.compile(r"[\"']answer[\"']\s*:", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\d.])\d+(?!\.?\d)")
_OTHER = re.compile(rf"[\"'*_`\s}}\]).]*(?:,|/|&|\bor\b|\band\b)\s*{_OPTION}(\d+)", re.IGNORECASE)
_TAKEN_BACK = re.compile(
    r"\b(?:actually|wait|no,|on reflection|second thought|correction|instead(?! of)|sorry"
    rf"|changed? my|reconsider).{{0,120}}?(?<![\d.]){_OPTION}(\d+)(?!\.?\d)",
    re.IGNORECASE | re.DOTALL,
)
_CLOSED = re.compile(r"\d+[\"']?\s*\}")
_DENIED = re.compile(r"(?:\bnot|n['’]t)\W{0,6}(?:\w+\W{1,6})?\Z", re.IGNORECASE)


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
    found = _find(text, count)
    # Cut off, a text may hold a draft only, or the first digit.
    if completion.finish_reason == "length" and (
        isinstance(found, str) or not _CLOSED.match(text, found.place)
    ):
        found = failures.TRUNCATED
    if isinstance(found, str):
        return Pick(failure=found)
    return Pick(found.option, _probabilities(completion.logprobs, found.option, count))


class _Found(NamedTuple):
    """An option, from 0, and where the text names it."""

    option: int
    place: int


def _find(text: str, count: int) -> _Found | str:
    """The pick in `text`, or the code of a failure."""
    text = without_thoughts(text)
    objects = list(objects_with("answer", text))
    stated = [
        match
        for match in _STATED.finditer(text)
        if _FIELD.match(text, match.start() - 1)
        or not any(match.start() in span for span in objects)
    ]
    if not stated:
        return _only_number(text, count)
    last = stated[-1]
    group = 1 if last[1] is not None else 2
    found = _of(last[group], last.start(group), count)
    if isinstance(found, str):
        return found
    ending = text.rstrip().rfind("\n") + 1
    others = [_OTHER.match(text, last.end()), _TAKEN_BACK.search(text, last.end())]
    said = [other[1] for other in others if other is not None]
    if ending >= last.end() and len(numbers := _NUMBER.findall(text, ending)) == 1:
        said += numbers
    if any(
        isinstance(_of(number, 0, count), _Found) and int(number) - 1 != found.option
        for number in said
    ):
        return failures.CONTRADICTORY
    return found


def _only_number(text: str, count: int) -> _Found | str:
    """The single number of a text, or of its last line."""
    for start in dict.fromkeys((0, text.rstrip().rfind("\n") + 1)):
        numbers = list(_NUMBER.finditer(text, start))
        if len(numbers) == 1 and not _DENIED.search(text[: numbers[0].start()]):
            return _of(numbers[0][0], numbers[0].start(), count)
    return failures.REFUSAL if failures.is_refusal(text) else failures.UNPARSEABLE


def _of(number: str, place: int, count: int) -> _Found | str:
    # Of more digits than any option has, a number may be too long to read.
    if len(number) > len(str(count)) or not 1 <= int(number) <= count:
        return failures.UNPARSEABLE
    return _Found(int(number) - 1, place)


def _probabilities(logprobs: str | None, picked: int, count: int) -> tuple[float, ...] | None:
    """Probabilities of the options at the token that holds the number."""
    if logprobs is None:
        return None
    tokens = json.loads(logprobs)
    found = _find("".join(token["token"] for token in tokens), count)
    if isinstance(found, str) or found.option != picked:
        return None
    end = 0
    for token in tokens:
        end += len(token["token"])
        if found.place < end:
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
