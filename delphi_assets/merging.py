"""Merging parts of activations that are each sorted by latent, then position.

In: Parquet files of one bucket of latents, in order of position: all positions of a file come
before those of the next. Out: their rows as a stream of tables, sorted by latent, then position.

1. A first look at the column `latent` counts every latent's rows.
2. The bucket is cut into runs of latents with as many rows as memory allows.
3. Of each run, every file's rows are read, put one behind the other and sorted by latent; as the
   sort is stable, positions stay in order.
4. A latent with more rows than that has a run to itself, which needs no sort: its rows pass through
   file by file.

A file's row groups say which latents they hold, so that a run reads what it needs, and at most one
row group more at either end.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from delphi_assets.buckets import Bucket
from delphi_assets.errors import DataError
from delphi_assets.schema import ACTIVATIONS

BYTES_A_ROW = 64
"""Memory that a row of a run takes at most: read, concatenated, ordered and sorted."""

_COLUMNS = ("latent", "position", "activation")

Columns = list[npt.NDArray[np.generic]]
"""One array for each of `_COLUMNS`."""


class _Part(NamedTuple):
    """A file and what its footer says."""

    location: str
    footer: pq.FileMetaData


def merged(
    locations: Sequence[str],
    bucket: Bucket,
    memory: int,
    open_file: Callable[[str], BinaryIO],
) -> Iterator[pa.Table]:
    """Rows of the files at `locations` in tables of at most `memory` bytes while they are sorted.

    `open_file` opens a location for reading. Raises `DataError` naming a file that cannot be read.
    """
    parts, counts = [], np.zeros(bucket.last - bucket.first, dtype=np.int64)
    for location in locations:
        with _opened(location, open_file) as file:
            parts.append(_Part(location, file.metadata))
            for number in range(file.num_row_groups):
                (latents,) = _read(file, number, _COLUMNS[:1])
                counts += np.bincount(latents - bucket.first, minlength=len(counts))
    for first, last in _runs(counts, max(1, memory // BYTES_A_ROW)):
        slices = _slices(parts, bucket.first + first, bucket.first + last, open_file)
        if last - first == 1:
            yield from map(_table, slices)
        elif held := list(slices):
            yield _table(_in_order(held))


def _runs(counts: npt.NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges of latents with at most `most` rows each, or with one latent."""
    first, ends = 0, np.cumsum(counts)
    while first < len(counts):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield first, last
        first = last


def _slices(
    parts: Sequence[_Part], first: int, last: int, open_file: Callable[[str], BinaryIO]
) -> Iterator[Columns]:
    """The rows of latents `first` to `last` (half open), file by file, row group by row group."""
    for part in parts:
        wanted = [
            number
            for number in range(part.footer.num_row_groups)
            if _overlaps(part.footer.row_group(number), first, last)
        ]
        if not wanted:
            continue
        with _opened(part.location, open_file, part.footer) as file:
            for number in wanted:
                columns = _read(file, number, _COLUMNS)
                start, end = np.searchsorted(columns[0], [first, last])
                # Copies, as views would keep all of the row group.
                yield [column[start:end].copy() for column in columns]


@contextmanager
def _opened(
    location: str,
    open_file: Callable[[str], BinaryIO],
    footer: pq.FileMetaData | None = None,
) -> Iterator[pq.ParquetFile]:
    """A Parquet file; what goes wrong while it is read is a `DataError` that names it."""
    try:
        with open_file(location) as source, pq.ParquetFile(source, metadata=footer) as file:
            yield file
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{location} cannot be read ({error}); materialize its asset again, which writes it "
            "anew."
        ) from error


def _overlaps(group: pq.RowGroupMetaData, first: int, last: int) -> bool:
    if not group.num_rows:
        return False
    latents = group.column(0).statistics
    return bool(latents.min < last and first <= latents.max)


def _read(file: pq.ParquetFile, number: int, names: Sequence[str]) -> Columns:
    rows = file.read_row_group(number, columns=list(names))
    return [rows[name].to_numpy() for name in names]


def _in_order(slices: list[Columns]) -> Columns:
    latents = np.concatenate([columns[0] for columns in slices])
    order = np.argsort(latents, kind="stable")
    rest = [np.concatenate([columns[i] for columns in slices])[order] for i in (1, 2)]
    return [latents[order], *rest]


def _table(columns: Columns) -> pa.Table:
    return pa.table(dict(zip(_COLUMNS, columns, strict=True)), schema=ACTIVATIONS.arrow)
