"""The installed DuckDB: rows that it gives against Polars, and files that are written again."""

from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.parts.engine_lake import begin_lake, finish_lake, leave_one_run
from benchmarks.parts.engine_queries import HOOKPOINTS, RUNS, as_rows, draw, read_tables
from delphi_assets import connect
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.storage import Storage

pytestmark = pytest.mark.slow


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
    """Two of each shape and one; `benchmarks/engines.py` asks 200, of every version."""
    lake = finished.with_name(name)
    tables = read_tables(lake)
    answers = []
    with connect(lake, threads=threads) as con:
        for drawn in draw(seed=0, n=21):
            rows = as_rows(pl.DataFrame(pl.from_arrow(con.execute(drawn.sql).to_arrow_table())))
            assert rows == as_rows(drawn.rows(tables)), drawn.sql
            answers.append(rows)
    assert sum(map(bool, answers)) > 8


@pytest.mark.parametrize("name", ["analysis/hookpoint_scores", "analysis/own_against_floors"])
def test_no_interval_hangs_on_the_order_in_which_threads_end(finished: Path, name: str) -> None:
    """What documents share decides the degrees of freedom; here it is 0 but for rounding."""
    answers = set()
    for threads in (1, 2, 4, 4, 4):
        with connect(Lake(finished), threads=threads) as con:
            parameters = {"most_tokens": None} if name.endswith("floors") else {}
            place = {"run": RUNS[0], "hookpoint": HOOKPOINTS[0]}
            found = query(con, name, **place, **parameters)
        answers.add(repr(as_rows(pl.DataFrame(pl.from_arrow(found)))))
    assert len(answers) == 1


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
