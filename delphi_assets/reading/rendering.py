"""Windows as a reader sees them: tokens shaded by how strongly the latent fires on them.

In: windows (`Window`), in groups with a title. Out: HTML for a notebook, or lines for a terminal.

1. Tokens are joined as they are. Line breaks are shown as ⏎, other control characters by their
   Unicode pictures, so that no token moves the cursor or turns the text around.
2. HTML: one hue, the stronger the more opaque, over whatever background the page has; a title on
   every token that fires. Token texts are escaped, and dollars in them are no formulas. No script,
   no style sheet, nothing fetched.
3. A terminal that takes colour gets five shades of the 256-colour palette; anything else gets the
   marks of `highlighting`, on every token that fires.

Strength is `normalized` of the table examples, 0 to 10, or down to -10 where the activation is
negative: shown in a hue of its own, or with (-) behind the marks.
"""

import html
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from delphi_assets.reading.highlighting import highlight, mark, on_one_line

SHOWN = 3
"""Windows shown of a group, unless asked otherwise."""

_STRONGEST = 10
# So that text keeps a contrast of 4.5 (WCAG AA) on light pages and on dark ones.
_HUE, _NEGATIVE_HUE, _OPACITY = "220,60,20", "20,100,220", 0.6
# Pale to full orange, and blue. The text on them is black, so they can be read on any background.
_SHADES, _NEGATIVE_SHADES, _BLACK = (230, 223, 216, 209, 202), (195, 153, 117, 75, 39), 16
# Notebooks set what stands between dollars as formulas, but for these classes of MathJax 2 and 3.
_AS_IT_IS = "tex2jax_ignore mathjax_ignore"
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Window(Protocol):
    """What is shown of a window; the sequences have one entry a token."""

    @property
    def str_tokens(self) -> Sequence[str]:
        """Tokens as text."""

    @property
    def activations(self) -> Sequence[float]:
        """Activation of the latent on each."""

    @property
    def normalized(self) -> Sequence[int]:
        """The same as strength, -10 to 10."""

    @property
    def activating(self) -> bool:
        """Whether the latent fires in the window."""

    @property
    def max_activation(self) -> float:
        """Strongest activation in the window, with its sign."""


class Displayed:
    """Base of what shows itself: as HTML in a notebook, as text where it is printed."""

    def html(self) -> str:
        """A fragment of HTML."""
        raise NotImplementedError

    def text(self, *, colour: bool) -> str:
        """Lines for a terminal, with escape sequences for colour or without."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.text(colour=takes_colour())

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


class Section(NamedTuple):
    """A group of windows, of which some are left out."""

    title: str
    windows: Sequence[Window]
    left_out: int


@dataclass(frozen=True)
class Sheet(Displayed):
    """A page: title, notes of one or more lines below it, groups of windows."""

    title: str
    notes: Sequence[str]
    sections: Sequence[Section]

    def html(self) -> str:
        """The page as one `div`."""
        notes = "".join(map(_note_html, self.notes))
        sections = "".join(map(_section_html, self.sections))
        title = f'<div style="font-weight:600">{_escaped(self.title)}</div>'
        return f'<div class="{_AS_IT_IS}" style="text-align:left">{title}{notes}{sections}</div>'

    def text(self, *, colour: bool) -> str:
        """The page as lines."""
        lines = [visible(self.title)]
        lines += [visible(line) for note in self.notes for line in note.splitlines()]
        for group in self.sections:
            lines += ["", group.title]
            lines += [f"  {window_text(window, colour=colour)}" for window in group.windows]
            lines += [f"  {_left_out(group)}"] if group.left_out else []
        return "\n".join(lines)


def section(title: str, windows: Sequence[Window], shown: int) -> Section:
    """A group of which the first `shown` windows are shown."""
    return Section(title, windows[:shown], len(windows[shown:]))


def window_html(window: Window) -> str:
    """A window as one `div`: its strongest activation, or that it does not activate; its tokens."""
    tokens = zip(window.str_tokens, window.activations, window.normalized, strict=True)
    text = "".join(_token_html(*token) for token in tokens)
    label = f'<span style="opacity:.6;min-width:4em;text-align:right">{_label(window)}</span>'
    tokens_style = "font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere"
    return (
        f'<div class="{_AS_IT_IS}" style="display:flex;gap:.8em;align-items:baseline">{label}'
        f'<span style="{tokens_style}">{text}</span></div>'
    )


def window_text(window: Window, *, colour: bool) -> str:
    """A window as one line, see `window_html`."""
    tokens = [visible(token) for token in window.str_tokens]
    if colour:
        text = "".join(map(_token_shaded, tokens, window.normalized))
    else:
        text = highlight(tokens, mark(window.activations, 0.0, 0.0, inclusive=False))
    return f"{_label(window):>6}  {text}"


def takes_colour() -> bool:
    """Whether what is printed goes to a terminal that shows colours, and the user wants them.

    `NO_COLOR`, set to anything, says that they are not wanted (https://no-color.org).
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def visible(text: str) -> str:
    """`text` on one line, without characters that move the cursor or turn the text around."""
    return _CONTROLS.sub(_picture, on_one_line(text))


def _picture(control: re.Match[str]) -> str:
    code = ord(control[0])
    return chr(0x2400 + code) if code < 0x20 else f"[U+{code:04X}]"


def _escaped(text: str) -> str:
    return html.escape(visible(text))


def _note_html(note: str) -> str:
    lines = "\n".join(map(_escaped, note.splitlines()))
    return f'<div style="white-space:pre-wrap">{lines}</div>'


def _label(window: Window) -> str:
    return f"{window.max_activation:.4g}" if window.activating else "silent"


def _left_out(group: Section) -> str:
    return f"... and {group.left_out} more"


def _section_html(group: Section) -> str:
    windows = "".join(map(window_html, group.windows))
    more = f'<div style="opacity:.6">{_left_out(group)}</div>' if group.left_out else ""
    title = f'<div style="margin-top:.6em;opacity:.8">{_escaped(group.title)}</div>'
    return f"{title}{windows}{more}"


def _token_html(str_token: str, activation: float, strength: int) -> str:
    if not strength:
        return _escaped(str_token)
    hue = _HUE if strength > 0 else _NEGATIVE_HUE
    opacity = _OPACITY * abs(strength) / _STRONGEST
    title = html.escape(f"{str_token!r}: {activation:.4g}, {strength} of {_STRONGEST}")
    style = f"background:rgba({hue},{opacity:.2f})"
    return f'<span style="{style}" title="{title}">{_escaped(str_token)}</span>'


def _token_shaded(token: str, strength: int) -> str:
    if not strength:
        return token
    shades = _SHADES if strength > 0 else _NEGATIVE_SHADES
    shade = shades[(abs(strength) - 1) * len(shades) // _STRONGEST]
    return f"\x1b[38;5;{_BLACK};48;5;{shade}m{token}\x1b[0m"
