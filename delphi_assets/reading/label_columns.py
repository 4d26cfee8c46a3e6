"""The labels of a hookpoint as columns: a row a latent, as `source.name`.

In: the table labels. Out: Arrow columns of numbers where all labels of a name are numbers, else of
texts; null where a latent has none.
"""

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
    def kept_in(self) -> str:
        """Column of `sql/labels/values.sql` that has the values."""
        return "numbers" if self.are_numbers else "texts"

    @property
    def type(self) -> pa.DataType:
        """Type of the column."""
        return pa.float64() if self.are_numbers else pa.string()


class _Values(NamedTuple):
    """Latents, in order, with a value each."""

    latents: pa.Array
    values: pa.Array


_NOTHING = _Values(pa.array([], pa.int32()), pa.array([], pa.null()))


class LabelColumns:
    """The labels of a hookpoint: `columns` says which there are, in order of source and name."""

    def __init__(self, con: duckdb.DuckDBPyConnection, run: str, hookpoint: str) -> None:
        self._con, self._place = con, {"run": run, "hookpoint": hookpoint}
        found = query(con, "labels/columns", **self._place).to_pylist()
        self.columns = [LabelColumn(**row) for row in found]

    def table(self) -> pa.Table:
        """All labels: `latent`, in order, and the columns; a row for each latent that has some."""
        held = self._values(0, LAST_LATENT + 1)
        several = [pc.unique(latents) for latents, _ in held.values()]
        latents = pc.unique(pa.chunked_array(several, pa.int32())).sort()
        return self.beside(pa.table({"latent": latents}), 0, LAST_LATENT + 1)

    def beside(self, rows: pa.Table, first: int, last: int) -> pa.Table:
        """`rows`, which have a column latent from `first` up to `last`, with the columns."""
        held = self._values(first, last) if self.columns else {}
        for column in self.columns:
            labelled = held.get(column.title, _NOTHING)
            places = pc.index_in(rows["latent"], value_set=labelled.latents)
            values = labelled.values.take(places).cast(column.type)
            rows = rows.append_column(column.title, values)
        return rows

    def _values(self, first: int, last: int) -> dict[str, _Values]:
        """What latents in a range have, by title."""
        found = query(self._con, "labels/values", **self._place, first=first, last=last)
        kinds = {
            column.title: "numbers" if column.are_numbers else "texts" for column in self.columns
        }
        held = {}
        for row in range(found.num_rows):
            title = f"{found['source'][row]}.{found['name'][row]}"
            if title in kinds:
                held[title] = _Values(found["latents"][row].values, found[kinds[title]][row].values)
        return held
