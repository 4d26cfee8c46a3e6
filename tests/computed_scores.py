"""The views of `sql/scores/` over rows given in memory."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from delphi_assets.database import sql_folder
from delphi_assets.schema import EXAMPLES, PREDICTIONS, Table
from tests.hand_built import PLACE, Row


def computed(predictions: Sequence[Row], examples: Sequence[Row] = ()) -> duckdb.DuckDBPyConnection:
    """A connection with these tables and what is computed from them; missing columns are null."""
    con = duckdb.connect()
    con.register("predictions", _filled(PREDICTIONS, predictions))
    con.register("examples", _filled(EXAMPLES, examples))
    for folder in ("macros", "scores"):
        for path in sorted((sql_folder() / folder).glob("*.sql")):
            con.execute(path.read_text(encoding="utf-8"))
    return con


def _filled(table: Table, rows: Sequence[Row]) -> pa.Table:
    columns = pa.schema([*((key.name, key.type) for key in table.keys), *table.arrow])
    known = {"selection": "default", **PLACE}
    full = [{name: {**known, **row}.get(name) for name in columns.names} for row in rows]
    return pa.Table.from_pylist(full, schema=columns)
