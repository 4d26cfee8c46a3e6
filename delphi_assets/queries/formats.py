"""Rows as text: a table to look at, CSV and JSON for programs.

CSV and JSON hold every row and every digit: CSV with an empty field for null and lists as JSON,
JSON as one array with an object a line, NaN and infinities null. In CSV no text is a formula to a
spreadsheet (`harmless`). A table shows the first rows,
numbers in four digits, texts on one line and shortened until the columns fit, names of columns on
several lines; when they cannot, each row is shown as lines of name and value.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TextIO

import pyarrow as pa

from delphi_assets.ground.columns import in_columns, widest
from delphi_assets.queries.results import Rows, first
from delphi_assets.reading.rendering import visible

_ROWS, _BLOCKS = 100, 10
"""Rows that are shown, on a line each and on several."""
_NARROWEST = 8
"""Columns are not made narrower than that many characters."""
_SPECIAL = re.compile(r'[,"\r\n]')
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_LONGEST = 400
"""Characters of a value that are shown, where each has a line."""


def write_csv(rows: Rows, out: TextIO) -> None:
    """All rows, with a line of names."""
    _write_line(map(harmless, rows.names), out)
    # Dates before our era begin with a minus, too.
    fields = [_field if pa.types.is_temporal(kind) else _harmless_field for kind in rows.types]
    for row in rows.rows:
        _write_line((field(value) for field, value in zip(fields, row, strict=True)), out)


def _write_line(fields: Iterable[str], out: TextIO) -> None:
    """Fields as a line; the library's csv, before Python 3.13, leaves carriage returns bare."""
    # An empty line would be none.
    out.write((",".join(map(_quoted, fields)) or '""') + "\n")


def _quoted(text: str) -> str:
    if not _SPECIAL.search(text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def harmless(text: str) -> str:
    """`text` with a `'` in front where a spreadsheet would take it for a formula.

    That is where it begins with `=`, `+`, `-`, `@`, a tab or a carriage return, whatever number of
    `'` stands before: so the first `'` of a field that begins with `'` and one of these was added,
    and no other.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def _harmless_field(value: object) -> str:
    return harmless(value) if isinstance(value, str) else _field(value)


def write_json(rows: Rows, out: TextIO) -> None:
    """All rows as one JSON array."""
    out.write("[")
    before = "\n"
    for row in rows.rows:
        held = dict(zip(rows.names, map(_plain, row), strict=True))
        out.write(before + json.dumps(held, ensure_ascii=False, allow_nan=False))
        before = ",\n"
    out.write("\n]\n")


def write_table(rows: Rows, out: TextIO, width: int | None, n_rows: int | None) -> None:
    """The first `n_rows`, on lines of at most `width` characters.

    Without `width` lines are as long as they are; without `n_rows` 100 are shown, or 10 where each
    takes several lines.
    """
    shown, more = first(rows, n_rows or _ROWS)
    if rows.names == ["explain_key", "explain_value"]:
        out.writelines(f"{row[1]}\n" for row in shown)
        return
    texts = [[_shown(value) for value in row] for row in shown]
    widths = _fitted(rows.names, texts, width)
    if width is not None and widths is None:
        more = more or (n_rows is None and len(texts) > _BLOCKS)
        texts = texts if n_rows else texts[:_BLOCKS]
        _write_lines(rows.names, texts, out, width)
    elif widths is not None:
        _write_columns(rows, texts, widths, out)
    n_shown = f"{len(texts):,} row{'' if len(texts) == 1 else 's'}"
    out.write(f"the first {n_shown} of more\n" if more else f"{n_shown}\n")


def _write_columns(
    rows: Rows, texts: Sequence[Sequence[str]], widths: Sequence[int], out: TextIO
) -> None:
    names = [_wrapped(name, width) for name, width in zip(rows.names, widths, strict=True)]
    n_lines = max(map(len, names))
    header = list(zip(*([""] * (n_lines - len(name)) + name for name in names), strict=True))
    rule = ["-" * width for width in widths]
    lines = [*header, rule, *texts]
    right = list(map(_is_number, rows.types))
    shown = in_columns(lines, right, widths, heading=n_lines, terminal=out.isatty())
    out.writelines(f"{line}\n" for line in shown)


def _write_lines(
    names: Sequence[str], texts: Sequence[Sequence[str]], out: TextIO, width: int
) -> None:
    (widest_name,) = widest([[name] for name in names])
    room = min(max(_NARROWEST, width - widest_name - 2), _LONGEST)
    for number, row in enumerate(texts, 1):
        lines = list(zip(names, row, strict=True))
        shown = in_columns(lines, (True, False), (widest_name, room))
        out.writelines(f"{line}\n" for line in (f"-- row {number}", *shown))


def _fitted(
    names: Sequence[str], texts: Sequence[Sequence[str]], width: int | None
) -> list[int] | None:
    """Widths of the columns so that a line fits; None when it cannot."""
    contents = widest(texts) or [0] * len(names)
    on_one_line = widest([names, *texts])
    room = (width or 0) - 2 * (len(names) - 1)
    if width is None or sum(on_one_line) <= room:
        return on_one_line
    pieces = (max(map(len, _pieces(name))) for name in names)
    wanted = [max(held, piece) for held, piece in zip(contents, pieces, strict=True)]
    for most in range(room, _NARROWEST - 1, -1):
        narrowed = [min(held, most) for held in wanted]
        if sum(narrowed) <= room:
            return narrowed
    return None


def _pieces(name: str) -> list[str]:
    """A name in parts that may stand on lines of their own."""
    return re.findall(r"[^_]*_?", name)[:-1] or [name]


def _wrapped(name: str, width: int) -> list[str]:
    lines = [""]
    for piece in _pieces(name):
        if lines[-1] and len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return lines


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.8g}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown_inside, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_shown_inside(held)}' for key, held in value.items())}}}"
    return visible(_field(value))


def _shown_inside(value: object) -> str:
    return visible(repr(value)) if isinstance(value, str) else _shown(value) or "null"


def _field(value: object) -> str:
    """A value as text, with all its digits."""
    value = _plain(value, keep_nan=True)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _plain(value: object, *, keep_nan: bool = False) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if isinstance(value, dict):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, float):
        return value if keep_nan or math.isfinite(value) else None
    return _plain_scalar(value)


def _plain_scalar(value: object) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


WRITERS: dict[str, Callable[[Rows, TextIO], None]] = {"csv": write_csv, "json": write_json}
