"""Where an answer says something: behind thoughts, in JSON, side by side with something else.

In: the text of an answer. Out: the parts of it that readers of answers look at, each at its place,
so that log-probabilities of the text's tokens can be found.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Sequence

from delphi_assets.llm.answers.json_places import whole_json

_THOUGHTS = re.compile(r"\A.*</think(?:ing)?>", re.IGNORECASE | re.DOTALL)
_THINKING = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_JOINED = re.compile(r"[\W_]*(?:(?:and|or|also|alternatively|json)[\W_]*)*", re.IGNORECASE)


def without_thoughts(text: str) -> str:
    """`text` with blanks in place of what a model thinks before `</think>`."""
    return _THOUGHTS.sub(lambda thoughts: " " * len(thoughts[0]), text)


def is_thinking(text: str) -> bool:
    """Whether a text ends before its thoughts do."""
    return _THINKING.search(without_thoughts(text)) is not None


def are_joined(text: str, end: int, start: int) -> bool:
    """Whether what stands between two statements is at most "and" or "or"."""
    return _JOINED.fullmatch(text, end, start) is not None


def objects_with(name: str, text: str) -> list[range]:
    """Where JSON objects stand that hold an asked-for field; the rest of them is no answer."""
    found: list[range] = []
    for start, stop in whole_json(text).items():
        inside = bool(found) and start < found[-1].stop
        if text[start] == "{" and not inside and name in json.loads(text[start:stop]):
            found.append(range(start, stop))
    return found


def within(objects: Sequence[range], place: int) -> bool:
    """Whether a place is in one of these, which stand in the order of the text."""
    before = bisect_right(objects, place, key=lambda span: span.start)
    return before > 0 and place in objects[before - 1]
