"""JSON from elsewhere: every way in which it cannot be read is a `ValueError`.

In: a text or its bytes. Out: what it stands for. Python's own reader also raises `RecursionError`,
and reads brackets in brackets of a depth at which printing them raises one later.
"""

import json
from typing import Any

_DEEPEST = 100


def parse_json(text: str | bytes) -> Any:
    """What `text` stands for; raises `ValueError`, also for what is nested more than 100 deep."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise _too_deep() from error
    if _n_opened(text) > _DEEPEST and _is_deep(value):
        raise _too_deep()
    return value


def _n_opened(text: str | bytes) -> int:
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _too_deep() -> ValueError:
    return ValueError(f"brackets are nested more than {_DEEPEST} deep")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [child for held in level for child in _children(held)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    """Lists and objects in one."""
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in held if isinstance(child, dict | list)]
