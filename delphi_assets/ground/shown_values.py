"""Values as errors show them: cut where they are long, without what looks like a key.

In: what somebody gave. Out: a text for one line of an error.
"""

import difflib
from collections.abc import Sequence

from delphi_assets.ground import key_shapes

_CHARACTERS, _NAMES, _NUMBERS = 200, 20, 10


def shown(value: object) -> str:
    """A value in an error: what is long is cut, and of a table only the names are shown."""
    if isinstance(value, dict):
        names = ", ".join(shortened(str(name)) for name in list(value)[:_NAMES])
        return key_shapes.masked(f"a table of {names or 'nothing'}")
    if isinstance(value, list | tuple):
        more = ", ..." if len(value) > _NAMES else ""
        return f"[{', '.join(map(shown, value[:_NAMES]))}{more}]"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    return key_shapes.masked(shortened(repr(value)))


def shortened(text: str) -> str:
    """`text`, cut where it is long."""
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}..."


def few(what: str, numbers: Sequence[int]) -> str:
    """Some numbers of things by name: the first ones, and how many more there are."""
    if len(numbers) == 1:
        return f"{what} {numbers[0]}"
    more = len(numbers) - _NUMBERS
    if more <= 0:
        return f"{what}s {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    return f"{what}s {', '.join(map(str, numbers[:_NUMBERS]))} and {more:,} more"


def nearest(name: str, valid: list[str]) -> str:
    """The end of an error about a name: the valid one that is most like it, if any is."""
    match = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""
