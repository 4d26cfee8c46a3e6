"""Windows as an LLM sees them: text with the tokens that matter between << and >>.

In: the tokens of a window as text and which of them are marked. Out: one text. Runs of adjacent
marked tokens share one pair of brackets.
"""

from collections.abc import Sequence
from itertools import groupby

OPEN, CLOSE = "<<", ">>"


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


def highlight(str_tokens: Sequence[str], marked: Sequence[bool]) -> str:
    """The window's text with every run of marked tokens between `<<` and `>>`."""
    parts = []
    for is_marked, run in groupby(zip(str_tokens, marked, strict=True), key=lambda pair: pair[1]):
        text = "".join(token for token, _ in run)
        parts.append(f"{OPEN}{text}{CLOSE}" if is_marked else text)
    return "".join(parts)
