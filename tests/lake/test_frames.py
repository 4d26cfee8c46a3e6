"""A table as a lazy Polars frame, and what its files say of their columns."""

import io
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from delphi_assets import connect
from delphi_assets.errors import DataError, NotReadyError
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.parquet import HashedSink, write_rows
from delphi_assets.lake.schema import EXAMPLES, TABLES, Table
from tests.lake.test_derived_views import spoil
from tests.parts import kept_lake
from tests.parts.random_lake import random_lake

PLACES = (("short", "layers.0"), ("long", "layers.0"), ("long", "layers.1"))


def lake_of(root: str | Path) -> Lake:
    """Two runs, of which one has two hookpoints; twelve latents each, in three buckets."""
    for seed, (run, hookpoint) in enumerate(PLACES):
        made = random_lake(root, seed=seed, run=run, hookpoint=hookpoint, n_tokens=200)
    return made.lake


def shown(lake: Lake, where: str) -> pl.DataFrame:
    with connect(lake) as con:
        columns = "run, hookpoint, bucket, latent, position, activation"
        return con.sql(f"select {columns} from activations where {where} order by all").pl()


@pytest.mark.parametrize("url", ["folder", "memory"])
def test_a_scan_has_the_rows_of_the_view(tmp_path: Path, url: str) -> None:
    lake = lake_of(tmp_path if url == "folder" else f"memory://{tmp_path.name}")
    everything = lake.scan("activations").collect()
    assert_frame_equal(everything.sort(pl.all()), shown(lake, "true"))
    some = lake.scan("activations", "long", "layers.1", latents="2-4, 11")
    expected = shown(lake, "hookpoint = 'layers.1' and latent in (2, 3, 4, 11)")
    assert len(expected) > 0
    assert_frame_equal(some.collect().sort(pl.all()), expected)
    counted = some.filter(pl.col("activation") > 5).select(pl.len()).collect().item()
    assert counted == expected.filter(pl.col("activation") > 5).height


def test_a_scan_reads_no_other_run_hookpoint_or_latent(tmp_path: Path) -> None:
    """Their files cannot be read any more, of those whose latents are others no data."""
    lake = lake_of(tmp_path)
    expected = shown(lake, "run = 'long' and hookpoint = 'layers.0' and latent < 4")
    for path in tmp_path.glob("activations/*/*/*/*.parquet"):
        if "run=long/hookpoint=layers.0" not in str(path):
            path.write_bytes(b"nonsense")
        elif "bucket=0" not in str(path):
            spoil(path)
    found = lake.scan("activations", "long", "layers.0", latents="0-3").collect()
    assert_frame_equal(found.sort(pl.all()), expected)
    with pytest.raises((OSError, pl.exceptions.ComputeError)):
        lake.scan("activations", "long", "layers.0").collect()


def test_a_scan_says_what_it_cannot_give(tmp_path: Path) -> None:
    lake = lake_of(tmp_path)
    with pytest.raises(DataError, match=r"scan\('explanations'\); expected one of .*'latents'"):
        lake.scan("explanations")
    with pytest.raises(DataError, match="expected one of"):
        lake.scan("positions")
    with pytest.raises(DataError, match=r"'contexts' has no key \['hookpoint'\]"):
        lake.scan("contexts", hookpoint="layers.0")
    with pytest.raises(DataError, match="are of no latent"):
        lake.scan("contexts", latents="3")
    with pytest.raises(NotReadyError, match="no activations for run=another"):
        lake.scan("activations", "another")


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_a_file_says_what_its_columns_mean(table: Table) -> None:
    content = io.BytesIO()
    write_rows(HashedSink(content), table.empty(), table)
    schema = pq.read_schema(io.BytesIO(content.getvalue()))
    assert schema.equals(table.arrow)
    said = {field.name: field.metadata[b"description"].decode() for field in schema}
    assert said == {column.name: column.doc for column in table.columns}


def test_texts_that_come_as_dictionaries_are_read_as_texts() -> None:
    rows = EXAMPLES.from_rows([{**dict.fromkeys(EXAMPLES.arrow.names), "str_tokens": ["a", "a"]}])
    coded = rows["str_tokens"].cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))
    content = io.BytesIO()
    at = rows.schema.get_field_index("str_tokens")
    write_rows(HashedSink(content), rows.set_column(at, "str_tokens", coded), EXAMPLES)
    assert pq.read_table(io.BytesIO(content.getvalue())).equals(rows)


def test_files_of_earlier_versions_say_nothing_and_are_scanned(tmp_path: Path) -> None:
    lake = Lake(kept_lake.unpack(3, tmp_path) / "lake")
    path = next(Path(lake.root).glob("shortfalls/**/*.parquet"))
    assert pq.read_schema(path).field("latent").metadata is None
    found = lake.scan("shortfalls", "kept", "layers.0").collect()
    assert found["lacking"].null_count() == len(found) > 0
