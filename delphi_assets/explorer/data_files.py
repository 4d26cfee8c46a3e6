"""Data files of the explorer: scripts that hand one value to the page.

A page opened from disk may not fetch files, but may load scripts. So a data file is one call,
`explorerData(key, value);`, and nothing in it can end the script or become code:

1. The value is JSON: strict, so that NaN and infinities are null.
2. `<` and the two line separators of Unicode are written as escapes.
3. Texts from the corpus and from LLMs are values, never names: `__proto__` as a name in a script
   would set the prototype.

Floats keep five digits, so that files stay small.
"""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_ESCAPES = (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
_DIGITS = 5
_AS_THEY_ARE = frozenset((int, str, bool, type(None)))


def data_file(key: str, value: object) -> str:
    """Text of the file that gives the page `value` under `key`."""
    return f"explorerData({_script(key)}, {_script(plain(value))});\n"


def plain(value: Any) -> Any:
    """`value` as JSON knows it: floats rounded, those that are no numbers null, times as text."""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list | tuple):
        # Most lists are of whole numbers, and long.
        kinds = set(map(type, value))
        return value if kinds <= _AS_THEY_ARE else [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return value


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded


def _script(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES:
        text = text.replace(character, escape)
    return text
