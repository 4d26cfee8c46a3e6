"""Files of a table as a lazy Polars frame.

In: Parquet files of a lake, and which latents are wanted. Out: a frame of the table's columns, path
keys first, that reads when it is collected: the row groups that may hold one of the latents, and of
these the columns that are asked for. A column that was added after a file was written is null.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from delphi_assets.errors import DataError
from delphi_assets.lake.schema import Table
from delphi_assets.lake.storage import Storage
from delphi_assets.latent_ranges import Latents

if TYPE_CHECKING:
    import polars as pl


def lazy_frame(
    storage: Storage, table: Table, paths: Sequence[str], latents: Latents
) -> "pl.LazyFrame":
    """Rows of files of a table at these paths, relative to the root.

    No ranges of `latents` are all. Raises `DataError` for some, when rows are of no latent.
    """
    import polars as pl

    keys = pa.schema([(key.name, key.type) for key in table.keys])
    files = ds.dataset(
        [f"{storage.root}/{path}" for path in paths],
        schema=pa.schema([*keys, *table.arrow]),
        format="parquet",
        filesystem=storage.fs,
        partitioning=ds.partitioning(keys, flavor="hive"),
        partition_base_dir=f"{storage.root}/{table.name}",
    )
    if latents.ranges:
        if "latent" not in table.arrow.names:
            raise DataError(
                f"rows of the table {table.name!r} are of no latent; expected no latents, as in "
                f"scan({table.name!r})."
            )
        latent = pc.field("latent")
        files = files.filter(
            reduce(or_, [(latent >= first) & (latent < after) for first, after in latents.ranges])
        )
    return pl.scan_pyarrow_dataset(files)
