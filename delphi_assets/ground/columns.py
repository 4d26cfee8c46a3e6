"""Texts in columns, laid out by rich: plain in a pipe, with a bold heading on a terminal.

In: lines of cells. Out: lines of text, without spaces at their ends. Wide characters take two
places.
"""

import io
from collections.abc import Sequence

_APART = 2
"""Spaces between columns."""


def in_columns(
    lines: Sequence[Sequence[str]],
    right: Sequence[bool],
    widths: Sequence[int] | None = None,
    *,
    heading: int = 0,
    terminal: bool = False,
    room: int | None = None,
) -> list[str]:
    """Lines with each cell in its column, to the right where `right` says so.

    A cell is cut to its column's width, which is that of its widest cell without `widths`. The
    first `heading` lines are the heading. With `room` the last column is folded into what is left
    of so many places.
    """
    from rich.table import Table
    from rich.text import Text

    widths = widths or widest(lines)
    if room is not None:
        before = sum(widths[:-1]) + _APART * (len(widths) - 1)
        widths = [*widths[:-1], max(min(widths[-1], room - before), 1)]
    table = Table.grid(padding=(0, _APART, 0, 0))
    for column, (width, to_right) in enumerate(zip(widths, right, strict=True)):
        folds = room is not None and column == len(widths) - 1
        table.add_column(
            width=width,
            justify="right" if to_right else "left",
            no_wrap=not folds,
            overflow="fold" if folds else "ellipsis",
        )
    for number, cells in enumerate(lines):
        table.add_row(*map(Text, cells), style="bold" if number < heading else None)
    return _drawn(table, sum(widths) + _APART * len(widths), terminal)


def widest(lines: Sequence[Sequence[str]]) -> list[int]:
    """Places that the widest cell of each column takes."""
    from rich.cells import cell_len

    return [max(map(cell_len, column)) for column in zip(*lines, strict=True)]


def fact(name: str, value: object, terminal: bool) -> str:
    """A fact as a line; a value of several lines keeps them."""
    if not terminal:
        return f"{name}: {value}"
    from rich.text import Text

    return "\n".join(_drawn(Text.assemble((f"{name}:", "bold"), f" {value}"), None, terminal))


def _drawn(shown: object, width: int | None, terminal: bool) -> list[str]:
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=terminal, highlight=False, legacy_windows=False
    )
    console.print(shown, soft_wrap=width is None)
    # No other character that ends a line: rich keeps them within one.
    return [line.rstrip() for line in out.getvalue().removesuffix("\n").split("\n")]
