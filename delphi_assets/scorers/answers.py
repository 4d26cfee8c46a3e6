"""From a judge's raw answer to one yes or no an item, with probabilities where there are any.

In: a completion and the number of items. Out: answers, or the reason why there are none.

1. Lists of answers are looked for anywhere in the text, in brackets: `{"answers": [1, 0]}`,
   `[true, false]`, behind reasoning, in a code fence, over several lines. A text or last line that
   is nothing but `1, 0, 1` counts as well. What a model thinks before `</think>` does not, nor
   what it calls a draft, nor the number of an excerpt (`Excerpt [1]`).
2. A list is *stated* when it has the asked-for name "answers", a line of its own, or words before
   it that announce it (`Final: [1, 0]`); else it is mentioned. The last one stated with as many
   answers as items counts; where none is stated, the last one mentioned.
3. Without such a list, answers may be numbered from 1 on: `1. yes`, `Excerpt 2: 0`, `{"3": true}`.
   The last such run counts. An answer that goes on in words is none: "2: no doubt" is no "no".
4. A text that says two things is a failure: when another list, or an answer to a single item,
   follows the one that counts and differs from it; or when two that differ stand side by side
   (`[1, 0] or [0, 1]`).
5. With log-probabilities, the token that holds each answer gives P(1) / (P(0) + P(1)), summed over
   the spellings of 0 and 1 among its alternatives (" 1", "true").
"""

import json
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from delphi_assets.llm import failures
from delphi_assets.llm.completions import Completion
from delphi_assets.llm.statements import are_joined, is_thinking, objects_with, without_thoughts

_WORD = r"(?:[01](?!\.?\d)|true\b|false\b|yes\b|no\b)"
_ANSWER = rf"(?:{_WORD}|\"{_WORD}\"|'{_WORD}')"
_SEQUENCE = rf"\s*{_ANSWER}\s*(?:,\s*{_ANSWER}\s*)*,?\s*"
_SPACED = rf"\s*{_ANSWER}(?:(?:\s*,\s*|\s+){_ANSWER})*[\s,.]*"
_LIST = re.compile(rf"(?P<name>[\"']answers[\"']\s*:\s*)?\[({_SEQUENCE})\]", re.IGNORECASE)
_BARE = re.compile(rf"\A\s*(?:(?:final )?answers?\s*:)?({_SPACED})\Z", re.IGNORECASE)
_NUMBERED = re.compile(
    rf"(?<![\w.])(\d+)[\"'*\])]*(?:\s*(?::|=|->|→|[–—-])\s*|[.)]\s+|\s+)[\"'*\[(]*\s*({_WORD})"
    r"(?=[\"'*\])]*[ \t]*(?:$|[,.;:)}\](*\n–—-]))",
    re.IGNORECASE,
)
_ONE = re.compile(_ANSWER, re.IGNORECASE)
_DECORATION = r"[\s*_`\"'{(\[\\$>]*"
_FINAL = re.compile(rf"\b(?:final\w*|answers?)\b[^\n\[\]]{{0,20}}?{_DECORATION}\Z", re.IGNORECASE)
_ANNOUNCED = re.compile(rf"(?:[:=]|->|→|\b(?:is|are|be|so|thus)\b){_DECORATION}\Z", re.IGNORECASE)
_DRAFT = re.compile(
    r"\b(?:draft|initial\w*|original\w*|earlier|previous\w*"
    r"|first (?:thought|guess|idea|answer|attempt|try|pass|impression))\b[^\n\[\].!?;]{0,25}\Z"
    r"|\b(?:not|maybe|perhaps|instead of|rather than)[\s*_`]*\Z",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"(?:\b(?:excerpt|example|item|window|text|number|no\.?)s?|#)[\s*_`]*\Z", re.IGNORECASE
)
_ALONE = re.compile(r"[\s*_`>#.$-]*")
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
    start: int
    end: int
    stated: bool = True
    """Given as the answer, not just mentioned."""
    final: bool = False
    """Called the answer: what follows it is no other one."""


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
    lists = _lists(text)
    fitting = [found for found in lists if len(found.predictions) == count]
    stated = [found for found in fitting if found.stated]
    numbered = [] if fitting else _numbered(text)
    chosen = stated or fitting or [one for one in numbered if len(one.predictions) == count]
    if chosen:
        return _uncontradicted(text, chosen[-1], lists)
    if lists or numbered:
        return failures.WRONG_COUNT
    return failures.REFUSAL if failures.is_refusal(text) else failures.UNPARSEABLE


