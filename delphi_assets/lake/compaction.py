"""Few files instead of many in a growing table, while others read it and add to it.

In: the folder of a table to which rows are appended. Out: the same rows in few files.

1. Where many files are below SMALL, their rows are written as one file, PART bytes at a time in
   memory.
2. That file is put in place whole, then its manifest, which names the files that it replaces.
3. SETTLING seconds later these go to `superseded/`, and then the manifest goes. Whoever merges next
   does what is left of this step.

Killed at any step, or with another process at the same work, the table holds rows twice, which its
view shows once. It never holds a row less: a file goes only when the one with its rows is there. A
query that has listed a file and finds it gone fails, and sees every row when it is repeated, as
`database.query` does. One that was listing the folder when the file was put in place may miss it:
it has listed the others before they go.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq

from delphi_assets.lake.lake import File, Lake, generation_of, reading
from delphi_assets.lake.locks import alone
from delphi_assets.lake.manifests import Manifest, Unit, folder_of
from delphi_assets.lake.schema import Table

MANY = 1_000
"""Files that are merged while a stage adds to them."""
MANY_AT_REST = 100
"""Files that are merged when it has ended."""
MOST = 4_096
"""Files that are merged into one at most: what killed processes left may be more."""
SMALL = 8 * 2**20
"""Bytes. Larger files are not merged any more, so a row is rewritten a few times at most."""
PART = 32 * 2**20
"""Bytes, uncompressed, of rows in memory at a time."""
SETTLING = 1.0
"""Seconds in which whoever is listing the folder gets to its end."""


def compact(lake: Lake, table: Table, keys: Mapping[str, str | int], many: int = 2) -> int:
    """Merge the files under `keys` where there are `many`; returns how many were merged.

    Does nothing while another process does it. Raises `StorageError` when there is no room,
    `DataError` for a file that cannot be read; no row is lost then.
    """
    folder = folder_of(table.name, keys)
    with alone(lake, f"manifests/{folder}/merging.lock") as mine:
        if not mine:
            return 0
        for manifest in lake.manifests(table.name, **keys):
            _supersede_replaced(lake, manifest)
        groups = list(_groups(_sizes(lake, folder), many))
        for group in groups:
            merged = _merged(lake, table, keys, group)
            time.sleep(SETTLING)
            _supersede_replaced(lake, merged)
        return sum(map(len, groups))


def write_again(lake: Lake, table: Table, keys: Mapping[str, str | int], paths: list[str]) -> None:
    """Write the rows of some files under `keys` as one file with today's columns.

    For a lake that nobody else writes to or reads (`upgrade`), so without waiting. Raises as
    `compact`.
    """
    for manifest in lake.manifests(table.name, **keys):
        _supersede_replaced(lake, manifest)
    left = [path for path in paths if lake.exists(path)]
    for first in range(0, len(left), MOST):
        merged = _merged(lake, table, keys, left[first : first + MOST])
        _supersede_replaced(lake, merged)


def _merged(
    lake: Lake, table: Table, keys: Mapping[str, str | int], paths: Sequence[str]
) -> Manifest:
    """One file with the rows of several, described by a manifest that names these."""
    last = max(generation_of(path.rpartition("/")[2]) for path in paths)
    unit = Unit(table.name, keys, f"merged-{last:010d}-{uuid.uuid4().hex}")
    return lake.publish(unit, [File(_rows(lake, table, paths))], {}, {"replaces": list(paths)})


def _supersede_replaced(lake: Lake, manifest: Manifest) -> None:
    """Move what a merged file replaces away, unless that is not there as it was written."""
    if not any(map(lake.damage, manifest.files)):
        for path in manifest.facts["replaces"]:
            lake.supersede(path)
    lake.discard(manifest.unit.path)


def _sizes(lake: Lake, folder: str) -> dict[str, int]:
    """Bytes of the folder's files by their paths."""
    place = f"{lake.root}/{folder}"
    found = lake.fs.ls(place, detail=True, refresh=True) if lake.fs.exists(place) else []
    return {
        f"{folder}/{str(file['name']).rsplit('/', 1)[-1]}": int(file["size"])
        for file in found
        if str(file["name"]).endswith(".parquet")
    }


def _groups(sizes: Mapping[str, int], many: int) -> Iterator[list[str]]:
    small = sorted(path for path, size in sizes.items() if size < SMALL)
    if len(small) >= many:
        yield from (small[start : start + MOST] for start in range(0, len(small), MOST))


def _rows(lake: Lake, table: Table, paths: Iterable[str]) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    size = 0
    for rows in chain.from_iterable(_row_groups(lake, path) for path in paths):
        held.append(table.conform(rows))
        size += rows.nbytes
        if size >= PART:
            yield pa.concat_tables(held)
            held, size = [], 0
    if held:
        yield pa.concat_tables(held)


def _row_groups(lake: Lake, path: str) -> Iterator[pa.Table]:
    location = lake.location(path)
    with reading(location), lake.open(location) as source:
        file = pq.ParquetFile(source)
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)
