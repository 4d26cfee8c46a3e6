"""Writing the explorer: from the tables of a lake to the data files of a site.

In: a lake, and which of its runs, hookpoints and latents. Out: a site (`site_folder`), with these
files per hookpoint:

    overview           what the lake says of the hookpoint on the whole (`overview`)
    numbers/<piece>    columns of the list of latents, `PIECE` latents a file (`listing`)
    tokens/<piece>, texts/<set>/<piece>     what the list shows of them as text
    latents/<page>     everything about `PAGE` latents (`pages`)
    calls/<page>       the LLM calls behind it (`calls`)

1. Scores are computed once, a range of latents at a time, and kept for the rest (`kept_scores`).
2. Range by range, the tables are read and the files of its latents written. What grows with the
   coder are the kept scores, which DuckDB spills.
3. The overview comes last; then the site shows what was written, at once.
"""

import os
import time
from collections.abc import Iterator

import duckdb

from delphi_assets.errors import NotReadyError, SettingError
from delphi_assets.explorer.calls import calls_of
from delphi_assets.explorer.described import describe
from delphi_assets.explorer.listing import Listing
from delphi_assets.explorer.overview import overview_of
from delphi_assets.explorer.pages import pages_of
from delphi_assets.explorer.ranges import PIECE, Range, ranges
from delphi_assets.explorer.site_folder import Edition, HookpointPlace, SiteFolder
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import Bar, with_bar
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.database import connect, keep_rows, query
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import ALL, Latents, WhichLatents, as_latents
from delphi_assets.scorers.kept_scores import keep_scores

_MEMORY = "1GB"
"""What DuckDB keeps of scores in memory before it spills."""


@terminable()
def write_explorer(
    lake: Lake,
    folder: str | os.PathLike[str],
    run: str | None = None,
    hookpoint: str | None = None,
    latents: WhichLatents = ALL,
) -> StageReport:
    """Write the explorer of a lake's hookpoints into `folder`, a local one or a URL.

    Without `run` or `hookpoint` it is about all of them. What the site holds of other hookpoints
    stays. Rows are latents; facts are `path` (of the page to open), `pages`, `files` and
    `hookpoints`. Raises `NotReadyError` when the lake has none such, `SettingError` when a
    hookpoint has none of `latents`, `StorageError` when the folder cannot be written.
    """
    started, latents = time.perf_counter(), as_latents(latents)
    site = SiteFolder(os.fspath(folder))
    editions = []
    rows = 0
    for place in _places(lake, run, hookpoint):
        edition = site.edition(place)
        try:
            found = _write_place(lake, edition, latents)
        except BaseException:
            edition.discard()
            raise
        site.publish(edition, {"latents": found})
        editions.append(edition)
        rows += found
    return StageReport(
        rows=rows,
        new_rows=rows,
        seconds=time.perf_counter() - started,
        bytes=sum(edition.bytes for edition in editions),
        facts={
            "path": site.storage.location("index.html"),
            "pages": rows,
            "files": sum(edition.files for edition in editions),
            "hookpoints": len(editions),
        },
    )


def _places(lake: Lake, run: str | None, hookpoint: str | None) -> list[HookpointPlace]:
    with connect(lake) as con:
        there = [HookpointPlace(**row) for row in query(con, "explorer/places").to_pylist()]
    found = [
        place
        for place in there
        if run in (None, place.run) and hookpoint in (None, place.hookpoint)
    ]
    if not found:
        holds = [f"{place.run} {place.hookpoint}" for place in there]
        raise NotReadyError(
            f"{lake!r} holds nothing to explore of run {run!r}, hookpoint {hookpoint!r} (None: any)"
            f"; it holds {holds}. Materialize the asset 'latents' first."
        )
    return found


def _write_place(lake: Lake, edition: Edition, latents: Latents) -> int:
    """Write all data files of a place; returns how many latents they are about."""
    place = edition.place
    with connect(lake, memory_limit=_MEMORY) as con:
        (size,) = query(con, "explorer/size", **place._asdict()).to_pylist()
        asked = list(ranges(size["n_latents"], latents))
        _judge(con, place, size["n_latents"], latents)
        listing, pieces = Listing(con, place), []
        for piece, parts in _by_piece(place, asked):
            for part in parts:
                described = describe(con, place, part, latents)
                listing.add(described)
                for number, page in pages_of(con, place, part, described):
                    edition.add(f"latents/{number}", page)
                for number, calls in calls_of(con, place, part, latents):
                    edition.add(f"calls/{number}", calls)
            pieces.append(piece)
            for key, columns in listing.files(piece):
                edition.add(key, columns)
        if not listing.n_latents:
            raise SettingError(
                f"latents = {latents.ranges}: run {place.run!r} has none of these at "
                f"{place.hookpoint!r}; expected some of 0-{size['n_latents'] - 1}."
            )
        edition.add("overview", overview_of(con, lake, place, listing, pieces))
    return listing.n_latents


def _judge(
    con: duckdb.DuckDBPyConnection, place: HookpointPlace, n_latents: int, latents: Latents
) -> None:
    """Keep scores and latent_scores of the latents that are asked for on `con`."""
    parts = list(ranges(n_latents, latents, PIECE))
    shown = with_bar(parts, desc=f"scores {place.hookpoint}", unit="range")
    keep_scores(con, *place, (latents.among(*part) for part in shown))
    keep_rows(con, "latent_scores", "analysis/latent_scores", **place._asdict())


def _by_piece(place: HookpointPlace, asked: list[Range]) -> Iterator[tuple[int, list[Range]]]:
    pieces: dict[int, list[Range]] = {}
    for part in asked:
        pieces.setdefault(part.first // PIECE, []).append(part)
    with Bar(total=len(asked), desc=f"explorer {place.hookpoint}", unit="range") as bar:
        for piece, parts in pieces.items():
            yield piece, parts
            bar.update(len(parts))
