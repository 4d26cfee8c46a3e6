"""LLM calls behind explanations and answers, `PAGE` latents a file: prompts and raw answers.

Out: number and content of each file, none for pages without a call:

    texts    distinct texts of messages: instructions and worked examples repeat
    calls    per call its facts, its messages as (role, place in `texts`), its answer or error
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import duckdb

from delphi_assets.explorer.described import Row
from delphi_assets.explorer.ranges import PAGE, Range
from delphi_assets.explorer.site_folder import HookpointPlace
from delphi_assets.lake.database import query
from delphi_assets.latent_ranges import Latents


def calls_of(
    con: duckdb.DuckDBPyConnection, place: HookpointPlace, part: Range, latents: Latents
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The files with the calls of a range, as number and content."""
    rows = query(con, "explorer/calls", **place._asdict(), **part._asdict()).to_pylist()
    wanted = [row for row in rows if row["latent"] in latents]
    for number, calls in groupby(wanted, key=lambda row: row["latent"] // PAGE):
        yield number, _page(calls)


def _page(rows: Iterable[Row]) -> dict[str, Any]:
    places: dict[str, int] = {}
    calls = {}
    for row in rows:
        messages = [
            (role, places.setdefault(text, len(places)))
            for role, text in _messages(row["messages"])
        ]
        facts = {name: value for name, value in row.items() if value is not None}
        calls[row["request"]] = {**facts, "messages": messages}
    return {"texts": list(places), "calls": list(calls.values())}


def _messages(stored: str | None) -> list[tuple[str, str]]:
    """Role and text of each message of a prompt; what is no list of messages is shown as it is."""
    if stored is None:
        return []
    try:
        messages = json.loads(stored)
        return [(str(one["role"]), _text(one["content"])) for one in messages]
    except (ValueError, TypeError, KeyError):
        return [("prompt", stored)]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
