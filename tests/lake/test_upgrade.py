"""`upgrade` and `verify`: a lake of version 3 becomes today's, and damage is named."""

import itertools
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from delphi_assets import connect
from delphi_assets.command_line import main
from delphi_assets.errors import ConflictError, DataError
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import VERSION, File, Lake, Unit
from delphi_assets.lake.reason_codes import eligibility_of, shortfalls_with_codes
from delphi_assets.lake.schema import SCHEMA_VERSION, TABLES
from delphi_assets.lake.upgrade import apply, planned
from delphi_assets.lake.verification import problems
from tests.lake.test_kept_lakes import rows
from tests.lake.test_publishing import killed_at
from tests.parts import kept_lake
from tests.parts.fault_server import FaultServer

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lake of version 3 with its parts, in which a process was killed before a manifest."""
    made = kept_lake.unpack(3, tmp_path)
    (orphan,) = (made / "lake").glob("vocabulary/run=kept/all.parquet")
    (orphan.parent / "other.parquet").write_bytes(orphan.read_bytes())
    return made


def data(lake: Path) -> list[Path]:
    return [path for name in TABLES for path in sorted(lake.glob(f"{name}/**/*.parquet"))]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert main(["upgrade", str(folder / "lake")]) == 0
    said = capsys.readouterr().out
    assert "version: 3\nversion_after: 5, with --apply\nfiles_without_rows_moved: 13\n" in said
    assert "moved: vocabulary/run=kept/other.parquet" in said
    assert said.count("moved: latents/run=kept/") == 2, "what was described before neighbours"
    assert sorted(folder.rglob("*")) == before


def test_an_upgraded_lake_goes_on_and_pays_nothing_again(folder: Path) -> None:
    lake = folder / "lake"
    before = {**rows(lake), "vocabulary": 320, "eligibility": 24}
    assert main(["upgrade", str(lake), "--apply"]) == 0
    assert Lake(lake).version == SCHEMA_VERSION
    assert not [path for path in data(lake) if "run=_" in path.parts]
    assert rows(lake) == before
    assert list(problems(Lake(lake))) == []
    assert main(["upgrade", str(lake), "--apply"]) == 0
    with FaultServer(kept_lake.answer) as server:
        kept_lake.run_stages(folder, server.url)
        assert server.asked == []
    assert rows(lake) == before


def upgraded(lake: Lake) -> None:
    apply(lake, planned(lake))


def content(lake: Path) -> dict[str, list[object]]:
    """Every row of the tables that an upgrade writes again, but for reasons."""
    kept = {"reason", "lacking", "generation"}
    with connect(lake) as con:
        tables = {
            name: con.table(name).to_arrow_table().to_pylist()
            for name in ("predictions", "explanations", "latents", "shortfalls")
        }
    return {
        name: sorted((str({key: row[key] for key in row.keys() - kept}) for row in rows), key=str)
        for name, rows in tables.items()
    }


@pytest.mark.parametrize("version", [3, 4])
def test_columns_have_their_names_of_today_and_every_row_is_as_it_was(
    tmp_path: Path, version: int
) -> None:
    lake = kept_lake.unpack(version, tmp_path) / "lake"
    former = {
        path
        for name in ("predictions", "explanations")
        for path in lake.glob(f"{name}/**/*.parquet")
    }
    assert all("model" in pq.read_schema(path).names for path in former)
    before = content(lake)
    upgraded(Lake(lake))
    for name, column in (("predictions", "judge"), ("explanations", "explainer_model")):
        for path in lake.glob(f"{name}/**/*.parquet"):
            assert column in pq.read_schema(path).names
            assert "model" not in pq.read_schema(path).names
    assert content(lake) == before
    there = {path.name for path in (lake / "superseded").rglob("*.parquet")}
    assert {path.name for path in former} <= there, "nothing is deleted"
    assert list(problems(Lake(lake))) == []


@pytest.mark.parametrize("version", [3, 4])
def test_reasons_in_words_become_codes_by_selection(tmp_path: Path, version: int) -> None:
    lake = kept_lake.unpack(version, tmp_path) / "lake"
    upgraded(Lake(lake))
    with connect(lake) as con:
        wrong = "(reason is not distinct from 'dead') <> (n_activations = 0)"
        assert con.table("latents").filter(wrong).fetchall() == []
        said = con.table("eligibility").aggregate("code, count(*)").order("code").fetchall()
        assert said == [("dead", 19), ("eligible", 5)]
        short = con.table("shortfalls").aggregate("reason, count(lacking)").order("reason")
        assert short.fetchall() == [("dead", 0), ("too_few_silent", 4)]
        explained = con.sql(
            "from explanations semi join eligibility using (run, hookpoint, latent)"
        )
        assert explained.count("*").fetchall() == [(5,)]


def test_a_selection_says_of_each_latent_what_it_lacks(tmp_path: Path) -> None:
    """By hand, of a lake of version 4: the words had the numbers in them."""
    lake = Lake(kept_lake.unpack(4, tmp_path) / "lake")
    (examples,) = (
        held
        for held in lake.manifests("examples", run="kept", hookpoint="layers.0")
        if held.name == "bucket-00000"
    )
    changed = replace(examples, config={**examples.config, "min_examples": 200})
    short = lake.manifest(examples.unit._replace(table="shortfalls"))
    assert short is not None
    found = eligibility_of(lake, changed, short).to_pylist()
    assert {row["code"] for row in found if row["n_windows"] == 128} == {"too_few_windows"}
    again = shortfalls_with_codes(lake, replace(short, config=changed.config)).to_pylist()
    assert {row["reason"] for row in again if row["pool"] == 128} == {"too_few_windows"}


def test_what_this_version_writes_keeps_earlier_ones_away(tmp_path: Path) -> None:
    """They would read its rows without their judges; the lake is still to be upgraded from 4."""
    lake = Lake(kept_lake.unpack(4, tmp_path) / "lake")
    lake.initialize()
    assert json.loads(Path(lake.location(VERSION)).read_text())["schema_version"] == SCHEMA_VERSION
    again = Lake(lake.root)
    assert again.version == planned(again).version == 4
    upgraded(again)
    assert json.loads(Path(lake.location(VERSION)).read_text()) == {
        "schema_version": SCHEMA_VERSION
    }


@pytest.mark.parametrize("version", [3, 4])
def test_killed_at_any_step_an_upgrade_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    for step in itertools.count(step=13):
        lake = Lake(kept_lake.unpack(version, tmp_path / str(step)) / "lake")
        files = sorted(path.name for path in data(Path(lake.root)))
        before = rows(Path(lake.root))
        killed = killed_at(step, monkeypatch, partial(upgraded, lake))
        assert lake.version == (version if killed else SCHEMA_VERSION)
        again = Lake(lake.root)
        apply(again, planned(again))
        assert planned(again) == (SCHEMA_VERSION, *[[]] * 6)
        there = data(Path(lake.root)) + list(Path(lake.root, "superseded").rglob("*.parquet"))
        assert set(files) <= {path.name for path in there}
        assert {**rows(Path(lake.root)), "eligibility": 0} == before
        if not killed:
            break


def test_a_newer_lake_is_refused_with_both_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(tmp_path)
    lake.initialize()
    lake.write_text(VERSION, json.dumps({"schema_version": 99}))
    with pytest.raises(ConflictError, match=f"schema_version = 99; .* reads 3 to {SCHEMA_VERSION}"):
        Lake(tmp_path).claim_run("r", {})
    for command in ("upgrade", "verify"):
        assert main([command, str(tmp_path)]) == 1
        assert "schema_version = 99" in capsys.readouterr().err


def flip(path: Path) -> None:
    """Change a byte in the middle of the rows of a file, which are not the most of a small one."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    largest = max(columns, key=lambda column: column.total_compressed_size)
    content = bytearray(path.read_bytes())
    content[largest.data_page_offset + largest.total_compressed_size // 2] ^= 255
    path.write_bytes(content)


def test_verify_finds_nothing_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", str(folder / "lake"), "--apply"]) == 0
    assert main(["verify", str(folder / "lake")]) == 0
    assert capsys.readouterr().out.endswith("problems: 0\n")


def test_verify_names_a_published_file_and_its_asset(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(Lake(folder / "lake"), planned(Lake(folder / "lake")))
    damaged = folder / "lake/weights/run=kept/hookpoint=layers.0/all.parquet"
    flip(damaged)
    assert main(["verify", str(folder / "lake")]) == 1
    told = capsys.readouterr()
    assert f"problem: {damaged} is not as it was written" in told.out
    assert "materialize the asset 'sparse_coder' again" in told.out
    assert "has 1 problems" in told.err


def test_verify_names_every_file_that_cannot_be_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables are opened whatever is wrong with others."""
    lake = Lake(folder / "lake")
    damaged = [lake.location(lake.paths(name)[0]) for name in ("completions", "predictions")]
    for location in damaged:
        Path(location).write_bytes(b"cut")
    assert main(["verify", lake.url]) == 1
    told = capsys.readouterr().out
    assert all(f"problem: {location} cannot be read" in told for location in damaged)
    with connect(lake) as con:
        assert con.table("weights").count("*").fetchall() == [(96,)]
        with pytest.raises(DataError, match=re.escape(damaged[0])):
            query(con, "completions/calls", run="kept", paid=[])


def test_verify_names_an_appended_file_whose_page_was_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its checksum: uncompressed, a changed letter makes another text, not a damaged file."""
    lake = Lake(tmp_path)
    table = TABLES["completions"]
    answers: list[dict[str, object]] = [
        {"request": f"{number:064d}", "answer": f"answer {number}"} for number in range(99)
    ]
    path = lake.append(table, {"run": "r"}, table.from_rows(answers))
    assert path is not None
    assert list(problems(lake)) == []
    assert pq.ParquetFile(tmp_path / path, page_checksum_verification=True).read().num_rows == 99
    flip(tmp_path / path)
    assert main(["verify", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert f"problem: {tmp_path / path} cannot be read" in told
    assert "restore it from a copy" in told


def test_verify_names_keys_that_stand_twice_and_files_of_nobody(tmp_path: Path) -> None:
    from tests.lake.test_lake import rows as tokens

    lake = Lake(tmp_path)
    lake.publish(Unit("vocabulary", {"run": "r"}), [File(tokens(1, 2, 2))], {})
    (found,) = problems(lake)
    assert found.what == "vocabulary holds 2 rows of run=r, token=2"
    other = tmp_path / "vocabulary/run=r/copy.parquet"
    other.write_bytes((tmp_path / "vocabulary/run=r/all.parquet").read_bytes())
    (found,) = problems(lake)
    assert found.what.startswith(f"{other} is named by no manifest")
