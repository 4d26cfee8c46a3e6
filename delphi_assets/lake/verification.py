"""Whether a lake still is what was written: every file, every key, every view.

In: a lake. Out: what is wrong, each with the way out; nothing when nothing is.

1. Files of the tables that are written once are compared with the size and the hash in their
   manifests. Files that no manifest names, which views show and stages do not believe, are named.
2. Files of the growing tables are read page by page; those that this version wrote have a checksum
   a page.
3. No key may stand twice in a table, and every view has to be readable.
"""

from collections.abc import Iterator
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from delphi_assets.errors import DataError, DelphiAssetsError
from delphi_assets.lake.damage import way_out
from delphi_assets.lake.database import connect
from delphi_assets.lake.lake import Lake, asset_of
from delphi_assets.lake.schema import PLANTED, TABLES, VIEWS, Table
from delphi_assets.lake.upgrade import unnamed


class Problem(NamedTuple):
    """Something that is not as it was written."""

    what: str
    way_out: str


def problems(lake: Lake) -> Iterator[Problem]:
    """What is wrong with a lake, as it is found; every file is read.

    Raises `NotReadyError` without a lake, `ConflictError` for one of a newer version.
    """
    with connect(lake, up_to_date=False) as con:
        damaged = False
        for found in _of_files(lake):
            damaged = True
            yield found
        for table in () if damaged else TABLES.values():
            yield from _of_keys(con, table)
        for name in () if damaged else (*TABLES, *VIEWS):
            yield from _of_view(con, name)


def _of_files(lake: Lake) -> Iterator[Problem]:
    for table in TABLES.values():
        yield from _of_appended(lake, table) if table.grows else _of_published(lake, table)
    for path in unnamed(lake):
        yield Problem(
            f"{lake.location(path)} is named by no manifest: views show its rows, stages do not",
            "move it out of the lake",
        )


def _of_published(lake: Lake, table: Table) -> Iterator[Problem]:
    again = f"materialize the asset {asset_of(table.name)!r} again, which writes it anew"
    if table is PLANTED:
        # No asset writes it.
        again = way_out(table.name)
    try:
        manifests = lake.manifests(table.name)
    except DataError as error:
        yield Problem(str(error), again)
        return
    for manifest in manifests:
        for file in manifest.files:
            if damage := lake.damage(file, thorough=True):
                yield Problem(damage, again)


def _of_appended(lake: Lake, table: Table) -> Iterator[Problem]:
    for path in lake.paths(table.name):
        try:
            with lake.open(lake.location(path)) as source:
                file = pq.ParquetFile(source, page_checksum_verification=True)
                for number in range(file.num_row_groups):
                    file.read_row_group(number)
        except (pa.ArrowException, OSError) as error:
            yield Problem(f"{lake.location(path)} cannot be read ({error})", way_out(table.name))


def _of_keys(con: duckdb.DuckDBPyConnection, table: Table) -> Iterator[Problem]:
    key = [duckdb.ColumnExpression(name) for name in _key(table)]
    counted = con.table(table.name).aggregate(
        [*key, duckdb.FunctionExpression("count").alias("rows_of_key")]
    )
    several = duckdb.ColumnExpression("rows_of_key") > duckdb.ConstantExpression(1)
    for row in counted.filter(several).limit(1).fetchall():
        shown = ", ".join(f"{name}={value}" for name, value in zip(_key(table), row, strict=False))
        yield Problem(
            f"{table.name} holds {row[-1]} rows of {shown}",
            f"materialize the asset {asset_of(table.name)!r} in another lake and compare",
        )


def _key(table: Table) -> list[str]:
    """Run and hookpoint identify as well; a shard or a bucket is only where a row lies."""
    places = [key.name for key in table.keys if key.name in ("run", "hookpoint")]
    return list(dict.fromkeys([*places, *table.identity]))


def _of_view(con: duckdb.DuckDBPyConnection, name: str) -> Iterator[Problem]:
    try:
        con.table(name).count("*").fetchall()
    except (duckdb.Error, DelphiAssetsError) as error:
        yield Problem(f"the view {name} cannot be read ({error})", "see the message")
