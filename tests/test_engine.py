"""The installed DuckDB: rows that it gives against Polars, and files that are written again."""

from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.engine_lake import begin_lake, finish_lake, leave_one_run
from benchmarks.engine_queries import as_rows, draw, read_tables
from delphi_assets import connect
from delphi_assets.storage import Storage


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, three hookpoints, two selections, through every stage without a model."""
    root = tmp_path_factory.mktemp("engine") / "lake"
    begin_lake(root, seed=0)
    finish_lake(root)
    leave_one_run(root, root.with_name("one run"))
    return root


@pytest.mark.parametrize("name", ["lake", "one run"])
@pytest.mark.parametrize("threads", [1, 4])
def test_no_row_is_lost_of_generated_queries(finished: Path, threads: int, name: str) -> None:
    """Two of each shape and one; `benchmarks.engines` asks 200, of every version."""
    lake = finished.with_name(name)
    tables = read_tables(lake)
    answers = []
    with connect(lake, threads=threads) as con:
        for query in draw(seed=0, n=21):
            rows = as_rows(pl.DataFrame(pl.from_arrow(con.execute(query.sql).to_arrow_table())))
            assert rows == as_rows(query.rows(tables)), query.sql
            answers.append(rows)
    assert sum(map(bool, answers)) > 8


def test_a_file_that_is_written_again_is_read_anew_at_once(tmp_path: Path) -> None:
    """It is another file under its name: who reads the old one goes on with it.

    DuckDB 1.5 can take one that was changed in place, with its size, for what it has read of it.
    """
    storage, con = Storage(tmp_path), duckdb.connect()
    for value in range(5):
        with storage.staged("staging/one") as sink:
            pq.write_table(pa.table({"value": [value] * 1_000}), sink, use_dictionary=False)
        storage.move("staging/one", "one.parquet")
        found = con.sql(f"select distinct value from '{tmp_path}/one.parquet'").fetchall()
        assert found == [(value,)]
    before = (tmp_path / "text").stat().st_ino if storage.create_text("text", "a") else 0
    with (tmp_path / "text").open() as reader:
        storage.write_text("text", "b")
        assert reader.read() == "a"
    assert (tmp_path / "text").stat().st_ino != before
