"""From a judge's raw answer to the one of several options that it picks.

In: a completion and the number of options. Out: the pick, or the reason why there is none.

1. A number is *stated* behind "answer": `{"answer": 3}`, `Answer: excerpt 3`, behind reasoning, in
   a code fence; or on a last line that holds nothing else: `3`, `[3]`, `Excerpt 3.` What a model
   thinks before `</think>` does not count, nor a number that is no option: how sure a model is
   (`Confidence: 4`), a share (`4/5`, `4 of 5`, `80%`), or how many (`the other 4`, `4 excerpts`).
2. The last one stated is what the text means. Another one that was stated and differs makes it a
   failure, unless only the last one is called the answer, or final, or words between the two take
   the earlier one back (see `llm.answers.contradictions`).
3. Without one stated, the text has to hold a single number, `Excerpt 3 is about food.`, or its last
   line; beside numbers that are no options, one that is called an option. Where another is named
   before the last line (`Excerpt 2 ...`), that is a failure.
4. A text that ends otherwise is a failure: `Answer: 2 or 3`; or by words that take the answer back
   (`Answer: 2. But on reflection, excerpt 4.`); or by a last line that names another option only.
5. With log-probabilities, the token that holds the number gives the probability of each option
   among the options that the server tells about.
"""

import json
import math
import re
from itertools import islice
from typing import NamedTuple

from delphi_assets.llm.answers.contradictions import Statement, holds, mark
from delphi_assets.llm.answers.passages import objects_with, within, without_thoughts
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.scorers.answers.yes_no import no_text

_NAMED = r"(?:excerpt|description|number|option)\W{1,6}"
_OPTION = rf"(?:{_NAMED})?"
_STATED = re.compile(
    rf"answer\W{{0,6}}(?:is\W{{1,6}})?{_OPTION}(?P<number>\d++)(?![\d.]*\d)", re.IGNORECASE
)
_ALONE = re.compile(
    rf"^[ \t>*_`#\[({{$\\]*+(?:boxed\{{|(?:so|thus|final(?:ly)?)\b)?[^\w\n]{{0,6}}{_OPTION}"
    r"(?P<number>\d++)[ \t\r*_`\])}.!$]*+$",
    re.IGNORECASE | re.MULTILINE,
)
_FIELD = re.compile(r"[\"']answer[\"']\s*:", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\d.])(?P<number>\d++)(?!\.?\d)")
_NAMED_OPTION = re.compile(rf"\b{_NAMED}(?P<number>\d++)(?!\.?\d)", re.IGNORECASE)
_OTHER = re.compile(
    rf"[\"'*_`\s}}\]).]*+(?:,|/|&|\bor\b|\band\b)\s*+{_OPTION}(?P<number>\d++)", re.IGNORECASE
)
_TAKEN_BACK = re.compile(
    r"\b(?:actually|wait|no,|on reflection|second thought|correction|instead(?! of)|sorry"
    rf"|changed? my|reconsider).{{0,120}}?(?<![\d.]){_OPTION}(?P<number>\d++)(?!\.?\d)",
    re.IGNORECASE | re.DOTALL,
)
_MEASURED = re.compile(
    r"\b(?:confidence|certainty|probability|likelihood|score|rating|strength|difficulty|scale)\b"
    r"(?:\W{1,4}(?:level|score|rating|is|of|at|about|around|in|this)\b)*[\s*_`\"':=~-]{0,6}\Z"
    r"|\b(?:others?|remaining|all)[ *_]{1,3}\Z|\d ?(?:/|(?:out )?of) ?\Z",
    re.IGNORECASE,
)
"""Before a number that says how much or how many."""
_OF_THEM = re.compile(
    r"[ *_]{0,3}(?:%|percent\b|/ ?\d|(?:out )?of \d"
    r"|(?:other|excerpt|description|option|time)s\b)",
    re.IGNORECASE,
)
"""Behind one."""
_NAME = re.compile(rf"\b{_NAMED}\Z", re.IGNORECASE)
_BEFORE = 50
"""Characters before a number that tell what it is."""
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
    stated = _stated(text)
    if not stated:
        return _only_number(text, count)
    picked = _option(stated[-1], count)
    if picked is None:
        return failures.UNPARSEABLE
    same = [one for one in stated if _option(one, count) == picked]
    last = max(same, key=lambda one: (mark(text, one.start("number")), one.start()))
    others = [_statement(text, one) for one in stated if _option(one, count) != picked]
    if not holds(text, _statement(text, last), others) or _ends_otherwise(text, last, count):
        return failures.CONTRADICTORY
    return _Found(picked, last.start("number"))


