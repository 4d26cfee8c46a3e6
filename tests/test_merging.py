"""Merging sorted parts gives what sorting all rows at once gives, in any amount of memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delphi_assets.buckets import Bucket
from delphi_assets.merging import BYTES_A_ROW, merged
from delphi_assets.schema import ACTIVATIONS

BUCKET = Bucket(1, 10, 18)

Row = tuple[int, int, float]


def write_parts(folder: Path, parts: Sequence[Sequence[Row]], row_group: int) -> list[str]:
    """A file per part, its rows sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    locations = []
    for number, rows in enumerate(parts):
        columns = zip(*sorted(rows), strict=True) if rows else [[], [], []]
        table = pa.table(
            dict(zip(ACTIVATIONS.arrow.names, map(list, columns), strict=True)), ACTIVATIONS.arrow
        )
        location = str(folder / f"{number}.parquet")
        pq.write_table(table, location, row_group_size=row_group)
        locations.append(location)
    return locations


def open_file(location: str) -> BinaryIO:
    return Path(location).open("rb")


def rows_of(tables: Sequence[pa.Table]) -> list[Row]:
    return [
        row
        for table in tables
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True)
    ]


@st.composite
def parts_of_a_bucket(draw: st.DrawFn) -> list[list[Row]]:
    """Parts with positions of their own, in order; latents that never, seldom or often fire."""
    n_parts, width = draw(st.integers(1, 5)), draw(st.integers(1, 30))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    density = rng.choice([0.0, 0.05, 0.9], BUCKET.last - BUCKET.first)
    return [
        [
            (latent, part * width + offset, float(rng.integers(1, 9)))
            for latent in range(BUCKET.first, BUCKET.last)
            for offset in range(width)
            if rng.random() < density[latent - BUCKET.first]
        ]
        for part in range(n_parts)
    ]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=parts_of_a_bucket(), row_group=st.integers(1, 20), most_rows=st.integers(1, 300))
def test_merging_is_sorting(
    tmp_path: Path, parts: list[list[Row]], row_group: int, most_rows: int
) -> None:
    locations = write_parts(tmp_path, parts, row_group)
    tables = list(merged(locations, BUCKET, most_rows * BYTES_A_ROW, open_file))
    assert rows_of(tables) == sorted(row for part in parts for row in part)
    for table in tables:
        latents = set(table["latent"].to_pylist())
        assert table.num_rows <= most_rows or len(latents) == 1


def test_no_rows_are_no_table(tmp_path: Path) -> None:
    locations = write_parts(tmp_path, [[], []], 5)
    assert list(merged(locations, BUCKET, 10**6, open_file)) == []


def test_a_row_of_another_bucket_is_not_dropped_in_silence(tmp_path: Path) -> None:
    locations = write_parts(tmp_path, [[(BUCKET.last, 0, 1.0)]], 5)
    with pytest.raises(ValueError, match="broadcast"):
        list(merged(locations, BUCKET, 10**6, open_file))
