"""The catalogue of a lake: read by ADBC and by DuckDB's shell, wherever the lake and it are."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import adbc_driver_duckdb
import adbc_driver_manager.dbapi
import duckdb
import pytest

from delphi_assets import connect
from delphi_assets.command_line import main
from delphi_assets.errors import DataError, NotReadyError
from delphi_assets.exports.catalogue import write_catalogue
from delphi_assets.lake import upgrade
from delphi_assets.lake.database import literal, quoted_name
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import LABELS, TABLES, VIEWS
from tests.lake.test_foreign_readers import ODD
from tests.lake.test_lake import rows
from tests.parts import kept_lake

pytestmark = pytest.mark.slow

EVERY = {**TABLES, **VIEWS}
TEXTS = ["", "'", "''", "it's", '"', "\\", "a;--b", "*?[{}]", "$lake", "%20", "\n", "漢字", *ODD]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """With rows in every table."""
    lake = Lake(kept_lake.unpack(4, tmp_path_factory.mktemp("kept")) / "lake")
    upgrade.apply(lake, upgrade.planned(lake))
    label = {"latent": 1, "name": "rating", "value": "5", "number": 5.0}
    keys = {"run": "kept", "hookpoint": "layers.0", "source": "alice"}
    lake.append(LABELS, keys, LABELS.from_rows([{**dict.fromkeys(LABELS.arrow.names), **label}]))
    return lake


@pytest.fixture(scope="module")
def catalogue(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("elsewhere") / "lake.duckdb"
    assert main(["catalogue", str(lake.root), str(path)]) == 0
    return path


def in_shell(query: str, *opened: str) -> list[list[str]]:
    """Rows of a query to DuckDB's shell in another folder; `opened` names what it opens."""
    command = [sys.executable, "-m", "duckdb_cli", *opened, "-csv", "-noheader"]
    done = subprocess.run(
        [*command, "-c", query], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return list(csv.reader(io.StringIO(done.stdout)))


@pytest.mark.parametrize("text", TEXTS)
def test_a_literal_is_the_text(text: str) -> None:
    con = duckdb.connect()
    assert con.execute(f"select {literal(text)}").fetchall() == [(text,)]
    if text:
        assert con.execute(f"select 1 as {quoted_name(text)}").description[0][0] == text


def test_a_view_has_the_rows_of_the_library_through_adbc(lake: Lake, catalogue: Path) -> None:
    database = adbc_driver_manager.AdbcDatabase(
        driver=adbc_driver_duckdb.driver_path(),
        entrypoint="duckdb_adbc_init",
        path=str(catalogue),
        access_mode="read_only",
    )
    with (
        database,
        adbc_driver_manager.AdbcConnection(database) as opened,
        adbc_driver_manager.dbapi.Connection(database, opened) as con,
        con.cursor() as cursor,
        connect(lake) as ours,
    ):
        for name in EVERY:
            # Only what plants latents fills them, and what asks a judge about those.
            least = [(-1,)] if name in ("planted", "judges") else [(0,)]
            cursor.execute(f"select count(*) from {name}")
            count = ours.table(name).count("*").fetchall()
            assert cursor.fetchall() == count > least, name
            cursor.execute(f"select * from {name} limit 1")
            assert {*cursor.fetch_arrow_table().column_names} == {*ours.table(name).columns}
        with pytest.raises(adbc_driver_manager.dbapi.Error, match="read-only"):
            cursor.execute("create table t as select 1")


def test_duckdbs_shell_reads_it_from_another_folder(lake: Lake, catalogue: Path) -> None:
    asked = "select run, window_text(run, position, 4) from top_windows where latent = 3 limit 1"
    (row,) = connect(lake).sql(asked).fetchall()
    assert in_shell(asked, "-readonly", str(catalogue)) == [list(row)]
    attached = f"attach {literal(str(catalogue))} as lake (read_only); use lake; {asked}"
    assert in_shell(attached) == [list(row)]


def test_every_view_and_column_says_what_it_means(catalogue: Path) -> None:
    with duckdb.connect(catalogue, read_only=True) as con:
        found = con.sql("select view_name, comment from duckdb_views() where not internal")
        assert dict(found.fetchall()) == {view.name: view.doc for view in EVERY.values()}
        columns = con.sql("""
            select table_name, column_name, comment from duckdb_columns() where not internal
        """)
        assert sorted(columns.fetchall()) == sorted(
            (view.name, column.name, column.doc)
            for view in EVERY.values()
            for column in (*view.keys, *view.columns)
        )


@pytest.mark.parametrize("name", ODD)
def test_the_lake_and_the_file_may_have_odd_names(tmp_path: Path, name: str) -> None:
    """What is added later is shown; other lakes are not, which the name finds as a pattern."""
    for other in ("lake1", "lakex", "laxke", "lae"):
        Lake(tmp_path / other).publish(Unit("vocabulary", {"run": "x"}), [File(rows(7))], {})
    lake, path = Lake(tmp_path / name), tmp_path / f"{name.replace('?', '')}.duckdb"
    lake.initialize()
    write_catalogue(lake, path)
    lake.publish(Unit("vocabulary", {"run": "r"}), [File(rows(1, 2))], {})
    asked = "select run, token from vocabulary order by all"
    assert in_shell(asked, "-readonly", str(path)) == [["r", "1"], ["r", "2"]]


def test_a_catalogue_is_written_over_nothing(lake: Lake, catalogue: Path) -> None:
    before = catalogue.read_bytes()
    with pytest.raises(DataError, match="is there already"):
        write_catalogue(lake, catalogue)
    assert catalogue.read_bytes() == before
    with pytest.raises(DataError, match="question mark"):
        write_catalogue(lake, catalogue.with_name("lake?.duckdb"))
    assert [path.name for path in catalogue.parent.iterdir()] == [catalogue.name]


def test_a_lake_whose_tables_are_not_all_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="there is no lake"):
        write_catalogue(Lake(tmp_path / "none"), tmp_path / "lake.duckdb")
    old = Lake(kept_lake.unpack(3, tmp_path) / "lake")
    with pytest.raises(NotReadyError, match=r"lacks the files without rows of .*labels"):
        write_catalogue(old, tmp_path / "lake.duckdb")
    assert not (tmp_path / "lake.duckdb").exists()


def test_a_catalogue_of_an_object_store_is_written(tmp_path: Path) -> None:
    """Who opens it needs a DuckDB that reads there."""
    lake, path = Lake(f"memory://{tmp_path.name}/lake"), tmp_path / "lake.duckdb"
    lake.initialize()
    assert write_catalogue(lake, path) == [*EVERY]
