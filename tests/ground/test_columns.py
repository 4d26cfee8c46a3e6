"""Columns: places of a terminal, nothing styled in a pipe, rich not loaded for the help."""

import subprocess
import sys

import pytest

from delphi_assets.ground.columns import fact, in_columns, widest

LINES = [["name", "n"], ["漢字", "1"], ["[red]:smile:", "12"]]


def test_cells_stand_in_their_columns() -> None:
    assert widest(LINES) == [12, 2]
    assert in_columns(LINES, (False, True)) == [
        "name           n",
        "漢字           1",
        "[red]:smile:  12",
    ]


def test_what_is_too_long_is_cut_or_folded() -> None:
    assert in_columns(LINES, (True, False), (5, 1)) == [" name  n", " 漢字  1", "[red…  …"]
    told = [["a", "one two three"], ["bc", "four"]]
    assert in_columns(told, (False, False), room=11) == ["a   one two", "    three", "bc  four"]


def test_a_heading_is_bold_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    plain, bold = (
        in_columns(LINES, (False, True), heading=1, terminal=terminal) for terminal in (False, True)
    )
    assert "\x1b" not in "".join(plain)
    assert bold[0].startswith("\x1b[1mname")
    assert bold[1:] == plain[1:]
    assert fact("[b]", "x" * 300, terminal=False) == f"[b]: {'x' * 300}"
    assert fact("[b]", "x" * 300, terminal=True) == f"\x1b[1m[b]:\x1b[0m {'x' * 300}"
    monkeypatch.setenv("TERM", "dumb")
    assert in_columns(LINES, (False, True), heading=1, terminal=True) == plain


@pytest.mark.parametrize("value", ["two\nlines", "a\u2028b", "", "cannot be read (one\n\ntwo)"])
def test_a_fact_may_have_any_text(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """An error of another library, told by `verify`, has several lines."""
    monkeypatch.setenv("TERM", "dumb")
    assert fact("name", value, terminal=True) == fact("name", value, terminal=False).rstrip()
    assert in_columns([["a\u2028b", "c"]], (False, False)) == ["a\u2028b  c"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [
        "import delphi_assets.command_line as command\ntry: command.main(['--help'])\n"
        "except SystemExit: pass",
        "import dagster_project.definitions",
    ],
)
def test_neither_the_help_nor_the_code_location_loads_it(start: str) -> None:
    program = f"{start}\nimport sys\nprint([m for m in ('rich', 'shtab') if m in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"
