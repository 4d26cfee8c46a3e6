"""Where an answer says something: behind thoughts, in JSON, side by side with something else.

In: the text of an answer. Out: the parts of it that readers of answers look at, each at its place,
so that log-probabilities of the text's tokens can be found.
"""

import json
import re
from collections.abc import Iterator

_THOUGHTS = re.compile(r"\A.*</think(?:ing)?>", re.IGNORECASE | re.DOTALL)
_THINKING = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_JOINED = re.compile(r"[\W_]*(?:(?:and|or|also|alternatively|json)[\W_]*)*", re.IGNORECASE)
_OBJECT = re.compile(r"\{(?=\s*\")")
_DECODER = json.JSONDecoder()


def without_thoughts(text: str) -> str:
    """`text` with blanks in place of what a model thinks before `</think>`."""
    return _THOUGHTS.sub(lambda thoughts: " " * len(thoughts[0]), text)


def is_thinking(text: str) -> bool:
    """Whether a text ends before its thoughts do."""
    return _THINKING.search(without_thoughts(text)) is not None


def are_joined(text: str, end: int, start: int) -> bool:
    """Whether what stands between two statements is at most "and" or "or"."""
    return _JOINED.fullmatch(text, end, start) is not None


def objects_with(name: str, text: str) -> Iterator[range]:
    """Where JSON objects stand that hold an asked-for field; the rest of them is no answer."""
    end = 0
    for opening in _OBJECT.finditer(text):
        if opening.start() < end:
            continue
        try:
            value, stop = _DECODER.raw_decode(text, opening.start())
        except ValueError:
            continue
        except RecursionError:
            # No answer is nested that deep, and each bracket inside would be tried again.
            return
        if name in value:
            end = stop
            yield range(opening.start(), stop)
