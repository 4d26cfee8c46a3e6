"""From a judge's raw answer to an activation for each token of a window.

In: a completion and the tokens it was asked about. Out: numbers from 0 to 10, or the reason why
there are none.

1. Lists are looked for anywhere in the text: `{"activations": [["the", 0], ...]}`, the bare list,
   behind reasoning, in a code fence; of pairs, of objects `{"token": "the", "activation": 0}`, or
   of numbers. Else the text is searched for tuples `("the", 0)`, or lines `the<tab>0`.
2. The last list with an entry for each token counts. With none of that length, or another one
   under the asked-for name "activations" behind it, the count is wrong. Two that differ are a
   contradiction, unless words part them and only the last one is called the answer, or final, or
   the words take the earlier one back (see `llm.answers.contradictions`). What a model thinks
   before `</think>` does not count.
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

from delphi_assets.llm.answers.contradictions import Mark, Statement, holds, mark
from delphi_assets.llm.answers.json_places import whole_json
from delphi_assets.llm.answers.passages import are_joined, without_thoughts
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.reading.highlighting import LINE_BREAK
from delphi_assets.scorers.answers.yes_no import no_text

_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TUPLE = re.compile(rf"\(\s*({_QUOTED})\s*,\s*(-?\d+(?:\.\d+)?)\s*\)")
_LINE = re.compile(r"^(.*)\t(-?\d+(?:\.\d+)?)[ \r]*$", re.MULTILINE)
_OPENING = re.compile(r"[\[{]")
_LOOSE_COMMA = re.compile(r",(\s*[\]}])")


class Simulated(NamedTuple):
    """An activation a token, or the code of the reason why there are none."""

    activations: tuple[float, ...] | None = None
    failure: str | None = None


class _Entry(NamedTuple):
    """What an answer says of a token."""

    token: str | None
    """None where only the activation is given."""
    activation: float


class _Found(NamedTuple):
    """A list of entries, and where it stands."""

    entries: list[_Entry]
    statement: Statement
    named: bool = False
    """Under the asked-for name."""


def parse(completion: Completion, tokens: Sequence[str]) -> Simulated:
    """The activations of `tokens`, or why there are none."""
    failure = no_text(completion)
    if failure is not None:
        return Simulated(failure=failure)
    text = without_thoughts(completion.answer or "")
    found = list(_lists(text))
    whole = [one for one in found if len(one.entries) == len(tokens)]
    if completion.finish_reason == "length" and not (whole and _is_closed(text, whole[-1])):
        return Simulated(failure=failures.TRUNCATED)
    if not found:
        refused = failures.is_refusal(text)
        return Simulated(failure=failures.REFUSAL if refused else failures.UNPARSEABLE)
    if not whole or (found[-1].named and found[-1] is not whole[-1]):
        return Simulated(failure=failures.WRONG_COUNT)
    last = max(
        (one for one in whole if one.entries == whole[-1].entries),
        key=lambda one: (one.statement.mark, one.statement.start),
    )
    others = [one.statement for one in whole if one.entries != last.entries]
    side_by_side = any(are_joined(text, one.end, last.statement.start) for one in others)
    if side_by_side or not holds(text, last.statement, others):
        return Simulated(failure=failures.CONTRADICTORY)
    return _checked(last.entries, tokens)


def _is_closed(text: str, found: _Found) -> bool:
    """Whether a text that ends too early holds no other list behind this one, nor part of one."""
    end = found.statement.end
    return text[end - 1] in "]}" and _OPENING.search(text, end) is None


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


def _lists(text: str) -> list[_Found]:
    """Lists of entries, in the order of the text; tuples and lines only where there is no other."""
    if found := list(_json_lists(text)):
        return found
    if tuples := list(_TUPLE.finditer(text)):
        entries = [_Entry(_unquoted(one[1]), float(one[2])) for one in tuples]
    elif tuples := list(_LINE.finditer(text)):
        entries = [_Entry(one[1], float(one[2])) for one in tuples]
    else:
        return []
    return [_Found(entries, Statement(tuples[0].start(), tuples[-1].end(), Mark.NONE))]


def _unquoted(quoted: str) -> str:
    """A token as Python spells it, or else as it stands there."""
    try:
        return str(ast.literal_eval(quoted))
    except (SyntaxError, ValueError):
        return quoted[1:-1]


def _json_lists(text: str) -> Iterator[_Found]:
    """Lists of entries in JSON, outermost ones only."""
    end = 0
    for start, stop in whole_json(text, loose_commas=True).items():
        if start < end:
            continue
        end = stop
        value = _decoded(text[start:stop])
        if entries := _entries(value):
            named = isinstance(value, dict)
            called = max(mark(text, start), Mark.ANSWER if named else Mark.NONE)
            yield _Found(entries, Statement(start, stop, called), named)


def _decoded(part: str) -> Any:
    """A whole object or list, without the commas that are too many."""
    try:
        return json.loads(part)
    except ValueError:
        return json.loads(_LOOSE_COMMA.sub(r" \1", part))


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
