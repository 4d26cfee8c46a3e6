"""Values for the `$named` parameters of a query, from what was typed and what the lake holds.

1. What was typed, `name=value`, is a text for a name that a text column has (`$scorer`, also with
   `other_` before it); elsewhere a number, true, false or null where it reads as one. In single
   quotes it is always a text.
2. Of `$run`, `$hookpoint` and `$selection` what was not typed is the only one that the lake holds.
3. For the rest there are `DEFAULTS`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from delphi_assets.errors import SettingError
from delphi_assets.lake.database import Parameter, query
from delphi_assets.lake.schema import TABLES, VIEWS

DEFAULTS: dict[str, Parameter] = {
    "selection": "default",
    "scorer": "detection",
    "n_rows": 20,
    "most_tokens": None,
}
"""What parameters of the shipped questions are when they are left out."""

_PLACES = ("run", "hookpoint", "selection")
_TEXTS = frozenset(
    column.name
    for table in (*TABLES.values(), *VIEWS.values())
    for column in (*table.keys, *table.columns)
    if column.type == pa.string()
)
_WORDS: dict[str, Parameter] = {"true": True, "false": False, "null": None}


class Held(NamedTuple):
    """A run, one of its hookpoints and, where there are examples, a selection of it."""

    run: str
    hookpoint: str
    selection: str | None


def typed(given: Iterable[str]) -> dict[str, Parameter]:
    """`name=value` texts as values by name; raises `SettingError` for one without a name."""
    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip().removeprefix("$")
        if not equals or not name.isidentifier():
            raise SettingError(f"parameter {text!r}; expected name=value, such as n_rows=10.")
        values[name] = _value(name, value)
    return values


def _value(name: str, text: str) -> Parameter:
    if quoted := re.fullmatch(r"'(.*)'", text, re.DOTALL):
        return quoted[1]
    if name.removeprefix("other_") in _TEXTS:
        return None if text == "null" else text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE):
        return float(text)
    return text


def completed(
    con: duckdb.DuckDBPyConnection, names: frozenset[str], given: Mapping[str, Parameter]
) -> dict[str, Parameter]:
    """A value for each of the `names` that a statement takes.

    Raises `SettingError` for a given one that it does not take, for one that is missing, and for a
    run, hookpoint or selection that the lake does not hold; it says what there is to choose from.
    """
    if unknown := sorted(set(given) - names):
        takes = ", ".join(f"${name}" for name in sorted(names)) or "no parameters"
        raise SettingError(f"the query has no parameter ${unknown[0]}; it takes {takes}.")
    values = dict(given)
    if names & set(_PLACES):
        places = [Held(**row) for row in query(con, "queries/places").to_pylist()]
        for name in _PLACES:
            if name in names:
                values[name] = _place(name, values, places)
    for name in names - set(values):
        if name not in DEFAULTS:
            raise SettingError(
                f"the query needs ${name}; give it as --param {name}=VALUE, in the shell as "
                f".set {name}=VALUE."
            )
        values[name] = DEFAULTS[name]
    return values


def _place(name: str, values: Mapping[str, Parameter], places: Sequence[Held]) -> Parameter:
    """The run, hookpoint or selection that is meant, among those that fit the values so far."""
    fitting = [
        place
        for place in places
        if all(
            getattr(place, key) == values[key]
            for key in ("run", "hookpoint")
            if key in values and key != name
        )
    ]
    held: set[str] = {getattr(place, name) for place in fitting} - {None}
    there = sorted(held)
    if name in values:
        if values[name] not in there:
            raise SettingError(f"the lake holds no {name} {values[name]!r}; it holds {there}.")
        return values[name]
    if len(there) == 1:
        return there[0]
    if DEFAULTS.get(name) in there:
        return DEFAULTS[name]
    raise SettingError(
        f"the lake holds {len(there)} {name}s, {there}; name the one that is meant (--param "
        f"{name}=NAME, of an export --{name} NAME)."
        if there
        else f"the lake holds no {name}; is anything materialized in it?"
    )
