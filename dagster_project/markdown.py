"""Tables, windows and pictures as Markdown, the one form of rich metadata that the UI draws.

In: rows and texts, from corpora and LLMs among them. Out: Markdown metadata; None where there is
nothing to show. The UI renders GitHub's Markdown in a monospaced font and drops raw HTML, so tokens
are marked by bold type. Text is escaped: no character of it begins markup, and no address in it
becomes a link.
"""

import base64
import math
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

import dagster as dg
import pyarrow as pa

from delphi_assets.reading.highlighting import NEGATIVE
from delphi_assets.reading.rendering import visible

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_ADDRESSES = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
_WORD_JOINER, _HAIR_SPACE = "\u2060", "\u200a"
_LONGEST_CELL = 200
_BLOCKS = "·▁▂▃▄▅▆▇█"


def table(rows: pa.Table) -> dg.MarkdownMetadataValue | None:
    """`rows` as a Markdown table."""
    if not rows.num_rows:
        return None
    lines = [_line(map(escaped, rows.column_names)), _line("---" for _ in rows.column_names)]
    lines += [_line(map(_cell, row.values())) for row in rows.to_pylist()]
    return dg.MetadataValue.md("\n".join(lines))


def sparkline(counts: Sequence[float]) -> str:
    """`counts` as a line of blocks, the largest full; a dot for none, and for nothing else."""
    largest = max(counts, default=0)
    steps = len(_BLOCKS) - 1
    return "".join(
        _BLOCKS[math.ceil(steps * count / largest)] if count else _BLOCKS[0] for count in counts
    )


def picture(png: bytes, name: str) -> dg.MarkdownMetadataValue:
    """A PNG picture as a data URI."""
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})")


def escaped(text: str) -> str:
    """`text` on one line, every character of it standing for itself."""
    # Addresses become links even where their punctuation is escaped, so they are broken up by a
    # character that has no width.
    broken = _ADDRESSES.sub(_WORD_JOINER, visible(text))
    return _PUNCTUATION.sub(r"\\\1", broken)


def cut(text: str, longest: int = _LONGEST_CELL) -> str:
    """`text`, with an ellipsis where it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def window(str_tokens: Sequence[str], marked: Sequence[int]) -> str:
    """A window on one line, runs of marked tokens in bold type, (-) behind negative ones."""
    shown = ""
    for mark_of, run in groupby(zip(str_tokens, marked, strict=True), key=lambda pair: pair[1]):
        text = "".join(token for token, _ in run)
        shown += _bold(text) if mark_of else escaped(text)
        shown += escaped(NEGATIVE) if mark_of < 0 else ""
    return shown.strip()


def _bold(text: str) -> str:
    """`text` in bold type: what stands for a space goes outside, as Markdown wants it."""
    flat = visible(text)
    inner = flat.strip()
    if not inner:
        return flat
    before, _, after = flat.partition(inner)
    # Beside a letter, stars are markup only where a space or a letter follows; hence the thin one.
    return f"{before}{_HAIR_SPACE}**{escaped(inner)}**{_HAIR_SPACE}{after}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escaped(cut(str(value)))
