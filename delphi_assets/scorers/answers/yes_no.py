"""From a judge's raw answer to one yes or no an item, with probabilities where there are any.

In: a completion and the number of items. Out: answers, or the reason why there are none.

1. Lists of answers are looked for anywhere in the text, in brackets: `{"answers": [1, 0]}`,
   `[true, false]`, behind reasoning, in a code fence, over several lines. A text or last line that
   is nothing but `1, 0, 1` counts as well. What a model thinks before `</think>` does not, nor
   what it calls a draft or denies, nor the number of an excerpt (`Excerpt [1]`).
2. Answers may also be numbered from 1 on: `1. yes`, `Excerpt 2: 0`, `{"3": true}`. An answer that
   goes on in words is none: "2: no doubt" is no "no". They count where no list fits.
3. The last statement with as many answers as items is what the text means. Another one that fits
   and differs makes it a failure, unless the last one is the only one called the answer (under the
   asked-for name "answers", or in words before it) or the only one called final, or words between
   the two take the earlier one back (see `llm.answers.contradictions`). So a list for another case
   ("were the label broader, it would be [1, 1]"), an example or a quotation is never read as the
   answer.
4. An answer to a single item that follows and differs makes it a failure, too, and so does a list
   of another length that follows and is called the answer, or that stands side by side with it.
5. With log-probabilities, the token that holds each answer gives P(1) / (P(0) + P(1)), summed over
   the spellings of 0 and 1 among its alternatives (" 1", "true").
"""

import json
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from delphi_assets.llm.answers.contradictions import Mark, Statement, holds, mark
from delphi_assets.llm.answers.passages import (
    are_joined,
    is_thinking,
    objects_with,
    within,
    without_thoughts,
)
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion

_WORD = r"(?:[01](?!\.?\d)|true\b|false\b|yes\b|no\b)"
_ANSWER = rf"(?:{_WORD}|\"{_WORD}\"|'{_WORD}')"
# `++` and `*+` give nothing back: white space is read once, however long it is.
_SEQUENCE = rf"\s*+{_ANSWER}\s*+(?:,\s*+{_ANSWER}\s*+)*(?:,\s*+)?"
_SPACED = rf"\s*+{_ANSWER}(?:\s*+(?:,\s*+|(?<=\s)){_ANSWER})*[\s,.]*+"
_LIST = re.compile(
    rf"(?P<name>[\"']answers[\"']\s*+:\s*+)?\[(?P<answers>{_SEQUENCE})\]", re.IGNORECASE
)
_BARE = re.compile(
    rf"\s*+(?P<name>(?:final )?answers?\s*+:)?(?P<answers>{_SPACED})\Z", re.IGNORECASE
)
_NUMBERED = re.compile(
    r"(?<![\w.])(\d{1,9})(?!\d)[\"'*\])]*(?:\s*+(?::|=|->|→|[–—-])\s*+|[.)]\s++|\s++)"
    rf"[\"'*\[(]*+\s*+({_WORD})(?=[\"'*\])]*+[ \t]*+(?:$|[,.;:)}}\](*\n–—-]))",
    re.IGNORECASE,
)
_ONE = re.compile(_ANSWER, re.IGNORECASE)
_DECORATION = " \t\r\n*_`\"'{([\\$>"
_ANNOUNCED = re.compile(r"(?:[:=]|->|→|\b(?:is|are|be|so|thus))\Z", re.IGNORECASE)
_DRAFT = re.compile(
    r"\b(?:draft|initial\w*|original\w*|earlier|previous\w*"
    r"|first (?:thought|guess|idea|answer|attempt|try|pass|impression))\b[^\n\[\].!?;]{0,25}\Z"
    r"|\b(?:not|maybe|perhaps|instead of|rather than)[\s*_`]*\Z",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"(?:\b(?:excerpt|example|item|window|text|number|no\.?)s?|#)[\s*_`]*\Z", re.IGNORECASE
)
_BEFORE = 60
"""Characters before a list that tell what it is."""
_LINE_BEFORE = re.compile(r"(?:\A|\n)[ \t\r*_`>#.$-]*\Z")
_LINE_BEHIND = re.compile(r"[ \t\r*_`>#.$-]*+(?:\n|\Z)")
_FENCE = re.compile(r"```[a-z]*", re.IGNORECASE)
_SPELLINGS = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


class Answers(NamedTuple):
    """One answer an item, or the code of the reason why there are none (see
    `llm.calls.failures`).
    """

    predictions: tuple[bool, ...] | None
    probabilities: tuple[float | None, ...] | None
    failure: str | None


class _Found(NamedTuple):
    """Answers with the places in the text at which they stand."""

    predictions: tuple[bool, ...]
    places: tuple[int, ...]
    statement: Statement
    stated: bool = True
    """Given as the answer, not just mentioned."""

    @property
    def start(self) -> int:
        """Where in the text it begins."""
        return self.statement.start

    @property
    def end(self) -> int:
        """Where in the text it ends."""
        return self.statement.end


