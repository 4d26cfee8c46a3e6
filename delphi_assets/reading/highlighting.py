"""Windows as an LLM sees them: text with the tokens that matter between << and >>.

In: the tokens of a window as text and their marks: 1 for a marked token, -1 for one on which the
latent's activation is negative, 0 for the rest. Out: one text, on one line.

1. Runs of adjacent tokens with the same mark share one pair of brackets; (-) stands behind one of
   a negative mark.
2. A line break is shown as ⏎, so that a window is one line of the prompt.
3. `<<` and `>>` in a text are marks, always: where the window itself has two such brackets in a
   row, or one beside a mark, a space parts them (`a << b` is shown as `a < < b`).

`prompts/excerpts.txt` tells the LLM so.
"""

import re
from collections.abc import Sequence
from itertools import groupby

OPEN, CLOSE, NEGATIVE = "<<", ">>", "(-)"
LINE_BREAK = "⏎"
FORMAT = 1
"""Version of how windows are shown and prompts laid out; part of every hash of a prompt."""

_LINE_BREAKS = re.compile("\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_BRACKETS = re.compile("<(?=<)|>(?=>)")


def mark(
    activations: Sequence[float], threshold: float, maximum: float, *, inclusive: bool
) -> list[int]:
    """Marks of the tokens of an activating window that reach `threshold * maximum` in magnitude.

    Explainers are shown what lies above it, scorers also what equals it (`inclusive`). In a window
    too weak for that, its own maximum counts, so that an activating window is never shown bare.
    """
    marked = _reach(activations, threshold * abs(maximum), inclusive=inclusive)
    if any(marked):
        return marked
    strongest = max(map(abs, activations), default=0.0)
    return _reach(activations, threshold * strongest, inclusive=inclusive)


def _reach(activations: Sequence[float], limit: float, *, inclusive: bool) -> list[int]:
    signs = [int(value > 0) - int(value < 0) for value in activations]
    return [
        sign if (abs(value) >= limit if inclusive else abs(value) > limit) else 0
        for sign, value in zip(signs, activations, strict=True)
    ]


def on_one_line(text: str) -> str:
    """`text` with its line breaks shown as ⏎."""
    return _LINE_BREAKS.sub(LINE_BREAK, text)


def show(text: str) -> str:
    """Text of a window without marks: on one line, and without `<<` and `>>`."""
    return _BRACKETS.sub(lambda bracket: f"{bracket[0]} ", on_one_line(text))


def highlight(str_tokens: Sequence[str], marked: Sequence[int]) -> str:
    """The window's text with every run of marked tokens between `<<` and `>>`."""
    shown = ""
    for mark_of, run in groupby(zip(str_tokens, marked, strict=True), key=lambda pair: pair[1]):
        text = show("".join(token for token, _ in run))
        close = f"{CLOSE}{NEGATIVE}" if mark_of < 0 else CLOSE
        for part in (OPEN, text, close) if mark_of else (text,):
            touching = shown[-1:] + part[:1] in (OPEN, CLOSE)
            shown += f" {part}" if touching else part
    return shown
