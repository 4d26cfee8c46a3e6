"""Whether the files of a stage's tables are there, of the size they were written with.

In: a lake, a stage, and which part of it. Out: how many files there should be, and which are not
there or are cut (`presence`). No content is read: `lake.verification` does that.

Tables that are written once are compared with their manifests. Nothing notes which files a growing
table should have; of those it has, the footers are read.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from delphi_assets.lake.lake import Lake, asset_of
from delphi_assets.lake.manifests import folder_of
from delphi_assets.lake.schema import TABLES, Table


class Damage(NamedTuple):
    """A file that is not as it was written."""

    table: str
    what: str
    """Which file, and what is wrong with it."""


class Presence(NamedTuple):
    """What there is of the files of a stage."""

    n_files: int
    """Files that were looked at, those that are gone among them."""
    damages: list[Damage]


def presence(lake: Lake, asset: str, run: str, hookpoint: str | None = None) -> Presence:
    """Look at the files of every table that `asset` writes for a run or a hookpoint of it."""
    found = [
        (table.name, what)
        for table in TABLES.values()
        if asset_of(table.name) == asset
        for what in _looked_at(lake, table, _keys(table, run, hookpoint))
    ]
    damages = [Damage(table, what) for table, what in found if what is not None]
    return Presence(len(found), damages)


def _keys(table: Table, run: str, hookpoint: str | None) -> dict[str, str | int]:
    """Leading path keys of a table; one that is not cut by hookpoint is looked at for the run."""
    cut = hookpoint is not None and "hookpoint" in {key.name for key in table.keys}
    return {"run": run, "hookpoint": str(hookpoint)} if cut else {"run": run}


def _looked_at(lake: Lake, table: Table, keys: dict[str, str | int]) -> Iterator[str | None]:
    """What is wrong with each file, None where nothing is."""
    if not table.grows:
        for manifest in lake.manifests(table.name, **keys):
            yield from map(lake.damage, manifest.files)
        return
    folder = folder_of(table.name, keys)
    for path in lake.paths(table.name):
        if path.startswith(f"{folder}/"):
            yield _unreadable(lake, path)


def _unreadable(lake: Lake, path: str) -> str | None:
    try:
        with lake.open(lake.location(path)) as source:
            pq.ParquetFile(source)
    except FileNotFoundError:
        # Its rows were merged into another file since the folder was listed.
        return None
    except (pa.ArrowException, OSError) as error:
        return f"{lake.location(path)} cannot be read ({error})"
    return None
