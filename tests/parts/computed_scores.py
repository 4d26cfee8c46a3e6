"""The views of a lake over rows given in memory."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from delphi_assets.lake.database import connect
from delphi_assets.lake.lake import Lake
from tests.parts.hand_built import Row, add, publish


@contextmanager
def computed(
    predictions: Sequence[Row], examples: Sequence[Row] = ()
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a lake of these rows; missing columns are null.

    Views look for files when they are asked, so one connection serves the lakes of all callers, of
    which the last one's is there.
    """
    folder = Path(_folder().name, "lake")
    shutil.rmtree(folder, ignore_errors=True)
    lake = Lake(folder)
    lake.initialize()
    add(lake, "predictions", [{"selection": "default", **row} for row in predictions])
    if examples:
        publish(lake, "examples", examples, selection="default")
    yield _connected(lake.location(""))


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


@cache
def _connected(place: str) -> duckdb.DuckDBPyConnection:
    return connect(place)