def _uncontradicted(text: str, found: _Found, lists: Sequence[_Found]) -> _Found | str:
    """`found`, or the code of a failure where the text says something else as well."""
    count = len(found.predictions)
    for other in lists:
        if other.predictions == found.predictions:
            continue
        if other.start >= found.end and (len(other.predictions) == count or other.final):
            fits = len(other.predictions) == count
            return failures.CONTRADICTORY if fits else failures.WRONG_COUNT
        if other.end <= found.start and are_joined(text, other.end, found.start):
            return failures.CONTRADICTORY
    for single in _NUMBERED.finditer(text, found.end):
        item = int(single[1])
        if 1 <= item <= count and found.predictions[item - 1] != _SPELLINGS[single[2].lower()]:
            return failures.CONTRADICTORY
    return found


def _is_cut(text: str, found: _Found) -> bool:
    """Whether an answer that ends too early may hold a draft only."""
    closed = text[found.end - 1] == "]" and found.stated
    return is_thinking(text) or not closed or re.search(r"[\[{]", text[found.end :]) is not None


def _lists(text: str) -> list[_Found]:
    """Lists in brackets, and the answers that the text or its last line holds alone, in order."""
    objects = list(objects_with("answers", text))
    found = []
    for match in _LIST.finditer(text):
        before, named = text[max(0, match.start() - 200) : match.start()], bool(match["name"])
        is_single = _ONE.fullmatch(match[2].strip()) is not None
        is_reference = is_single and _REFERENCE.search(before) is not None
        within = any(match.start() in span for span in objects)
        if not named and (within or is_reference or _DRAFT.search(before)):
            continue
        final = named or _FINAL.search(before) is not None
        stated = final or _ANNOUNCED.search(before) is not None or _is_alone(text, match)
        found.append(_found(match, match.start(2), match[2], stated, final))
    return [*found, *(one for one in _bare(text) if not found or one.start >= found[-1].end)]


def _is_alone(text: str, match: re.Match[str]) -> bool:
    """Whether the lines that hold the list hold nothing else."""
    start, end = text.rfind("\n", 0, match.start()) + 1, text.find("\n", match.end())
    rest = text[start : match.start()] + text[match.end() : end if end >= 0 else len(text)]
    return _ALONE.fullmatch(rest) is not None


def _found(
    match: re.Match[str], start: int, part: str, stated: bool = True, final: bool = False
) -> _Found:
    answers = list(_ONE.finditer(part))
    return _Found(
        tuple(_SPELLINGS[answer[0].strip("\"'").lower()] for answer in answers),
        tuple(start + answer.start() + (answer[0][0] in "\"'") for answer in answers),
        match.start(),
        match.end(),
        stated,
        final,
    )


def _bare(text: str) -> list[_Found]:
    """Answers without brackets, when the text or its last line holds nothing else."""
    plain = _FENCE.sub(lambda fence: " " * len(fence[0]), text)
    line_start = plain.rstrip().rfind("\n") + 1
    for start in dict.fromkeys((0, line_start)):
        blank = " " * start + plain[start:]
        if match := _BARE.match(blank):
            return [_found(match, match.start(1), match[1])._replace(start=start)]
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
    places = tuple(match.start(2) for match in run)
    return [_Found(answers, places, run[0].start(), run[-1].end())]


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
