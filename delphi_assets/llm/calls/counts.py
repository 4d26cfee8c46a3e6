"""Numbers that a server gives: tokens and US dollars.

In: what stands in a reply, whatever that is. Out: a number that can be one, or nothing.
"""

from typing import Any

MOST_TOKENS = 10_000_000
"""Tokens of a prompt or an answer; no model takes more."""
MOST_DOLLARS = 1e6
"""US dollars of one call."""


def mended(body: Any) -> Any:
    """The JSON of a reply with the counts in its `usage` that are counts."""
    if not isinstance(body, dict) or "usage" not in body:
        return body
    usage = body["usage"]
    others = {name: value for name, value in body.items() if name != "usage"}
    return others | ({"usage": _counts(usage)} if isinstance(usage, dict) else {})


def count_of(value: object) -> int | None:
    """A number of tokens; None for what cannot be one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN compares as false.
    return int(value) if 0 <= value <= MOST_TOKENS and value == int(value) else None


def cost_of(value: object) -> float | None:
    """An amount of US dollars above 0; None for what cannot be one, or is not known."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN compares as false, here too.
    return float(value) if 0 < value <= MOST_DOLLARS else None


def _counts(usage: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in usage.items():
        if name.endswith("tokens"):
            if (count := count_of(value)) is not None:
                kept[name] = count
        elif isinstance(value, dict):
            kept[name] = _counts(value)
        elif not name.endswith("details"):
            kept[name] = cost_of(value) if name.startswith("cost") else value
    return kept
