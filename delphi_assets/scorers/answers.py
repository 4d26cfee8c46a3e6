"""From a judge's raw answer to one yes or no an item, with probabilities where there are any.

In: a completion and the number of items. Out: answers, or the reason why there are none.

1. Lists of answers are looked for anywhere in the text, in brackets: `{"answers": [1, 0]}`,
   `[true, false]`, behind reasoning, in a code fence, over several lines. A text or last line that
   is nothing but `1, 0, 1` counts as well.
2. A list under the asked-for name "answers" beats any other, the last one if there are several;
   else the first list with as many answers as items is taken.
3. Without any list, answers may be numbered from 1 on: `1. yes`, `Excerpt 2: 0`, `{"3": true}`. The
   last such run counts. An answer that goes on in words is none: "2: no doubt" is no "no".
4. With log-probabilities, the token that holds each answer gives P(1) / (P(0) + P(1)), summed over
   the spellings of 0 and 1 among its alternatives (" 1", "true").
"""

import json
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from delphi_assets.llm import failures
from delphi_assets.llm.completions import Completion

_WORD = r"(?:[01](?!\.?\d)|true\b|false\b|yes\b|no\b)"
_ANSWER = rf"(?:{_WORD}|\"{_WORD}\"|'{_WORD}')"
_SEQUENCE = rf"\s*{_ANSWER}\s*(?:,\s*{_ANSWER}\s*)*,?\s*"
_SPACED = rf"\s*{_ANSWER}(?:(?:\s*,\s*|\s+){_ANSWER})*[\s,.]*"
_NAMED = re.compile(rf"[\"']answers[\"']\s*:\s*\[({_SEQUENCE})\]", re.IGNORECASE)
_LIST = re.compile(rf"\[({_SEQUENCE})\]", re.IGNORECASE)
_BARE = re.compile(rf"\A(?:answers?\s*:)?({_SPACED})\Z", re.IGNORECASE)
_NUMBERED = re.compile(
    rf"(?<![\w.])(\d+)[\"'*\])]*(?:\s*(?::|=|->|→|[–—-])\s*|[.)]\s+|\s+)[\"'*\[(]*\s*({_WORD})"
    r"(?=[\"'*\])]*[ \t]*(?:$|[,.;:)}\](*\n–—-]))",
    re.IGNORECASE,
)
_ONE = re.compile(_ANSWER, re.IGNORECASE)
_FENCE = re.compile(r"```[a-z]*", re.IGNORECASE)
_SPELLINGS = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


class Answers(NamedTuple):
    """One answer an item, or the code of the reason why there are none (see `llm.failures`)."""

    predictions: tuple[bool, ...] | None
    probabilities: tuple[float | None, ...] | None
    failure: str | None


class _Found(NamedTuple):
    """Answers with the places in the text at which they stand."""

    predictions: tuple[bool, ...]
    places: tuple[int, ...]


def parse(completion: Completion, count: int) -> Answers:
    """The answers to `count` items, or why there are none. Nothing is made up."""
    failure = no_text(completion)
    if failure is not None:
        return Answers(None, None, failure)
    found = _find(completion.answer or "", count)
    if isinstance(found, str):
        cut = completion.finish_reason == "length"
        return Answers(None, None, failures.TRUNCATED if cut else found)
    return Answers(found.predictions, _probabilities(completion.logprobs, found), None)


def no_text(completion: Completion) -> str | None:
    """Why there is no text to read at all; None where there is."""
    finish = completion.finish_reason
    if completion.failure is not None or finish in (failures.CONTENT_FILTER, failures.REFUSAL):
        return completion.failure or finish
    if (completion.answer or "").strip():
        return None
    return failures.TRUNCATED if finish == "length" else failures.EMPTY


def _find(text: str, count: int) -> _Found | str:
    """The list of answers in `text`, or the code of a failure."""
    named = [_found(match) for match in _NAMED.finditer(text)]
    if named:
        return named[-1] if len(named[-1].predictions) == count else failures.WRONG_COUNT
    lists = [_found(match) for match in _LIST.finditer(text)] or _bare(text) or _numbered(text)
    fitting = [found for found in lists if len(found.predictions) == count]
    if fitting:
        return fitting[0]
    if lists:
        return failures.WRONG_COUNT
    return failures.REFUSAL if failures.is_refusal(text) else failures.UNPARSEABLE


def _found(match: re.Match[str]) -> _Found:
    start = match.start(1)
    answers = list(_ONE.finditer(match[1]))
    return _Found(
        tuple(_SPELLINGS[answer[0].strip("\"'").lower()] for answer in answers),
        tuple(start + answer.start() + (answer[0][0] in "\"'") for answer in answers),
    )


def _bare(text: str) -> list[_Found]:
    """Answers without brackets, when the text or its last line holds nothing else."""
    plain = _FENCE.sub(lambda fence: " " * len(fence[0]), text)
    line_start = plain.rstrip().rfind("\n") + 1
    for start in dict.fromkeys((0, line_start)):
        blank = " " * start + plain[start:]
        if match := _BARE.match(blank):
            return [_found(match)]
    return []


def _numbered(text: str) -> list[_Found]:
    """The last run of answers numbered from 1 on."""
    run: list[re.Match[str]] = []
    for match in _NUMBERED.finditer(text):
        if int(match[1]) == 1:
            run = []
        if int(match[1]) == len(run) + 1:
            run.append(match)
    if not run:
        return []
    answers = tuple(_SPELLINGS[match[2].lower()] for match in run)
    return [_Found(answers, tuple(match.start(2) for match in run))]


def _probabilities(logprobs: str | None, found: _Found) -> tuple[float | None, ...] | None:
    """P(1) / (P(0) + P(1)) at each answer's token; None where the tokens do not tell."""
    if logprobs is None:
        return None
    tokens = json.loads(logprobs)
    text = "".join(token["token"] for token in tokens)
    again = _find(text, len(found.predictions))
    if isinstance(again, str) or again.predictions != found.predictions:
        return None
    ends, total = [], 0
    for token in tokens:
        total += len(token["token"])
        ends.append(total)
    holders = [next(i for i, end in enumerate(ends) if place < end) for place in again.places]
    return tuple(
        probability(tokens[holder]["top"]) if holders.count(holder) == 1 else None
        for holder in holders
    )


def probability(top: Sequence[tuple[str, float]]) -> float | None:
    """P(1) / (P(0) + P(1)) from (token, log-probability) pairs; None when neither is among them."""
    mass = {False: 0.0, True: 0.0}
    for token, logprob in top:
        spelled = token.strip(" \t\r\n[],:\"'").lower()
        if spelled in _SPELLINGS:
            mass[_SPELLINGS[spelled]] += math.exp(logprob)
    whole = mass[False] + mass[True]
    return mass[True] / whole if whole else None
