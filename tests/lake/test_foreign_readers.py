"""The lake without this library: bare DuckDB, `sql/lake.sql`, globs; names that are patterns."""

import shutil
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from delphi_assets import Lake, connect
from delphi_assets.lake import upgrade
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import File, Unit
from delphi_assets.lake.schema import (
    DOCUMENTS,
    KEPT_SCORES,
    LABELS,
    POSITIONS,
    RUNS,
    TABLES,
    TOP_WINDOWS,
    VOCABULARY,
)
from delphi_assets.lake.storage import globbed
from delphi_assets.llm.batch.store import BatchStore
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.selection.neighbours import find_neighbours
from tests.lake.test_lake import rows
from tests.parts import kept_lake
from tests.parts.asking import MODEL, ask
from tests.parts.random_lake import HOOKPOINT, random_lake
from tests.parts.tiny_project import ROOT

pytestmark = pytest.mark.slow

ODD = ["lake[1]", "lake?", "la*ke", "lak{e,x}", "[!l]ake", "a lake's", 'a "lake"', "lake%20é"]


def bare(lake: Path) -> duckdb.DuckDBPyConnection:
    """A connection of DuckDB alone, with the statements that `sql/lake.sql` reads."""
    con = duckdb.connect()
    for line in (ROOT / "sql" / "lake.sql").read_text(encoding="utf-8").splitlines():
        if line.startswith(".read "):
            con.execute((ROOT / line.removeprefix(".read ")).read_text(encoding="utf-8"))
        elif line.startswith("set variable lake"):
            con.execute("set variable lake = $lake", {"lake": globbed(str(lake))})
        elif not line.startswith("--"):
            con.execute(line)
    return con


