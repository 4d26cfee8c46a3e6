"""Pages: everything the lake says of a latent, `PAGE` latents a file.

In: the rows of a range of latents. Out: number and content of each file, in order:

    strings, texts     the windows' tokens, see `windows`
    latents            per latent statistics, explanations, scores, verdicts, windows, neighbours,
                       labels

Scores and verdicts name their explanation by its place in the latent's list of explanations. What
is null is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from delphi_assets.explorer.described import LatentRows, Row, by_latent
from delphi_assets.explorer.ranges import PAGE, Range
from delphi_assets.explorer.site_folder import HookpointPlace
from delphi_assets.explorer.windows import page_windows
from delphi_assets.lake.database import query
from delphi_assets.reading.in_words import in_words
from delphi_assets.reading.rendering import visible

_NEIGHBOURS = 10
_PLAIN = "plain"


def pages_of(
    con: duckdb.DuckDBPyConnection, place: HookpointPlace, part: Range, described: LatentRows
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The files with the latents of a range, as number and content."""
    keys = {**place._asdict(), **part._asdict()}
    windows = query(con, "explorer/windows", **keys)
    verdicts = by_latent(query(con, "explorer/verdicts", **keys).to_pylist())
    near = query(con, "explorer/neighbours", **keys, n_neighbours=_NEIGHBOURS)
    neighbours = by_latent(near.to_pylist())
    for number, rows in groupby(described.latents, key=lambda row: row["latent"] // PAGE):
        held = page_windows(_of_page(windows, number))
        latents = [
            {
                **_described(row, described, verdicts.get(row["latent"], [])),
                "neighbours": list(map(_without_latent, neighbours.get(row["latent"], []))),
                "windows": held.groups.get(row["latent"], []),
            }
            for row in rows
        ]
        yield number, {"strings": held.strings, "texts": held.texts, "latents": latents}


def _of_page(windows: pa.Table, number: int) -> pa.Table:
    latents = windows["latent"]
    inside = pc.and_(
        pc.greater_equal(latents, number * PAGE), pc.less(latents, (number + 1) * PAGE)
    )
    return windows.filter(inside)


def _described(row: Row, described: LatentRows, verdicts: list[Row]) -> dict[str, Any]:
    explanations = described.explanations.get(row["latent"], [])
    scores = described.scores.get(row["latent"], [])
    places = {one["explanation_id"]: place for place, one in enumerate(explanations)}
    return {
        **_present(row),
        "top_tokens": list(map(visible, row["top_tokens"] or [])),
        "explanations": list(map(_explanation, explanations)),
        "scores": [_named(score, places) for score in scores],
        "verdicts": [_verdict(verdict, places) for verdict in verdicts],
        "labels": list(map(_label, described.labels.get(row["latent"], []))),
    }


def _label(row: Row) -> dict[str, str]:
    """A label as texts: of a number, its digits as they were given."""
    return {name: lines(row[name]) for name in ("source", "name", "value")}


def _explanation(row: Row) -> dict[str, Any]:
    told = {"explanation": row["explanation"] and in_words(row["explanation"])}
    told["failure"] = row["failure"]
    shown = {name: lines(text) for name, text in told.items() if text is not None}
    return {**_without_latent(row), **shown}


def lines(text: str) -> str:
    """A text as it is, but for characters that would move the cursor or turn the text around."""
    return "\n".join(visible(line) for line in text.splitlines())


def _verdict(row: Row, places: Mapping[str, int]) -> dict[str, Any]:
    """Answers as numbers: 1 is true; failures are pairs of an answer's place and its reason."""
    failures = [[place, one] for place, one in enumerate(row["failures"]) if one is not None]
    columns = {
        "variants": row["variants"] if set(row["variants"]) != {_PLAIN} else None,
        "truths": _bits(row["truths"]),
        "predictions": _filled(_bits(row["predictions"])),
        "probabilities": _filled(row["probabilities"]),
        "values": _filled(row["values"]),
        "failures": failures or None,
        "requests": row["requests"] or None,
    }
    return _named({**row, **columns}, places)


def _named(row: Row, places: Mapping[str, int]) -> dict[str, Any]:
    """`row` with its explanation by place; null where it was judged without one."""
    kept = {name: value for name, value in row.items() if name != "explanation_id"}
    return _without_latent({**kept, "explanation": places.get(row["explanation_id"])})


def _without_latent(row: Row) -> dict[str, Any]:
    return {name: value for name, value in _present(row).items() if name != "latent"}


def _present(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _bits(values: Iterable[bool | None]) -> list[int | None]:
    return [None if value is None else int(value) for value in values]


def _filled(values: list[Any]) -> list[Any] | None:
    return values if any(value is not None for value in values) else None
