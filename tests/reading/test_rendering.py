"""Windows as HTML and as text: nothing of a token is lost, and nothing of it is obeyed."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.reading.rendering import (
    Sheet,
    section,
    takes_colour,
    visible,
    window_html,
    window_text,
)


@dataclass(frozen=True)
class Shown:
    """A window whose latent has 10 as its largest activation."""

    str_tokens: list[str]
    normalized: list[int]

    @property
    def activations(self) -> list[float]:
        return [float(strength) for strength in self.normalized]

    @property
    def max_activation(self) -> float:
        return max(self.activations, default=0.0)

    @property
    def activating(self) -> bool:
        return self.max_activation > 0


class Reader(HTMLParser):
    """Reads a fragment: its text, its titles, the tags that are open."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.read = ""
        self.titles: list[str | None] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(fragment)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.read += data


LAKE = Shown([" The", " Zürich", "", " lake", "\n"], [0, 2, 0, 10, 0])
SILENT = Shown([" a", " b"], [0, 0])
HOSTILE = Shown(
    ["<script>", "alert('x')</script>", '" onload="x', "&lt;", "\x1b[31m"], [9, 0, 3, 1, 1]
)


def test_html_by_hand() -> None:
    assert window_html(LAKE) == (
        '<div class="tex2jax_ignore mathjax_ignore" '
        'style="display:flex;gap:.8em;align-items:baseline">'
        '<span style="opacity:.6;min-width:4em;text-align:right">10</span>'
        '<span style="font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere"> The'
        '<span style="background:rgba(220,60,20,0.12)" title="&#x27; Zürich&#x27;: 2, 2 of 10">'
        " Zürich</span>"
        '<span style="background:rgba(220,60,20,0.60)" title="&#x27; lake&#x27;: 10, 10 of 10">'
        " lake</span>⏎</span></div>"
    )


def test_text_by_hand() -> None:
    assert window_text(LAKE, colour=False) == "    10   The<< Zürich>><< lake>>⏎"
    weak, strong = "\x1b[38;5;16;48;5;230m", "\x1b[38;5;16;48;5;202m"
    assert window_text(LAKE, colour=True) == (
        f"    10   The{weak} Zürich\x1b[0m{strong} lake\x1b[0m⏎"
    )
    assert window_text(SILENT, colour=False) == "silent   a b"
    assert window_text(SILENT, colour=True) == "silent   a b"


def test_hostile_tokens_stay_text() -> None:
    read = Reader(window_html(HOSTILE))
    assert read.tags == {"div", "span"}
    assert read.attributes == {"class", "style", "title"}
    assert not read.open
    assert read.read == "9" + "<script>alert('x')</script>\" onload=\"x&lt;␛[31m"
    assert read.titles[0] == "'<script>': 9, 9 of 10"
    assert "\x1b" not in window_html(HOSTILE) + window_text(HOSTILE, colour=False)


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" two  spaces ", " two  spaces "),
        ("a\r\nb\nc", "a⏎b⏎c"),
        ("\ta\x00", "␉a␀"),
        ("\x7f", "[U+007F]"),
        ("\u202eabc", "[U+202E]abc"),
        ("\u061c", "[U+061C]"),
        ("é🌊", "é🌊"),
    ],
)
def test_visible(token: str, shown: str) -> None:
    assert visible(token) == shown


windows = st.lists(st.tuples(st.text(max_size=8), st.integers(0, 10)), min_size=1, max_size=20).map(
    lambda pairs: Shown([token for token, _ in pairs], [strength for _, strength in pairs])
)


@given(windows)
def test_no_text_is_lost(window: Shown) -> None:
    text = "".join(map(visible, window.str_tokens))
    read = Reader(window_html(window))
    assert not read.open
    assert (
        read.read.removeprefix(f"{window.max_activation:.4g}" if window.activating else "silent")
        == text
    )
    assert len(read.titles) == sum(strength > 0 for strength in window.normalized)
    coloured = re.sub(r"\x1b\[[0-9;]*m", "", window_text(window, colour=True))
    assert coloured[8:] == text
    assert len(window_text(window, colour=False).splitlines()) == 1


def test_stronger_is_more_opaque() -> None:
    one_each = Shown([str(strength) for strength in range(11)], list(range(11)))
    opacities = [float(found) for found in re.findall(r",(0\.\d+)\)", window_html(one_each))]
    assert len(opacities) == 10
    assert opacities == sorted(set(opacities))
    shades = re.findall(r"48;5;(\d+)m", window_text(one_each, colour=True))
    assert [shades[place] for place in range(0, 10, 2)] == ["230", "223", "216", "209", "202"]


def luminance(colour: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour, as WCAG 2 defines it."""
    parts = [value / 255 for value in colour]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("page", "text"), [(255, 0), (17, 255), (30, 212), (56, 213)])
def test_the_strongest_shade_can_be_read(page: int, text: int) -> None:
    """On pages as white, or as dark as those of JupyterLab, VS Code and Colab: at least 4.5."""
    found = re.search(r"rgba\((\d+),(\d+),(\d+),(0\.\d+)\)", window_html(Shown(["a"], [10])))
    assert found
    *hue, opacity = map(float, found.groups())
    shade = luminance([opacity * part + (1 - opacity) * page for part in hue])
    dark, light = sorted((shade, luminance([text] * 3)))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_sheet() -> None:
    sheet = Sheet("latent 1", ["fires", "a\nb"], [section("train", [LAKE] * 4, 1)])
    assert sheet.text(colour=False).splitlines() == [
        "latent 1",
        "fires",
        "a",
        "b",
        "",
        "train",
        f"  {window_text(LAKE, colour=False)}",
        "  ... and 3 more",
    ]
    read = Reader(sheet.html())
    assert not read.open
    assert read.read == "latent 1firesa\nbtrain10 The Zürich lake⏎... and 3 more"
    assert sheet.html().startswith('<div class="tex2jax_ignore mathjax_ignore"')
    everything = Sheet("", [], [section("train", [LAKE] * 4, 4)])
    assert "more" not in everything.text(colour=False) + everything.html()
    printed: list[str] = []

    class Printer:
        text = printed.append

    sheet._repr_pretty_(Printer(), False)
    assert printed == [sheet.text(colour=False)]
    assert sheet._repr_html_() == sheet.html()


def test_colour_goes_to_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    sheet = Sheet("latent 1", [], [section("train", [LAKE], 1)])
    assert not takes_colour()
    assert str(sheet) == sheet.text(colour=False)
    reader, terminal = os.openpty()
    with open(reader, "rb"), open(terminal, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert takes_colour()
        assert str(sheet) == sheet.text(colour=True)
        monkeypatch.setenv("TERM", "dumb")
        assert not takes_colour()
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("NO_COLOR", "1")
        assert str(sheet) == sheet.text(colour=False)
        monkeypatch.undo()
