"""What the lake says of a range of latents, read once: statistics, explanations, scores, labels."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import duckdb

from delphi_assets.explorer.ranges import Range
from delphi_assets.explorer.site_folder import HookpointPlace
from delphi_assets.lake.database import query
from delphi_assets.latent_ranges import Latents

Row = Mapping[str, Any]


class LatentRows(NamedTuple):
    """Rows of some latents, in order of latent."""

    latents: list[Row]
    """Of `sql/explorer/latents.sql`, a row a latent."""
    explanations: dict[int, list[Row]]
    """Of `sql/explorer/explanations.sql`, by latent."""
    scores: dict[int, list[Row]]
    """Of `sql/explorer/scores_of_latents.sql`, by latent."""
    labels: dict[int, list[Row]]
    """Of `sql/explorer/labels.sql`, by latent."""


def describe(
    con: duckdb.DuckDBPyConnection, place: HookpointPlace, part: Range, latents: Latents
) -> LatentRows:
    """The rows of those of `latents` that are in the range and known to the lake."""
    keys = {**place._asdict(), **part._asdict()}
    known = query(con, "explorer/latents", **keys).to_pylist()
    return LatentRows(
        [row for row in known if row["latent"] in latents],
        by_latent(query(con, "explorer/explanations", **keys).to_pylist()),
        by_latent(query(con, "explorer/scores_of_latents", **part._asdict()).to_pylist()),
        by_latent(query(con, "explorer/labels", **keys).to_pylist()),
    )


def by_latent(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Rows by their latent, in their order; no rows for a latent that has none."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["latent"]].append(row)
    return found
