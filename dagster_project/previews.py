"""Previews: a few latents of a hookpoint with the windows in which they fire most.

In: the lake, read through `sql/ui/`. Out: Markdown metadata; None where there is nothing to show.
A window is a line: its largest activation, then its text. Tokens above `explain.threshold` of the
latent's strongest one here are in bold type, as the explainer is shown them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import duckdb

from dagster_project import markdown
from delphi_assets.lake.database import query
from delphi_assets.lake.place import Place
from delphi_assets.reading.highlighting import mark
from delphi_assets.reading.in_words import in_words

N_LATENTS, N_WINDOWS = 5, 3
_TOP_TOKENS = 5


def of_latents(con: duckdb.DuckDBPyConnection, place: Place) -> dg.MarkdownMetadataValue | None:
    """Latents from rare to frequent with their top tokens."""
    found = _typical(con, place)
    if not found:
        return None
    return dg.MetadataValue.md("\n".join(f"- {_heading(row)}: {_tokens(row)}" for row in found))


def of_examples(
    con: duckdb.DuckDBPyConnection, place: Place, selection: str
) -> dg.MarkdownMetadataValue | None:
    """The same latents with their strongest train windows."""
    found = _typical(con, place)
    windows = _windows(con, place, selection, [row["latent"] for row in found])
    return _sheet([(_heading(row), [], windows.get(row["latent"], [])) for row in found])


def of_explanations(
    con: duckdb.DuckDBPyConnection, place: Place, selection: str
) -> dg.MarkdownMetadataValue | None:
    """The latents explained last, with their explanations and strongest train windows."""
    keys = {**place.keys, "selection": selection}
    rows = query(con, "ui/latest_explanations", **keys, n_latents=N_LATENTS).to_pylist()
    texts: dict[int, list[str]] = {}
    for row in rows:
        # An explainer without an LLM is its own model.
        by = markdown.escaped(", ".join(dict.fromkeys((row["explainer"], row["explainer_model"]))))
        text = markdown.escaped(markdown.cut(in_words(row["explanation"]).replace("\n", "; ")))
        texts.setdefault(row["latent"], []).append(f"{by}: *{text.strip()}*")
    windows = _windows(con, place, selection, list(texts))
    return _sheet(
        [(f"**latent {latent}**", said, windows.get(latent, [])) for latent, said in texts.items()]
    )


def _typical(con: duckdb.DuckDBPyConnection, place: Place) -> list[dict[str, Any]]:
    keys = place.keys
    found: list[dict[str, Any]]
    found = query(con, "ui/typical_latents", **keys, n_latents=N_LATENTS).to_pylist()
    return found


def _windows(
    con: duckdb.DuckDBPyConnection, place: Place, selection: str, latents: list[int]
) -> dict[int, list[str]]:
    """Lines of windows by latent."""
    keys = {**place.keys, "selection": selection}
    rows = query(con, "ui/strongest_windows", **keys, latents=latents, n_windows=N_WINDOWS)
    lines: dict[int, list[str]] = {}
    strongest: dict[int, float] = {}
    for row in rows.to_pylist():
        maximum = strongest.setdefault(row["latent"], row["max_activation"])
        marked = mark(row["activations"], place.profile.explain.threshold, maximum, inclusive=True)
        shown = markdown.window(row["str_tokens"], marked)
        lines.setdefault(row["latent"], []).append(f"{row['max_activation']:.3g} · {shown}")
    return lines


def _heading(row: Mapping[str, Any]) -> str:
    return f"**latent {row['latent']}**, on {row['token_density']:.2%} of tokens"


def _tokens(row: Mapping[str, Any]) -> str:
    pairs = zip(row["top_tokens"][:_TOP_TOKENS], row["top_token_shares"], strict=False)
    return ", ".join(f"{markdown.escaped(repr(token))} {share:.0%}" for token, share in pairs)


def _sheet(
    latents: Sequence[tuple[str, Sequence[str], Sequence[str]]],
) -> dg.MarkdownMetadataValue | None:
    """Headings, each with its notes and windows below it; None unless there is a window."""
    if not any(windows for _, _, windows in latents):
        return None
    lines = []
    for heading, notes, windows in latents:
        lines += [f"- {heading}", *(f"  - {line}" for line in (*notes, *windows))]
    return dg.MetadataValue.md("\n".join(lines))
