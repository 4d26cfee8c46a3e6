"""The sources of a selection, asked for the latents of one bucket, one after the other.

In: what was chosen for these latents, as temporary tables (`sql/examples/`), and the opened
sources. Out: the temporary table non_activating.
"""

from dataclasses import dataclass
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from delphi_assets.errors import DataError
from delphi_assets.ground.registries import SOURCES
from delphi_assets.lake.database import execute
from delphi_assets.selection.non_activating.neighbours import with_neighbour_activations
from delphi_assets.selection.non_activating.source import Draws, SourceBucket, SourcePlace

_COLUMNS = {"latent", "position", "neighbour", "similarity"}


class Quota(NamedTuple):
    """How many windows a source is asked for, per latent."""

    source: str
    n: int


@dataclass(frozen=True)
class Sources:
    """The sources of a selection, ready to be asked for the latents of a bucket."""

    place: SourcePlace
    quotas: list[Quota]
    opened: dict[str, Draws]
    """By the source's name."""

    def draw(self, con: duckdb.DuckDBPyConnection, latents: list[int]) -> None:
        """Make the temporary table non_activating for those of these latents in the table pool.

        Raises `DataError` for a source of one's own that gives what cannot be given.
        """
        execute(con, "examples/5_silent/non_activating")
        execute(con, "examples/5_silent/occupied")
        for source, n in self.quotas:
            if not n:
                continue
            bucket = SourceBucket(self.place, con, latents, n)
            found = self.opened[source](bucket)
            if source not in SOURCES.shipped():
                _check(source, found, bucket)
            con.register("found", found)
            execute(con, "examples/5_silent/non_activating_found", source=source)
            con.unregister("found")

    def with_neighbour_activations(self, rows: pa.Table) -> pa.Table:
        """`rows` of the table examples with that column."""
        without = rows["neighbour"].null_count == rows.num_rows
        firings = None if without else self.place.firings
        return with_neighbour_activations(rows, self.place.length, firings)


def _check(source: str, found: object, bucket: SourceBucket) -> None:
    """Refuse windows that are not whole and aligned, not free, given twice, or too many."""
    if not isinstance(found, pa.Table) or not (
        {"latent", "position"} <= set(found.column_names) <= _COLUMNS
    ):
        columns = found.column_names if isinstance(found, pa.Table) else type(found).__name__
        raise DataError(
            f"the source {source!r} gave {columns}; expected a table with the columns latent, "
            f"position and any other of {sorted(_COLUMNS)}."
        )
    length, taken = bucket.place.length, bucket.taken()
    latents, positions = found["latent"].to_numpy(), found["position"].to_numpy()
    windows = positions // length
    strangers = np.setdiff1d(latents, taken.latents)
    if len(strangers):
        raise DataError(
            f"the source {source!r} gave windows of latent {strangers[0]}; expected some of those "
            "in SourceBucket.taken()."
        )
    odd = (positions % length != 0) | (windows < 0) | (windows >= bucket.place.n_windows)
    if odd.any():
        raise DataError(
            f"the source {source!r} gave the window at position {positions[odd][0]}; expected a "
            f"multiple of {length} of a whole window, below {bucket.place.n_windows * length}."
        )
    for place, latent in enumerate(taken.latents.tolist()):
        given = windows[latents == latent]
        free = np.setdiff1d(given, taken.at(place))
        if not len(free) == len(given) <= bucket.n:
            raise DataError(
                f"the source {source!r} gave {len(given)} windows to latent {latent}, "
                f"{len(free)} of them different and free; expected at most {bucket.n}, each once, "
                "and none of those that SourceBucket.taken() lists."
            )