def _stated(text: str) -> list[re.Match[str]]:
    """Numbers that are stated to be the answer, in the order of the text."""
    objects = objects_with("answer", text)
    called = [
        match
        for match in _STATED.finditer(text)
        if _FIELD.match(text, match.start() - 1) or not within(objects, match.start())
    ]
    alone = [one for one in _ALONE.finditer(text) if _is_option(text, one)]
    if not alone or alone[-1].start() < _last_line(text):
        return called
    if not called:
        return alone
    return called if called[-1].end() >= alone[-1].end("number") else [*called, alone[-1]]


def _last_line(text: str) -> int:
    """Where the last line begins that is not blank."""
    return text.rstrip().rfind("\n") + 1


def _statement(text: str, match: re.Match[str]) -> Statement:
    return Statement(match.start(), match.end(), mark(text, match.start("number")))


def _is_option(text: str, number: re.Match[str]) -> bool:
    """Whether a number may be that of an option; else it says how much or how many."""
    if _is_named(text, number):
        return True
    measured = _MEASURED.search(_before(text, number)) is not None
    return not measured and _OF_THEM.match(text, number.end("number")) is None


def _is_named(text: str, number: re.Match[str]) -> bool:
    """Whether a number is called that of an option: `excerpt 3`."""
    return _NAME.search(_before(text, number)) is not None


def _ends_otherwise(text: str, stated: re.Match[str], count: int) -> bool:
    """Whether another option than the one stated is named behind it, as the pick."""
    end, ending = stated.end(), _last_line(text)
    said = [other] if (other := _OTHER.match(text, end)) is not None else []
    taken_back = _TAKEN_BACK.search(text, end)
    if taken_back is not None and _is_option(text, taken_back):
        said.append(taken_back)
    options = _first_options(text, ending) if ending >= end else []
    if len(options) == 1:
        said += options
    return any(_option(one, count) not in (None, _option(stated, count)) for one in said)


def _first_options(text: str, start: int) -> list[re.Match[str]]:
    """The first two numbers from `start` on that may be those of options; more tell no more."""
    options = (one for one in _NUMBER.finditer(text, start) if _is_option(text, one))
    return list(islice(options, 2))


def _only_number(text: str, count: int) -> _Found | str:
    """The single number of a text, or of its last line."""
    for start in dict.fromkeys((0, _last_line(text))):
        options = _first_options(text, start)
        if len(options) != 1:
            continue
        # Beside other numbers, one has to be called an option.
        alone = len(list(islice(_NUMBER.finditer(text, start), 2))) == 1
        if not alone and not _is_named(text, options[0]):
            continue
        if not _DENIED.search(_before(text, options[0])):
            return _unless_another_is_named(text, start, options[0], count)
    return failures.REFUSAL if failures.is_refusal(text) else failures.UNPARSEABLE


def _unless_another_is_named(
    text: str, end: int, number: re.Match[str], count: int
) -> _Found | str:
    """The option of `number`; a failure where the text before `end` names another one."""
    picked = _option(number, count)
    if picked is None:
        return failures.UNPARSEABLE
    named = [_option(one, count) for one in _NAMED_OPTION.finditer(text, 0, end)]
    if any(option not in (None, picked) for option in named):
        return failures.CONTRADICTORY
    return _Found(picked, number.start())


def _before(text: str, number: re.Match[str]) -> str:
    start = number.start("number")
    return text[max(0, start - _BEFORE) : start]


def _option(stated: re.Match[str], count: int) -> int | None:
    """The option that a number names, from 0; None where there is none of that number."""
    return _place(stated["number"], count)


def _place(number: str, count: int) -> int | None:
    # Of more digits than any option has, a number may be too long to read.
    if len(number) > len(str(count)) or not 1 <= int(number) <= count:
        return None
    return int(number) - 1


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
        if spelled.isdecimal() and (option := _place(spelled, count)) is not None:
            mass[option] += math.exp(logprob)
    whole = sum(mass)
    return tuple(part / whole for part in mass) if whole else None
