"""Which of several statements an answer means, and when it means none of them.

In: the text of an answer, a statement in it, and others that say something else. Out: whether the
statement holds.

1. What stands behind a statement and differs from it contradicts it.
2. What stands before it gives way where the later one is called the answer and the earlier one is
   not ("A ... Answer: B"), or only the later one is called final or corrected ("Final: B"); or
   where words between them take the earlier one back ("A. No, wait: B"). Else they contradict each
   other.
3. Words for another case ("if it were broader, the answer would be B") undo what such words gain:
   they make a contradiction of two statements, never a result of one of them.
"""

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple


class Mark(IntEnum):
    """What a statement is called in the words before it."""

    NONE = 0
    ANSWER = 1
    FINAL = 2


class Statement(NamedTuple):
    """Where something is stated, and what it is called there."""

    start: int
    end: int
    mark: Mark


_DECORATION = " \t\r\n*_`\"'{([\\$>"
_FENCE = re.compile(r"```[a-z]*\s*\Z", re.IGNORECASE)
_CALLED = 60
"""Characters before a statement that may name it."""
_FINAL = re.compile(
    r"\b(?:final\w*|revised|corrected|correction|updated)\b[^\n\[\]]{0,30}\Z", re.IGNORECASE
)
_ANSWER = re.compile(r"\banswers?\b[^\n\[\]]{0,20}\Z", re.IGNORECASE)
_TAKEN_BACK = re.compile(
    r"\bwait\s?[,.:;!—–-]|(?:(?<=[.!?\])}] )|(?<=\n)|(?<=but ))no[,:.]|\bhmm+\b|\bactually,"
    r"|\bon (?:reflection|(?:second|closer) \w+)|\bcorrection\b|\bsorry\b|\bmy mistake"
    r"|\breconsider\w*|\bchanged? my|\bthat (?:can ?not|can['’]t) be|\blooking again"
    r"|\b(?:that|this|it) (?:is|was) (?:wrong|(?:a |my |the )?(?:first |initial )?(?:draft|guess))"
    r"|\bwas my (?:first |initial )?(?:draft|guess)",
    re.IGNORECASE,
)
_OTHER_CASE = re.compile(
    r"\b(?:if|unless|suppos\w+|assum\w+|had|were|would|could|might|should|may|then|case|otherwise"
    r"|under|hypothetical\w*|alternative\w*|another|different\w*|else|reading|interpret\w*|example"
    r"|instance|e\.g|such as|form|format|broad\w*|wide\w*|narrow\w*|strict\w*|loose\w*"
    r"|lenient\w*)\b",
    re.IGNORECASE,
)
_SENTENCE = 300
"""Characters of a sentence that are looked at."""
_SENTENCE_END = re.compile(r"[.!?][\"')*_`]*\s|[^\s:*_`][ \t*_`]*\n[ \t]*\n")


def mark(text: str, start: int) -> Mark:
    """What the words before `start` call what begins there."""
    before = _FENCE.sub("", text[max(0, start - _CALLED) : start].rstrip(" \t\r\n{"))
    before = before.rstrip(_DECORATION)
    if _FINAL.search(before):
        return Mark.FINAL
    return Mark.ANSWER if _ANSWER.search(before) else Mark.NONE


def holds(text: str, chosen: Statement, others: Iterable[Statement]) -> bool:
    """Whether `chosen` is what a text means that says `others` as well, which differ from it."""
    others = list(others)
    if not others:
        return True
    called = Mark.NONE if _is_other_case(text, chosen.start) else chosen.mark
    turn = _turn(text, chosen.start)
    return all(
        other.end <= chosen.start and (called > other.mark or other.end <= turn) for other in others
    )


def _is_other_case(text: str, start: int) -> bool:
    """Whether the sentence before `start` tells of another case than the one asked about."""
    before = text[max(0, start - _SENTENCE) : start]
    ends = [end.end() for end in _SENTENCE_END.finditer(before)]
    return _OTHER_CASE.search(before, ends[-1] if ends else 0) is not None


def _turn(text: str, start: int) -> int:
    """Where words before `start` last take back what was said; -1 where they do not."""
    turns = [turn.start() for turn in _TAKEN_BACK.finditer(text, 0, start)]
    if not turns or _OTHER_CASE.search(text, turns[-1], start) is not None:
        return -1
    return turns[-1]
