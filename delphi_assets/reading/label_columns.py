"""The labels of a hookpoint as columns: a row a latent, as `source.name`.

In: the table labels. Out: Arrow columns of numbers where all labels of a name are numbers, else of
texts; null where a latent has none.
"""

from collections.abc import Mapping
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from delphi_assets.lake.database import query
from delphi_assets.latent_ranges import LAST_LATENT


class LabelColumn(NamedTuple):
    """One label that latents of a hookpoint have."""

    source: str
    name: str
    n_latents: int
    are_numbers: bool

    @property
    def title(self) -> str:
        """Name of the column; as a source has no dots, no two are the same."""
        return f"{self.source}.{self.name}"

    @property
    def type(self) -> pa.DataType:
        """Type of the column."""
        return pa.float64() if self.are_numbers else pa.string()


class _Values(NamedTuple):
    """Latents, in order, with a value each."""

    latents: pa.ChunkedArray
    values: pa.ChunkedArray


_NOTHING = _Values(
    pa.chunked_array([pa.array([], pa.int32())]), pa.chunked_array([pa.array([], pa.null())])
)


class LabelColumns:
    """The labels of a hookpoint: `columns` says which there are, in order of source and name."""

    def __init__(self, con: duckdb.DuckDBPyConnection, run: str, hookpoint: str) -> None:
        self._con, self._place = con, {"run": run, "hookpoint": hookpoint}
        found = query(con, "labels/columns", **self._place).to_pylist()
        self.columns = [LabelColumn(**row) for row in found]

    def table(self) -> pa.Table:
        """All labels: `latent`, in order, and the columns; a row for each latent that has some."""
        held = self._values(0, LAST_LATENT + 1)
        several = [pc.unique(one.latents) for one in held.values()]
        latents = pc.unique(pa.chunked_array(several, pa.int32())).sort()
        return self._beside(pa.table({"latent": latents}), held)

    def beside(self, rows: pa.Table, first: int, last: int) -> pa.Table:
        """`rows`, which have a column latent from `first` up to `last`, with the columns."""
        return self._beside(rows, self._values(first, last) if self.columns else {})

    def _beside(self, rows: pa.Table, held: Mapping[str, _Values]) -> pa.Table:
        for column in self.columns:
            labelled = held.get(column.title, _NOTHING)
            places = pc.index_in(rows["latent"], value_set=labelled.latents)
            values = labelled.values.take(places).cast(column.type)
            rows = rows.append_column(column.title, values)
        return rows

    def _values(self, first: int, last: int) -> dict[str, _Values]:
        """What latents in a range have, by title."""
        rows = query(self._con, "labels/values", **self._place, first=first, last=last)
        kept = {(one.source, one.name): one for one in self.columns}
        held, start = {}, 0
        # In order of their first rows, so that each is a stretch of rows.
        groups = rows.group_by(["source", "name"], use_threads=False)
        for group in groups.aggregate([([], "count_all")]).to_pylist():
            stretch = rows.slice(start, group["count_all"])
            start += group["count_all"]
            if (column := kept.get((group["source"], group["name"]))) is not None:
                values = stretch["number" if column.are_numbers else "text"]
                held[column.title] = _Values(stretch["latent"], values)
        return held
