"""The views of a lake over rows given in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import duckdb

from delphi_assets.database import connect
from delphi_assets.lake import Lake
from tests.hand_built import Row, add, publish


@contextmanager
def computed(
    predictions: Sequence[Row], examples: Sequence[Row] = ()
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a lake of these rows; missing columns are null."""
    with TemporaryDirectory() as folder:
        lake = Lake(folder)
        lake.initialize()
        add(lake, "predictions", [{"selection": "default", **row} for row in predictions])
        if examples:
            publish(lake, "examples", examples, selection="default")
        with connect(lake) as con:
            yield con