def parse(completion: Completion, count: int) -> Answers:
    """The answers to `count` items, or why there are none. Nothing is made up."""
    failure = no_text(completion)
    if failure is not None:
        return Answers(None, None, failure)
    text = completion.answer or ""
    found = _find(text, count)
    if completion.finish_reason == "length" and (isinstance(found, str) or _is_cut(text, found)):
        found = failures.TRUNCATED
    if isinstance(found, str):
        return Answers(None, None, found)
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
    """The answers in `text`, or the code of a failure."""
    text = without_thoughts(text)
    lists, numbered = _lists(text), _numbered(text)
    fitting = [found for found in lists if len(found.predictions) == count]
    runs = [found for found in numbered if len(found.predictions) == count]
    if fitting:
        return _uncontradicted(text, _plainest(fitting), lists, runs)
    if numbered and runs and runs[-1] is numbered[-1]:
        return _uncontradicted(text, runs[-1], lists, runs)
    if lists or numbered:
        return failures.WRONG_COUNT
    return failures.REFUSAL if failures.is_refusal(text) else failures.UNPARSEABLE


def _plainest(found: Sequence[_Found]) -> _Found:
    """Of those that say the same as the last one, what is called the answer most plainly."""
    meant = [one for one in found if one.predictions == found[-1].predictions]
    return max(meant, key=lambda one: (one.statement.mark, one.stated, one.start))


def _uncontradicted(
    text: str, found: _Found, lists: Sequence[_Found], runs: Sequence[_Found]
) -> _Found | str:
    """`found`, or the code of a failure where the text says something else as well."""
    count = len(found.predictions)
    differing = [other for other in (*lists, *runs) if other.predictions != found.predictions]
    same_count = [other.statement for other in differing if len(other.predictions) == count]
    if not holds(text, found.statement, (one for one in same_count if not _overlaps(one, found))):
        return failures.CONTRADICTORY
    for other in lists:
        if other.predictions == found.predictions:
            continue
        if other.start >= found.end and other.statement.mark is not Mark.NONE:
            return failures.WRONG_COUNT
        if other.end <= found.start and are_joined(text, other.end, found.start):
            return failures.CONTRADICTORY
    for single in _NUMBERED.finditer(text, found.end):
        item = int(single[1])
        if 1 <= item <= count and found.predictions[item - 1] != _SPELLINGS[single[2].lower()]:
            return failures.CONTRADICTORY
    return found


def _overlaps(other: Statement, found: _Found) -> bool:
    return other.start < found.end and found.start < other.end


def _is_cut(text: str, found: _Found) -> bool:
    """Whether an answer that ends too early may hold a draft only."""
    closed = text[found.end - 1] == "]" and found.stated
    return is_thinking(text) or not closed or re.search(r"[\[{]", text[found.end :]) is not None


def _lists(text: str) -> list[_Found]:
    """Lists in brackets, and the answers that the text or its last line holds alone, in order."""
    objects = objects_with("answers", text)
    found = []
    for match in _LIST.finditer(text):
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        if match["name"] is None and (
            within(objects, match.start())
            or (_ONE.fullmatch(match["answers"].strip()) and _REFERENCE.search(before))
            or _DRAFT.search(before)
        ):
            continue
        announced = _ANNOUNCED.search(before.rstrip(_DECORATION)) is not None
        called = max(mark(text, match.start()), Mark.ANSWER if match["name"] else Mark.NONE)
        stated = called is not Mark.NONE or announced or _is_alone(text, match, before)
        found.append(_found(match, called, stated))
    return [*found, *(one for one in _bare(text) if not found or one.start >= found[-1].end)]


def _is_alone(text: str, match: re.Match[str], before: str) -> bool:
    """Whether the lines that hold the list hold nothing else."""
    is_first = match.start() <= _BEFORE
    begins = _LINE_BEFORE.search(before if is_first else f".{before}") is not None
    return begins and _LINE_BEHIND.match(text, match.end()) is not None


def _found(match: re.Match[str], called: Mark, stated: bool = True) -> _Found:
    start, part = match.start("answers"), match["answers"]
    answers = list(_ONE.finditer(part))
    return _Found(
        tuple(_SPELLINGS[answer[0].strip("\"'").lower()] for answer in answers),
        tuple(start + answer.start() + (answer[0][0] in "\"'") for answer in answers),
        Statement(match.start(), match.end(), called),
        stated,
    )


def _bare(text: str) -> list[_Found]:
    """Answers without brackets, when the text or its last line holds nothing else."""
    plain = _FENCE.sub(lambda fence: " " * len(fence[0]), text)
    line_start = plain.rstrip().rfind("\n") + 1
    for start in dict.fromkeys((0, line_start)):
        if match := _BARE.match(plain, start):
            named = Mark.ANSWER if match["name"] else Mark.NONE
            return [_found(match, max(mark(text, match.start("answers")), named))]
    return []


def _numbered(text: str) -> list[_Found]:
    """Runs of answers numbered from 1 on."""
    runs: list[list[re.Match[str]]] = []
    for match in _NUMBERED.finditer(text):
        if int(match[1]) == 1:
            runs.append([])
        if runs and int(match[1]) == len(runs[-1]) + 1:
            runs[-1].append(match)
    return [
        _Found(
            tuple(_SPELLINGS[match[2].lower()] for match in run),
            tuple(match.start(2) for match in run),
            Statement(run[0].start(), run[-1].end(), Mark.NONE),
        )
        for run in runs
    ]


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
