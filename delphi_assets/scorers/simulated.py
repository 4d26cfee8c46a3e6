"""From a judge's raw answer to an activation for each token of a window.

In: a completion and the tokens it was asked about. Out: numbers from 0 to 10, or the reason why
there are none.

1. Lists are looked for anywhere in the text: `{"activations": [["the", 0], ...]}`, the bare list,
   behind reasoning, in a code fence; of pairs, of objects `{"token": "the", "activation": 0}`, or
   of numbers. Else the text is searched for tuples `("the", 0)`, or lines `the<tab>0`.
2. The last list with an entry for each token counts. With none of that length, the count is wrong.
3. Where tokens are given, they have to be those asked about, in order, but for case, white space
   and how a line break is shown: a token that is left out or repeated shifts all that follow.
4. Every activation has to be a number from 0 to 10. Nothing is cut to size or made up.
"""

import ast
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from delphi_assets.highlighting import LINE_BREAK
from delphi_assets.llm import failures
from delphi_assets.llm.completions import Completion
from delphi_assets.scorers.answers import no_text

_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TUPLE = re.compile(rf"\(\s*({_QUOTED})\s*,\s*(-?\d+(?:\.\d+)?)\s*\)")
_LINE = re.compile(r"^(.*)\t(-?\d+(?:\.\d+)?)[ \r]*$", re.MULTILINE)
_OPENING = re.compile(r"[\[{]")
_LOOSE_COMMA = re.compile(r",(\s*[\]}])")
_DECODER = json.JSONDecoder()


class Simulated(NamedTuple):
    """An activation a token, or the code of the reason why there are none."""

    activations: tuple[float, ...] | None = None
    failure: str | None = None


class _Entry(NamedTuple):
    """What an answer says of a token."""

    token: str | None
    """None where only the activation is given."""
    activation: float


def parse(completion: Completion, tokens: Sequence[str]) -> Simulated:
    """The activations of `tokens`, or why there are none."""
    failure = no_text(completion)
    if failure is not None:
        return Simulated(failure=failure)
    text = completion.answer or ""
    found = list(_lists(text))
    whole = [entries for entries in found if len(entries) == len(tokens)]
    if whole:
        return _checked(whole[-1], tokens)
    if completion.finish_reason == "length":
        return Simulated(failure=failures.TRUNCATED)
    if found:
        return Simulated(failure=failures.WRONG_COUNT)
    refused = failures.is_refusal(text)
    return Simulated(failure=failures.REFUSAL if refused else failures.UNPARSEABLE)


def schema(count: int) -> str:
    """JSON schema, as JSON text, of `count` pairs of a token and its activation."""
    strength = {"type": "integer", "enum": list(range(11))}
    pair = {
        "type": "array",
        "items": {"anyOf": [{"type": "string"}, strength]},
        "minItems": 2,
        "maxItems": 2,
    }
    pairs = {"type": "array", "items": pair, "minItems": count, "maxItems": count}
    return json.dumps(
        {
            "type": "object",
            "properties": {"activations": pairs},
            "required": ["activations"],
            "additionalProperties": False,
        }
    )


def _checked(entries: Sequence[_Entry], tokens: Sequence[str]) -> Simulated:
    for entry, token in zip(entries, tokens, strict=True):
        if entry.token is not None and _plain(entry.token) != _plain(token):
            return Simulated(failure=failures.MISALIGNED)
    activations = tuple(entry.activation for entry in entries)
    # NaN fails this, too.
    if not all(0 <= activation <= 10 for activation in activations):
        return Simulated(failure=failures.UNPARSEABLE)
    return Simulated(activations)


def _plain(token: str) -> str:
    """What two spellings of a token have in common."""
    shown = unicodedata.normalize("NFKC", token).replace(LINE_BREAK, "").replace("\\n", "")
    return "".join(shown.split()).casefold()


def _lists(text: str) -> Iterator[list[_Entry]]:
    """Lists of entries, in the order of the text; tuples and lines only where there is no other."""
    found = False
    for value in _json_values(text):
        entries = _entries(value)
        if entries:
            found = True
            yield entries
    if found:
        return
    if tuples := _TUPLE.findall(text):
        yield [_Entry(str(ast.literal_eval(token)), float(number)) for token, number in tuples]
    elif lines := _LINE.findall(text):
        yield [_Entry(token, float(number)) for token, number in lines]


def _json_values(text: str) -> Iterator[Any]:
    """JSON objects and lists in a text, outermost ones only."""
    place = 0
    while (opening := _OPENING.search(text, place)) is not None:
        for candidate in (text, _LOOSE_COMMA.sub(r"\1", text[opening.start() :])):
            start = opening.start() if candidate is text else 0
            try:
                value, end = _DECODER.raw_decode(candidate, start)
            except (ValueError, RecursionError):
                continue
            yield value
            # Behind a mended value, the end is not known exactly; what follows is read again.
            place = end if candidate is text else opening.end()
            break
        else:
            place = opening.end()


def _entries(value: Any) -> list[_Entry] | None:
    """A decoded value as entries; None when it is something else."""
    if isinstance(value, dict):
        value = value.get("activations")
    if not isinstance(value, list):
        return None
    entries = [_entry(one) for one in value]
    return None if None in entries else [entry for entry in entries if entry is not None]


def _entry(value: Any) -> _Entry | None:
    if isinstance(value, dict):
        value = [value.get("token"), value.get("activation", value.get("strength"))]
    if not isinstance(value, list):
        value = [None, value]
    if len(value) != 2 or not isinstance(value[0], str | None):
        return None
    activation = _number(value[1])
    return None if activation is None else _Entry(value[0], activation)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
