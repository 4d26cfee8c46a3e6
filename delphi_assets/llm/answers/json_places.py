"""Where whole JSON objects and lists stand in a text that says other things as well.

In: a text. Out: the start and end of every one, nested ones too, as the `json` module takes them.

1. From the last opening bracket to the first: is what begins there whole? What is nested in it was
   looked at before and is stepped over, so the time grows with the text, however many brackets
   stand without end: a token is read by one bracket, or by two that disagree on where strings are.
2. What is nested deeper than `DEEPEST`, or holds a number longer than `LONGEST_NUMBER`, is not
   whole: no answer is, and the `json` module gives up on it.
"""

import re
from typing import NamedTuple

DEEPEST = 100
LONGEST_NUMBER = 600
"""Characters; Python refuses whole numbers of more, from a limit on that is at least 640."""

_BLANK = r"[ \t\n\r]*+"
_PLAIN = r"[^\"\\\x00-\x1f]*+"
_STRING = rf"\"{_PLAIN}(?:\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PLAIN})*\""
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?"
_OPENING = re.compile(r"[\[{]")
_EMPTY = re.compile(rf"\[{_BLANK}\]|\{{{_BLANK}\}}")
_BEFORE = {
    "]": re.compile(_BLANK),
    "}": re.compile(rf"{_BLANK}{_STRING}{_BLANK}:{_BLANK}"),
}
"""What stands before a value, by the closing bracket."""
_SCALAR = re.compile(rf"{_STRING}|(?P<number>{_NUMBER})|true|false|null|NaN|-?Infinity")
_SIGN = re.compile(rf"{_BLANK}(?P<sign>[,\]}}]){_BLANK}")
_CLOSING = {"[": "]", "{": "}"}


class _Whole(NamedTuple):
    """An object or list, by its start."""

    end: int
    depth: int
    """Of nesting; 1 where nothing is nested."""


def whole_json(text: str, loose_commas: bool = False) -> dict[int, int]:
    """Ends of all whole objects and lists, by their starts, from the first to the last.

    With `loose_commas`, one comma before a closing bracket is overlooked.
    """
    whole: dict[int, _Whole] = {}
    for start in reversed([opening.start() for opening in _OPENING.finditer(text)]):
        found = _whole(text, start, whole, loose_commas)
        if found is not None and found.depth <= DEEPEST:
            whole[start] = found
    return {start: found.end for start, found in reversed(whole.items())}


def _whole(text: str, start: int, nested: dict[int, _Whole], loose: bool) -> _Whole | None:
    """What begins at `start`, if it is whole; `nested` are those that begin behind it."""
    if (empty := _EMPTY.match(text, start)) is not None:
        return _Whole(empty.end(), 1)
    closing, place, depth = _CLOSING[text[start]], start + 1, 1
    before = _BEFORE[closing]
    while True:
        if (value := before.match(text, place)) is None:
            return None
        inner = nested.get(value.end()) or _scalar(text, value.end())
        behind = _SIGN.match(text, inner.end) if inner is not None else None
        if inner is None or behind is None or behind["sign"] not in ("," + closing):
            return None
        depth = max(depth, inner.depth + 1)
        place = behind.end()
        if behind["sign"] == closing or (loose and text.startswith(closing, place)):
            return _Whole(text.index(closing, behind.start()) + 1, depth)


def _scalar(text: str, place: int) -> _Whole | None:
    """A string, number or word that begins at `place`."""
    found = _SCALAR.match(text, place)
    if found is None or len(found["number"] or "") > LONGEST_NUMBER:
        return None
    return _Whole(found.end(), 0)
