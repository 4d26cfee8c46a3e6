"""Asset checks as an instance keeps them and the UI shows them: a result a hookpoint."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.parts.hand_built import window
from tests.parts.hookpoint_lake import FIRST, SECOND, answered, make_project, publish, told, windows

pytestmark = pytest.mark.slow

LAUNCHES = """
import json
import dagster as dg
from dagster_project.served_run import ServedRun
from dagster_project.serving import definitions_of

defs = definitions_of(ServedRun.load())
job = defs.resolve_implicit_global_asset_job_def()
key = dg.AssetKey("examples")
found = []
with dg.DagsterInstance.get() as instance:
    for name, hookpoint, selection in json.loads({wanted!r}):
        if selection is not None:
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    key, partition=hookpoint, metadata={{"selection": selection}}
                )
            )
        result = job.get_subset(
            asset_check_selection={{dg.AssetCheckKey(key, name)}}, asset_selection=set()
        ).execute_in_process(
            # As the UI launches checks alone: the partition, if there is one, is a tag.
            tags={{}} if hookpoint is None else {{"dagster/partition": hookpoint}},
            instance=instance,
            raise_on_error=False,
        )
        for check in result.get_asset_check_evaluations():
            counted = check.metadata["n_violations"].value
            found.append([check.partition, check.passed, counted, check.blocking])
print(json.dumps(found))
"""
QUERY = """{ assetNodeOrError(assetKey: {path: ["examples"]}) { ... on AssetNode {
  assetChecksOrError { ... on AssetChecks { checks { name
    partitionStatuses { ... on AssetCheckDefaultPartitionStatuses {
      succeededPartitions failedPartitions } } } } } } } }"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Windows that share tokens at the first hookpoint alone, 30 of them; others do not."""
    folder = make_project(tmp_path_factory.mktemp("checks"))
    broken = [window(0, 2 + number, "test", 1, [1.0, 0.0]) for number in range(30)]
    publish(folder, FIRST, "examples", windows(*broken), selection="default")
    publish(folder, FIRST, "examples", windows(), selection="again")
    return folder


class Launch(NamedTuple):
    """A check of examples, launched alone."""

    name: str
    hookpoint: str | None = None
    selection: str | None = None
    """What was selected just before."""


def launched(project: Path, *wanted: Launch) -> list[list[Any]]:
    """What the checks say, one after the other."""
    found: list[list[Any]] = told(project, LAUNCHES.format(wanted=json.dumps(wanted)))
    return found


def shown(project: Path) -> dict[str, list[str]]:
    """Hookpoints as the UI colours them."""
    node = answered(project, QUERY)["assetNodeOrError"]
    checks = {check["name"]: check for check in node["assetChecksOrError"]["checks"]}
    found: dict[str, list[str]] = checks["shared_positions"]["partitionStatuses"]
    return found


def test_a_hookpoint_that_passes_hides_no_other(project: Path) -> None:
    """And violations are counted, not only those that are shown. Windows that were selected again
    under another name, as the check advises, pass."""
    shared = "shared_positions"
    assert launched(project, Launch(shared, FIRST), Launch(shared, SECOND)) == [
        [FIRST, False, 30, True],
        [SECOND, True, 0, True],
    ]
    assert shown(project) == {"succeededPartitions": [SECOND], "failedPartitions": [FIRST]}
    # The UI's button chooses no hookpoint: each has its result.
    again, *alone = launched(project, Launch(shared, FIRST, "again"), Launch(shared))
    assert again == [FIRST, True, 0, True]
    assert alone[:2] == [[FIRST, True, 0, True], [SECOND, True, 0, True]]


FILES = """
import json
from dagster_project import file_checks
from dagster_project.served_run import ServedRun
from delphi_assets.lake.place import Place
served = ServedRun.load()
place = Place(served.profile, served.lake, "layers.1")
print(json.dumps([
    [asset, look.passed, look.metadata["n_violations"].value, look.metadata["n_files"].value,
     look.description]
    for asset in file_checks.OF_HOOKPOINTS for look in [file_checks.look(asset, place)]
]))
"""


def test_files_that_are_gone_are_missed_at_their_hookpoint(project: Path) -> None:
    """By the manifests; a growing table's by their footers."""
    lake = project / "lake"
    answers = lake / "predictions" / "run=hand" / "hookpoint=layers.1" / "odd.parquet"
    answers.parent.mkdir(parents=True)
    answers.write_bytes(b"PAR1 cut")
    moved = next(lake.glob("examples/run=hand/hookpoint=layers.1/**/*.parquet"))
    away = moved.rename(project / "away.parquet")
    try:
        found = {row[0]: row[1:] for row in told(project, FILES)}
        every = launched(project, Launch("files_present"))
    finally:
        away.rename(moved)
        answers.unlink()
    assert every[:2] == [[FIRST, True, 0, False], [SECOND, False, 1, False]]
    assert found["latents"] == [True, 0, 1, "1 files at layers.1."]
    assert found["examples"][:3] == [False, 1, 1]
    assert f"{moved} is missing" in found["examples"][3].replace("\\", "")
    assert found["predictions"][:3] == [False, 1, 1]
    assert "cannot be read" in found["predictions"][3]
