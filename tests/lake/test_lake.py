"""The lake: what is published, what is refused, what readers see."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pytest

from delphi_assets import Lake, connect
from delphi_assets.errors import ConflictError, DataError, NotReadyError
from delphi_assets.lake.database import query, statement
from delphi_assets.lake.lake import File, Unit, read_parquet
from delphi_assets.lake.schema import SCHEMA_VERSION, TABLES, VOCABULARY


def rows(*tokens: int) -> pa.Table:
    return pa.table(
        {
            "token": tokens,
            "str_token": [str(token) for token in tokens],
            "special": [False] * len(tokens),
            "count": [1] * len(tokens),
        }
    )


UNIT = Unit("vocabulary", {"run": "r"})


@pytest.mark.parametrize("url", ["folder", "memory"])
def test_publish_describes_what_it_wrote(tmp_path: Path, url: str) -> None:
    lake = Lake(tmp_path if url == "folder" else f"memory://{tmp_path.name}")
    assert lake.manifest(UNIT) is None
    manifest = lake.publish(UNIT, [File(rows(1, 2, 3))], {"n": 1}, {"seen": 3})
    assert (manifest.rows, manifest.facts) == (3, {"seen": 3})
    assert manifest.bytes > 0
    assert lake.ready(UNIT, {"n": 1}) == manifest
    files = lake.files("vocabulary", run="r")
    assert read_parquet(lake, files)["token"].to_pylist() == [1, 2, 3]
    con = connect(lake)
    assert con.sql("select run, sum(token) from vocabulary group by run").fetchall() == [("r", 6)]


def test_names_with_odd_characters_survive_the_path(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.publish(Unit("vocabulary", {"run": "a b%/ü"}), [File(rows(1))], {})
    assert connect(lake).sql("select run from vocabulary").fetchall() == [("a b%/ü",)]


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.publish(UNIT, [File(rows(1))], {"n": 1, "m": (1, 2)})
    assert lake.ready(UNIT, {"n": 1, "m": (1, 2)}) is not None
    with pytest.raises(ConflictError, match=r"with n = 1, now n = 2.*run.name"):
        lake.ready(UNIT, {"n": 2, "m": (1, 2)})
    lake.claim_run("r", {"cache.n_tokens": 5})
    lake.claim_run("r", {"cache.n_tokens": 5})
    with pytest.raises(ConflictError, match=r"run 'r'.*cache.n_tokens = 5, now.*= 6.*run.name"):
        lake.claim_run("r", {"cache.n_tokens": 6})


@pytest.mark.slow
def test_a_run_must_be_claimed_and_is_claimed_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(NotReadyError, match=r"holds no run 'r'.*'contexts'"):
        lake.check_run("r", {})
    program = (
        "import sys; from delphi_assets.lake.lake import Lake; lake = Lake(sys.argv[1])\n"
        "for run in range(60):\n"
        "    try: lake.claim_run(str(run), {'who': sys.argv[2]}); print(run)\n"
        "    except Exception as error: assert 'who =' in str(error), error\n"
    )
    claimants = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), who], stdout=subprocess.PIPE, text=True
        )
        for who in "ab"
    ]
    won = [set(process.communicate()[0].split()) for process in claimants]
    assert all(process.returncode == 0 for process in claimants)
    assert not won[0] & won[1]
    assert len(won[0] | won[1]) == 60


def test_a_published_unit_is_not_replaced(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    first = lake.publish(UNIT, [File(rows(1))], {})
    assert lake.publish(UNIT, [File(rows(2, 3))], {}) == first
    assert read_parquet(lake, lake.files("vocabulary", run="r"))["token"].to_pylist() == [1]
    assert not list((tmp_path / "staging").iterdir())


@pytest.mark.parametrize("url", ["folder", "memory"])
def test_a_folder_is_published_whole_and_stays(tmp_path: Path, url: str) -> None:
    lake = Lake(tmp_path / "lake" if url == "folder" else f"memory://{tmp_path.name}")
    for text in ("first", "second"):
        source = tmp_path / text
        (source / "inner").mkdir(parents=True)
        (source / "inner" / "a").write_text(text)
        lake.put_folder(source, "coders/run=r/layers.0")
    with lake.local_copy("coders/run=r/layers.0") as copy:
        assert (copy / "inner" / "a").read_text() == "first"


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    lake = Lake(tmp_path)
    lake.publish(UNIT, [File(rows(1))], {})
    (tmp_path / "manifests/vocabulary/run=r/all.json").write_text(text)
    with pytest.raises(DataError, match=r"manifests/vocabulary/run=r/all.json .*[Dd]elete it"):
        lake.ready(UNIT, {})


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.publish(UNIT, [File(rows(1))], {})
    path = tmp_path / "manifests/vocabulary/run=r/all.json"
    path.write_text(
        path.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99')
    )
    with pytest.raises(ConflictError, match="schema_version = 99"):
        lake.files("vocabulary", run="r")


@pytest.mark.parametrize("version", [None, "0.0.1", "99.0"])
def test_nothing_goes_by_the_version_that_wrote_a_manifest(
    tmp_path: Path, version: str | None
) -> None:
    lake = Lake(tmp_path)
    manifest = lake.publish(UNIT, [File(rows(1))], {"n": 1})
    path = tmp_path / UNIT.path
    stored = json.loads(path.read_text())
    assert stored.pop("written_with") == manifest.written_with == metadata.version("delphi-assets")
    path.write_text(json.dumps(stored if version is None else {**stored, "written_with": version}))
    again = lake.publish(UNIT, [File(rows(2))], {"n": 1})
    assert again == lake.ready(UNIT, {"n": 1}) == manifest
    assert again.written_with == version


def test_a_manifest_with_fields_of_a_later_version_is_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    manifest = lake.publish(UNIT, [File(rows(1))], {"n": 1})
    path = tmp_path / UNIT.path
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "later": ["field"], "staged": {}}))
    assert lake.ready(UNIT, {"n": 1}) == manifest
    path.write_text(json.dumps({name: stored[name] for name in stored if name != "rows"}))
    with pytest.raises(DataError, match=r"is no manifest .*rows"):
        lake.ready(UNIT, {"n": 1})


def test_a_unit_without_manifest_is_not_there(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.publish(UNIT, [File(rows(1))], {})
    (tmp_path / "manifests/vocabulary/run=r/all.json").unlink()
    assert lake.ready(UNIT, {}) is None
    with pytest.raises(NotReadyError, match=r"no vocabulary .*materialize the asset 'contexts'"):
        lake.files("vocabulary", run="r")


def test_wrong_columns_are_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(DataError, match=r"lack \['count'\]"):
        lake.publish(UNIT, [File(rows(1).drop_columns("count"))], {})
    assert not list(tmp_path.rglob("vocabulary/**/*.parquet"))
    assert not list((tmp_path / "staging").iterdir())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.publish(UNIT, [File(rows(1, 2))], {})
    (file,) = lake.files("vocabulary", run="r")
    data = Path(file).read_bytes()
    Path(file).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"vocabulary/run=r/all.parquet cannot be read"):
        read_parquet(lake, [file])


def test_appended_rows_add_up_and_the_latest_wins(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.append(VOCABULARY, {"run": "r"}, rows()) is None
    for token in range(3):
        lake.append(VOCABULARY, {"run": "r"}, rows(token))
    assert connect(lake).sql("select token from vocabulary order by all").fetchall() == [
        (0,),
        (1,),
        (2,),
    ]


def test_a_place_without_a_lake_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for place in (tmp_path / "laek", tmp_path / "other"):
        with pytest.raises(NotReadyError, match="there is no lake at"):
            connect(place)
    assert [path.name for path in tmp_path.rglob("*")] == ["other"]


def test_a_fresh_lake_has_every_view(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "new")
    lake.claim_run("r", {})
    con = connect(lake)
    for table in TABLES.values():
        relation = con.table(table.name)
        assert set(relation.columns) == {c.name for c in (*table.keys, *table.columns)}
        assert relation.fetchall() == []
    assert con.table("scores").fetchall() == []


def test_unknown_statements_list_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"'corpus/sizes'.*'size'"):
        statement("corpus/sizes")


def test_query_gives_rows(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.publish(UNIT, [File(rows(1, 2))], {})
    contexts = pa.table(
        {
            "context": [0, 1],
            "tokens": [[5, 6, 7], [8]],
            "document_ids": [["d"], ["d"]],
            "document_starts": [[0], [0]],
        }
    )
    lake.publish(Unit("contexts", {"run": "r", "shard": 0}), [File(contexts)], {})
    size = query(
        connect(lake),
        "corpus/size",
        contexts=lake.files("contexts", run="r"),
        vocabulary=lake.files("vocabulary", run="r"),
        filter_bos=True,
    )
    assert size.to_pylist() == [{"n_contexts": 2, "n_tokens": 4, "n_eligible": 4}]
