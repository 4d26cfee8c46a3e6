"""Lakes of earlier versions: they read, every stage goes on with them, nothing is paid again."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from delphi_assets import connect, prompts
from delphi_assets.lake import compaction
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import SCHEMA_VERSION, TABLES
from tests.parts import kept_lake
from tests.parts.fault_server import FaultServer
from tests.parts.later_version import COLUMN, add_columns, add_settings

pytestmark = pytest.mark.slow

VERSIONS = [int(path.name[1:].partition(".")[0]) for path in kept_lake.KEPT.iterdir()]
ROWS = {
    3: {
        "activations": 7_824,
        "completions": 67,
        "contexts": 32,
        "embeddings": 128,
        "examples": 33,
        "explanations": 5,
        "latents": 96,
        "neighbours": 56,
        "predictions": 126,
        "shortfalls": 23,
        "vocabulary": 320,
        "weights": 96,
        "windows": 1_535,
    },
}
ROWS[4] = ROWS[3]
"""Rows of every view of a kept lake, by its version."""

GROWING = ("completions", "explanations", "predictions")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def rows(lake: Path) -> dict[str, int]:
    """How many rows every view has."""
    with connect(lake) as con:
        return {name: con.table(name).count("*").fetchall()[0][0] for name in (*TABLES, "scores")}


def test_every_version_that_this_one_reads_is_kept() -> None:
    assert sorted(VERSIONS) == list(range(3, SCHEMA_VERSION))


def test_a_kept_lake_reads_as_it_did(tmp_path: Path, version: int) -> None:
    found = rows(kept_lake.unpack(version, tmp_path) / "lake")
    assert found.pop("scores") == found.pop("kept_scores") == 33
    assert {name: found[name] for name in ROWS[version]} == ROWS[version]
    assert not any(count for name, count in found.items() if name not in ROWS[version])


def test_a_column_that_kept_files_lack_was_added_or_had_another_name(
    tmp_path: Path, version: int
) -> None:
    lake = kept_lake.unpack(version, tmp_path) / "lake"
    for table in TABLES.values():
        for path in (lake / table.name).rglob("*.parquet"):
            lacking = set(table.arrow.names) - set(pq.read_schema(path).names)
            known = {one.name for one in table.columns if one.added or one.formerly}
            assert lacking <= known


def test_every_stage_goes_on_and_nothing_is_paid_again(tmp_path: Path, version: int) -> None:
    folder = kept_lake.unpack(version, tmp_path)
    before = rows(folder / "lake")
    with FaultServer(kept_lake.answer) as server:
        reports = kept_lake.run_stages(folder, server.url)
        assert server.asked == []
    assert {stage: report.new_rows for stage, report in reports.items() if report.new_rows} == {}
    assert rows(folder / "lake") == before
    lake = Lake(folder / "lake")
    named = [file.path for held in lake.manifests("latents") for file in held.files]
    believed = [path for path in lake.paths("latents") if "/run=_/" not in path]
    assert believed == sorted(named), "views and stages take the same file"


def test_later_prompts_ask_nothing_again(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every text of the shipped prompts has another one in a new version; rows name none yet."""
    shipped = tmp_path / "shipped"
    shutil.copytree(Path(str(prompts.SHIPPED)), shipped)
    later = shipped / f"v{prompts.latest() + 1}"
    later.mkdir()
    for path in shipped.glob("*.txt"):
        (later / path.name).write_text(f"Later. {path.read_text()}")
    monkeypatch.setattr(prompts, "SHIPPED", shipped)
    folder = kept_lake.unpack(version, tmp_path)
    with FaultServer(kept_lake.answer) as server:
        reports = kept_lake.run_stages(folder, server.url)
        assert server.asked == []
    assert {stage: report.new_rows for stage, report in reports.items() if report.new_rows} == {}


def test_what_later_versions_add_makes_no_lake_unreadable(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns in five tables and a setting in four sections; then with answers of both kinds."""
    add_settings(monkeypatch, "corpus", "cache", "selection", "score")
    add_columns(monkeypatch, *GROWING, "examples", "latents")
    monkeypatch.setattr(compaction, "SETTLING", 0.0)
    folder = kept_lake.unpack(version, tmp_path)
    before = rows(folder / "lake")
    with FaultServer(kept_lake.answer) as server:
        kept_lake.run_stages(folder, server.url)
        assert server.asked == []
        assert rows(folder / "lake") == before
        profile = folder / "profile.toml"
        profile.write_text(profile.read_text().replace("prompt = 6", "prompt = 4"))
        kept_lake.run_stages(folder, server.url)
        assert {asked.body["model"] for asked in server.asked} == {"kept"}
    after = rows(folder / "lake")
    assert after["completions"] == before["completions"] + len(server.asked)
    assert after["predictions"] > before["predictions"]
    lake = Lake(folder / "lake")
    for name in GROWING:
        for keys in {tuple(path.parent.parts) for path in Path(lake.root, name).rglob("*.parquet")}:
            pairs = [part.split("=") for part in keys if "=" in part]
            compaction.compact(lake, TABLES[name], dict(pairs))
    assert rows(folder / "lake") == after
    merged = list(Path(lake.root, "completions").rglob("merged*.parquet"))
    assert [COLUMN in pq.read_schema(path).names for path in merged] == [True]
    with connect(lake) as con:
        for name in (*GROWING, "examples", "latents"):
            assert con.table(name).project(COLUMN).distinct().fetchall() == [(None,)]
