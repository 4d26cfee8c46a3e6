"""What Dagster shows as out of date, in a real instance: by the resolver that its UI asks."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from delphi_assets.runs.order import ASKING, STAGES
from tests.parts.tiny_project import environment, make_project

pytestmark = pytest.mark.slow

LAUNCHES = """
import json, sys
from delphi_assets.lake.code_versions import CODE_VERSIONS
CODE_VERSIONS.update(json.loads(sys.argv[2]))
import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dagster_project.definitions import defs
from dagster_project.runner import prepare_home
prepare_home()

graph = defs.resolve_asset_graph()
job = defs.resolve_implicit_global_asset_job_def()

def partitions(name):
    definition = graph.get(dg.AssetKey(name)).partitions_def
    return [None] if definition is None else definition.get_partition_keys()

def statuses(instance):
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    found = {}
    for key in graph.get_all_asset_keys():
        name = key.to_user_string()
        of_all = {resolver.get_status(key, one).value for one in partitions(name)}
        found[name] = "/".join(sorted(of_all))
    return found

told = []
with dg.DagsterInstance.get() as instance:
    told.append({"statuses": statuses(instance), "metadata": {}, "error": ""})
    for name, config in json.loads(sys.argv[1]):
        keys = partitions(name)
        several = {"dagster/asset_partition_range_start": keys[0],
                   "dagster/asset_partition_range_end": keys[-1]} if len(keys) > 1 else {}
        result = job.execute_in_process(
            instance=instance,
            partition_key=keys[0] if len(keys) == 1 else None,
            tags=several,
            run_config={"ops": {name: {"config": config}}} if config else None,
            asset_selection=[dg.AssetKey(name)],
            raise_on_error=False,
        )
        metadata, error = {}, ""
        for event in result.all_events:
            if event.is_step_failure:
                cause = event.step_failure_data.error
                while cause.cause is not None:
                    cause = cause.cause
                error = cause.message
            if event.event_type_value == "ASSET_MATERIALIZATION":
                made = event.step_materialization_data.materialization
                metadata |= {k: str(v.value) for k, v in made.metadata.items()}
        shown = {k: metadata[k] for k in ("new_rows", "outdated", "code_version_of_rows")
                 if k in metadata}
        told.append({"statuses": statuses(instance), "metadata": shown, "error": error})
print("TOLD " + json.dumps(told))
"""


class Told(NamedTuple):
    """What there was to see after a launch, or before the first."""

    statuses: dict[str, str]
    """By asset; of several partitions each status once."""
    metadata: dict[str, str]
    error: str

    def stale(self) -> set[str]:
        """Assets that are out of date; the others are fresh."""
        assert set(self.statuses.values()) <= {"FRESH", "STALE"}, self.statuses
        return {name for name, status in self.statuses.items() if status == "STALE"}


Launch = tuple[str, dict[str, object]]


class Finished(NamedTuple):
    """A tiny project of which everything was materialized, with some latents left to explain."""

    folder: Path
    repeated: list[Told]
    """What was told when what comes before the explanations was launched once more."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Whatever was launched once is there, and fresh."""
    folder = make_project(tmp_path_factory.mktemp("stale"))
    profile = folder / "tiny.toml"
    text = profile.read_text(encoding="utf-8")
    chosen = "[selection]\nnon_activating_source = { random = 0.5, co-occurrence = 0.5 }\n"
    text = text.replace("[selection]\n", chosen)
    profile.write_text(text.replace("[explain]\n", '[explain]\nlatents = "0-9"\n'), "utf-8")
    everything: list[Launch] = [(name, {}) for name in (*STAGES, "explorer", *STAGES[:ASKING])]
    told = launches(folder, everything)
    assert {one.error for one in told} == {""}
    made = len(STAGES) + 2
    assert told[made - 1].stale() == set()
    return Finished(folder, told[made:])


