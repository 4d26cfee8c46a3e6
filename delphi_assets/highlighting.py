"""Windows as an LLM sees them: text with the tokens that matter between << and >>.

In: the tokens of a window as text and which of them are marked. Out: one text, on one line.

1. Runs of adjacent marked tokens share one pair of brackets.
2. A line break is shown as ⏎, so that a window is one line of the prompt.
3. `<<` and `>>` in a text are marks, always: where the window itself has two such brackets in a
   row, or one beside a mark, a space parts them (`a << b` is shown as `a < < b`).

`prompts/excerpts.txt` tells the LLM so.
"""

import re
from collections.abc import Sequence
from itertools import groupby

OPEN, CLOSE = "<<", ">>"
LINE_BREAK = "⏎"
FORMAT = 1
"""Version of how windows are shown and prompts laid out; part of every hash of a prompt."""

_LINE_BREAKS = re.compile("\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_BRACKETS = re.compile("<(?=<)|>(?=>)")


def mark(
    activations: Sequence[float], threshold: float, maximum: float, *, inclusive: bool
) -> list[bool]:
    """Which tokens of an activating window reach `threshold * maximum`.

    Explainers are shown what lies above it, scorers also what equals it (`inclusive`). In a window
    too weak for that, its own maximum counts, so that an activating window is never shown bare.
    """
    marked = _reach(activations, threshold * maximum, inclusive=inclusive)
    if any(marked):
        return marked
    return _reach(activations, threshold * max(activations, default=0.0), inclusive=inclusive)


def _reach(activations: Sequence[float], limit: float, *, inclusive: bool) -> list[bool]:
    return [value > 0 and (value >= limit if inclusive else value > limit) for value in activations]


def on_one_line(text: str) -> str:
    """`text` with its line breaks shown as ⏎."""
    return _LINE_BREAKS.sub(LINE_BREAK, text)


def show(text: str) -> str:
    """Text of a window without marks: on one line, and without `<<` and `>>`."""
    return _BRACKETS.sub(lambda bracket: f"{bracket[0]} ", on_one_line(text))


def highlight(str_tokens: Sequence[str], marked: Sequence[bool]) -> str:
    """The window's text with every run of marked tokens between `<<` and `>>`."""
    shown = ""
    for is_marked, run in groupby(zip(str_tokens, marked, strict=True), key=lambda pair: pair[1]):
        text = show("".join(token for token, _ in run))
        for part in (OPEN, text, CLOSE) if is_marked else (text,):
            touching = shown[-1:] + part[:1] in (OPEN, CLOSE)
            shown += f" {part}" if touching else part
    return shown