def contents(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    """Rows in a fixed order, as text, of what holds no sums of fractions, which scores do.

    Of kept scores a connection of the library computes those that are behind, and DuckDB does not.
    """
    found = {}
    tables = (table for table in TABLES.values() if table != KEPT_SCORES)
    for table in (*tables, RUNS, DOCUMENTS, POSITIONS, TOP_WINDOWS):
        columns = ", ".join(f'"{column.name}"' for column in (*table.keys, *table.columns))
        found[table.name] = con.sql(f"select {columns} from {table.name} order by all").fetchall()
    return found


@pytest.fixture(params=["fresh", "kept", "empty"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """A lake of version 3 to which this one has written; one of this version; one without rows."""
    if request.param == "kept":
        kept = Lake(kept_lake.unpack(3, tmp_path) / "lake")
        kept.initialize()
        return kept
    made = Lake(tmp_path / "lake")
    made.initialize()
    if request.param == "fresh":
        made.publish(Unit("vocabulary", {"run": "r"}), [File(rows(1, 2))], {})
        label_twice(made)
    return made


def label_twice(lake: Lake) -> None:
    """Two labels, of which one is replaced and the other withdrawn."""
    for first, second in (("first", "gone"), ("last", None)):
        values = (("a", first), ("b", second))
        given = [{"latent": 1, "name": name, "value": value} for name, value in values]
        keys = {"run": "r", "hookpoint": "h", "source": "s"}
        lake.append(LABELS, keys, pa.Table.from_pylist(given, LABELS.arrow))


def test_a_label_is_the_last_one_and_none_when_it_was_withdrawn(tmp_path: Path) -> None:
    made = Lake(tmp_path)
    label_twice(made)
    for con in (connect(made), bare(tmp_path)):
        found = con.sql("select source, latent, name, value, generation from labels").fetchall()
        assert found == [("s", 1, "a", "last", 2)]


def test_bare_duckdb_gives_the_rows_of_the_library(lake: Lake) -> None:
    with connect(lake) as con, bare(Path(lake.root)) as other:
        assert contents(con) == contents(other)


def test_a_glob_over_a_table_gives_its_rows(lake: Lake) -> None:
    """Of the tables that are not latest wins; there is no file where there is no row."""
    # Earlier versions left what they replaced in the table.
    upgrade.apply(lake, upgrade.planned(lake))
    con = connect(lake)
    for name in set(TABLES) - {"completions", "explanations", "predictions", "labels"}:
        count = con.table(name).count("*").fetchall()[0][0]
        files = list(Path(lake.root, name).glob("**/*.parquet"))
        if files:
            folder = ds.dataset(Path(lake.root, name), format="parquet", partitioning="hive")
            assert folder.count_rows() == count
        else:
            assert count == 0


def test_latents_that_were_described_again_are_there_once(tmp_path: Path) -> None:
    """A row a latent, whoever finds every file of the table's folder."""
    made = random_lake(tmp_path, min_examples=4, example_ctx_len=8)
    for method in ("co-occurrence", None):
        describe_latents(made.profile, made.lake, HOOKPOINT)
        if method:
            find_neighbours(made.profile, made.lake, HOOKPOINT, method)
    found = f"{made.lake.root}/latents/**/*.parquet"
    assert duckdb.read_parquet(found).count("*").fetchall() == [(12,)]
    assert pl.scan_parquet(found).collect().height == 12
    assert made.lake.exists("superseded/latents")


def test_only_rows_lie_where_readers_of_a_table_look(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.publish(Unit("vocabulary", {"run": "r"}), [File(rows(1, 2))], {})
    found = [path for name in TABLES for path in tmp_path.glob(f"{name}/**/*.parquet")]
    assert found == [tmp_path / "vocabulary/run=r/all.parquet"]


def test_a_reader_that_may_not_write_reads(tmp_path: Path, lake: Lake) -> None:
    """Also a table that is not there; nothing is written, whoever may."""
    before = contents(connect(lake))
    for path in [*Path(lake.root).glob("*_"), *Path(lake.root, "manifests").glob("*_")]:
        shutil.rmtree(path)
    for name in ("run=_", "embeddings"):
        for path in list(Path(lake.root).rglob(name)):
            shutil.rmtree(path)
    there = sorted(Path(lake.root).rglob("*"))
    assert contents(connect(lake)) == {**before, "embeddings": []}
    assert sorted(Path(lake.root).rglob("*")) == there


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A lake with an odd name, among neighbours that its name finds as a pattern."""
    for name in ("lake1", "lakex", "lake", "laxke", "lae", "lakee"):
        other = Lake(tmp_path / name)
        other.publish(Unit("vocabulary", {"run": "other"}), [File(rows(7, 8))], {})
    return tmp_path / str(request.param)


@pytest.mark.parametrize("url", ["folder", "memory"])
def test_a_lake_with_an_odd_name_shows_its_own_rows(odd: Path, url: str) -> None:
    if url == "memory":
        for name in ("lake1", "lakex", "laxke"):
            other = Lake(f"memory://{odd.parent.name}/{name}")
            other.publish(Unit("vocabulary", {"run": "other"}), [File(rows(7, 8))], {})
    lake = Lake(odd if url == "folder" else f"memory://{odd.parent.name}/{odd.name}")
    lake.initialize()
    assert connect(lake).table("vocabulary").fetchall() == []
    assert lake.manifests("vocabulary") == []
    lake.publish(Unit("vocabulary", {"run": "r"}), [File(rows(1, 2))], {})
    lake.append(VOCABULARY, {"run": "r"}, rows(3))
    con = connect(lake)
    found = con.sql("select run, token from vocabulary order by all").fetchall()
    assert found == [("r", 1), ("r", 2), ("r", 3)]
    size = query(
        con,
        "corpus/size",
        contexts=lake.checked("contexts", []),
        vocabulary=lake.files("vocabulary", run="r"),
        filter_bos=True,
    )
    assert size.to_pylist() == [{"n_contexts": 0, "n_tokens": 0, "n_eligible": 0}]
    assert connect(lake).sql("select distinct run from vocabulary").fetchall() == [("r",)]


@pytest.mark.parametrize("name", ["lake[1]", "la*ke"])
def test_windows_are_selected_in_an_object_store_with_an_odd_name(
    tmp_path: Path, name: str
) -> None:
    """DuckDB itself prefers a file to a pattern; file systems of others do not."""
    made = random_lake(f"memory://{tmp_path.name}/{name}", min_examples=4, example_ctx_len=8)
    assert select_examples(made.profile, made.lake, HOOKPOINT, made.profile.selection).rows > 0


def test_a_pattern_finds_the_location_that_it_stands_for(tmp_path: Path) -> None:
    for name in ODD:
        (tmp_path / name).mkdir()
    for name in ODD:
        place = str(tmp_path / name)
        assert Lake(tmp_path).fs.glob(globbed(place)) == [place]


def test_a_batch_under_way_is_found_in_a_lake_with_an_odd_name(odd: Path) -> None:
    """One that is not found would be paid for twice."""
    store = BatchStore(Lake(odd), "r", MODEL)
    pending = store.draft([ask("?")])
    store.write(pending)
    assert store.read() == [pending]