@pytest.fixture
def project(finished: Finished, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(finished.folder, tmp_path / "project")


def launches(
    folder: Path, wanted: Sequence[Launch], code: dict[str, int] | None = None
) -> list[Told]:
    """Launch assets one after the other, with other versions of the code."""
    ended = subprocess.run(
        [sys.executable, "-c", LAUNCHES, json.dumps(wanted), json.dumps(code or {})],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("TOLD "))
    return [Told(**one) for one in json.loads(line.removeprefix("TOLD "))]


def test_new_explanations_make_what_follows_stale_and_nothing_new_does_not(project: Path) -> None:
    more: dict[str, object] = {"latents": "10-19"}
    before, again, explained, scored, shown, written, *repeated = launches(
        project,
        [
            ("explanations", {}),
            ("explanations", more),
            ("predictions", {}),
            ("scores", {}),
            ("explorer", {}),
            ("explanations", more),
            ("predictions", {}),
            ("scores", {}),
        ],
    )
    assert [told.error for told in (again, explained, scored, shown, written)] == [""] * 5
    assert before.stale() == set()
    assert (again.metadata["new_rows"], again.stale()) == ("0", set())
    assert explained.metadata["new_rows"] != "0"
    assert explained.stale() == {"predictions"}
    assert scored.stale() == {"scores"}
    assert shown.stale() == {"explorer"}
    assert written.stale() == set()
    assert [told.stale() for told in repeated] == [set()] * 3


def test_a_rerun_that_adds_nothing_leaves_everything_fresh(finished: Finished) -> None:
    assert [one.stale() for one in finished.repeated] == [set()] * ASKING
    assert {one.metadata["new_rows"] for one in finished.repeated} == {"0"}


def test_an_earlier_code_stays_stale_unless_its_rows_are_written_again(project: Path) -> None:
    """What costs nothing is written; what costs a forward pass or has answers says what it is."""
    code = {"captured": 4, "activations": 3, "neighbours": 2, "examples": 3}
    rebuild: dict[str, object] = {"rebuild": True}
    before, neighbours, captured, activations, examples, *_, rebuilt, renamed = launches(
        project,
        [
            ("neighbours", {}),
            ("captured", {}),
            ("activations", {}),
            ("examples", {}),
            ("captured", rebuild),
            ("activations", rebuild),
            ("neighbours", {}),
            ("latents", {}),
            ("examples", {"name": "second"}),
        ],
        code,
    )
    own = {"captured", "activations", "examples"}
    assert before.stale() >= {*own, "neighbours"}
    assert neighbours.metadata["new_rows"] != "0"
    assert "neighbours" not in neighbours.stale()
    for told, of_rows in ((captured, "3"), (activations, "2"), (examples, "2")):
        assert told.metadata["new_rows"] == "0"
        assert told.metadata["code_version_of_rows"] == of_rows
    assert "rebuild = true" in captured.metadata["outdated"]
    assert "rebuild = true" in activations.metadata["outdated"]
    assert "under another name" in examples.metadata["outdated"]
    assert examples.stale() >= own, "launched, and not written again"
    assert not {"captured", "activations", "neighbours", "latents"} & rebuilt.stale()
    assert "examples" not in renamed.stale()
    assert renamed.metadata["code_version_of_rows"] == "3"


def test_a_number_of_neighbours_is_taken_from_the_launchpad(project: Path) -> None:
    """What was drawn from the others before stays out of date: launching it wrote nothing."""
    fewer: dict[str, object] = {"n_neighbours": 3}
    before, refused, rebuilt, latents, examples = launches(
        project,
        [
            ("neighbours", fewer),
            ("neighbours", {**fewer, "rebuild": True}),
            ("latents", {}),
            ("examples", {}),
        ],
    )
    assert "drew on it; launch it with rebuild = true" in refused.error
    assert refused.statuses == before.statuses
    assert rebuilt.metadata["new_rows"] != "0"
    assert {"latents", "examples"} <= rebuilt.stale()
    assert "latents" not in latents.stale()
    assert examples.metadata["new_rows"] == "0"
    assert "drawn from other neighbours than are there now" in examples.metadata["outdated"]
    assert "examples" in examples.stale()
