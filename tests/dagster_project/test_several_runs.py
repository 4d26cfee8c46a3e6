"""Runs are told apart: two in one code location, by a component each, and one that gets a name."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagster_project.runner import served_here
from delphi_assets.errors import SettingError
from delphi_assets.runs.new_project import lay_project
from delphi_assets.settings import load_profile
from tests.parts.hookpoint_lake import (
    FIRST,
    PROFILE,
    RUN,
    answered,
    environment,
    make_project,
    told,
)

pytestmark = pytest.mark.slow

OTHER = "other-run"
ONE = """
type: dagster_project.Run
attributes:
  profile: profile.toml
"""
TWO = f"""{ONE}---
type: dagster_project.Run
attributes:
  profile: other.toml
"""
LAUNCHES = """
import json
import dagster as dg
from definitions import defs

job = defs.resolve_implicit_global_asset_job_def()
with dg.DagsterInstance.get() as instance:
    for key in {keys!r}:
        ended = job.execute_in_process(
            instance=instance, partition_key={partition!r}, asset_selection=[dg.AssetKey(key)]
        )
        assert ended.success
    print(json.dumps([run.tags for run in instance.get_runs()]))
"""
SHOWN = """{ assetNodes { assetKey { path } groupName
  assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions } } } }"""
STALE = """{ assetNodeOrError(assetKey: {path: ["scores"]}) { ... on AssetNode {
  staleStatus(partition: "%s") staleCauses(partition: "%s") { reason } } } }"""
RESOURCES = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  allTopLevelResourceDetails { name } } } } }"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A laid project with two profiles, of which Dagster is told; the lake is of the first."""
    folder = tmp_path / "project"
    lay_project(folder)
    make_project(folder)
    (folder / "other.toml").write_text(PROFILE.replace(RUN, OTHER), encoding="utf-8")
    (folder / "defs" / "runs" / "defs.yaml").write_text(TWO, encoding="utf-8")
    monkeypatch.chdir(folder)
    # Another project's, in this process.
    monkeypatch.delitem(sys.modules, "defs", raising=False)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder


def launched(project: Path, *keys: list[str]) -> list[dict[str, str]]:
    """Launch assets at the first hookpoint; tags of all Dagster runs, the latest first."""
    tags: list[dict[str, str]] = told(project, LAUNCHES.format(keys=keys, partition=FIRST))
    return tags


def nodes(project: Path) -> dict[str, Any]:
    """What the UI shows of every asset."""
    found = answered(project, SHOWN, "definitions")["assetNodes"]
    return {"/".join(node["assetKey"]["path"]): node for node in found}


def materialized(node: dict[str, Any]) -> list[str]:
    """Hookpoints that are drawn as there."""
    found: list[str] = node["assetPartitionStatuses"]["materializedPartitions"]
    return found


def test_two_profiles_stand_side_by_side(project: Path) -> None:
    """The first as if it were alone; what is launched of one is not there of the other."""
    latest, first = launched(project, ["scores"], [OTHER, "scores"])
    for tags, run in ((first, RUN), (latest, OTHER)):
        assert tags["delphi-assets/run"] == run
        assert tags["delphi-assets/selection"] == "default"
        assert tags["delphi-assets/model"] == "none"
    launched(project, ["scores"])
    shown = nodes(project)
    plain = {name for name in shown if "/" not in name}
    assert {name for name in shown if name not in plain} == {f"{OTHER}/{name}" for name in plain}
    assert materialized(shown["scores"]) == materialized(shown[f"{OTHER}/scores"]) == [FIRST]
    assert materialized(shown["explorer"]) == []
    assert (shown["latents"]["groupName"], shown[f"{OTHER}/latents"]["groupName"]) == (
        "selection",
        "other_run/selection",
    )
    (location,) = answered(project, RESOURCES, "definitions")["repositoriesOrError"]["nodes"]
    names = {resource["name"] for resource in location["allTopLevelResourceDetails"]}
    own = {"profile", "lake", "llm"}
    assert names == own | {f"other_run__{name}" for name in own}


def test_a_run_that_gets_another_name_is_out_of_date(project: Path) -> None:
    """A single profile keeps its keys, so the history of the earlier run is still there."""
    (project / "defs" / "runs" / "defs.yaml").write_text(ONE, encoding="utf-8")
    launched(project, ["scores"])
    query = STALE % (FIRST, FIRST)
    assert answered(project, query, "definitions")["assetNodeOrError"]["staleStatus"] == "FRESH"
    (project / "profile.toml").write_text(PROFILE.replace(RUN, OTHER), encoding="utf-8")
    scores = answered(project, query, "definitions")["assetNodeOrError"]
    assert scores["staleStatus"] == "STALE"
    assert "has a new code version" in {cause["reason"] for cause in scores["staleCauses"]}


def test_two_profiles_of_one_run_are_refused(project: Path) -> None:
    (project / "other.toml").write_text(PROFILE, encoding="utf-8")
    file = project / "profile.toml"
    with pytest.raises(SettingError, match=f"another component serves run '{RUN}'"):
        served_here(file, load_profile(str(file)))


def test_the_command_writes_the_history_that_the_ui_shows(project: Path) -> None:
    """Under the names of the component; a profile that has none does not take another's."""
    (project / "third.toml").write_text(PROFILE.replace(RUN, "third"), encoding="utf-8")
    keys = [
        served_here(project / name, load_profile(str(project / name))).key("latents").path
        for name in ("profile.toml", "other.toml", "third.toml")
    ]
    assert keys == [["latents"], [OTHER, "latents"], ["third", "latents"]]
    (project / "pyproject.toml").unlink()
    file = project / "other.toml"
    assert served_here(file, load_profile(str(file))).key("latents").path == ["latents"]


@pytest.mark.parametrize(("spelt", "status"), [("profile", 0), ("profil", 1)])
def test_the_fields_of_the_component_are_known(project: Path, spelt: str, status: int) -> None:
    """`dg check yaml` finds a misspelt one, and says which line."""
    file = project / "defs" / "runs" / "defs.yaml"
    file.write_text(TWO.replace("profile: other", f"{spelt}: other"), encoding="utf-8")
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("dg")), "check", "yaml"],
        env=environment(project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert ("'profil' was unexpected" in ended.stdout + ended.stderr) == bool(status)
