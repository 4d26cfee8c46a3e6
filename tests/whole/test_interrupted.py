"""A demo that is killed in the middle of every stage continues, and ends with the same tables.

One lake goes through all of it: the demo is killed at each point in turn, each start continuing
what the one before left, and then runs to its end. Another lake is made undisturbed.
"""

import signal
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pyarrow.parquet as pq
import pytest

from tests.parts.tiny_project import ROOT, contents, make_project, run_demo

pytestmark = pytest.mark.slow


class Kill(NamedTuple):
    """Where a demo is killed: see `tests.parts.killing`."""

    table: str
    number: int
    moment: str


KILLS = (
    Kill("contexts", 3, "before"),
    Kill("vocabulary", 1, "after"),
    Kill("coders", 1, "before"),
    Kill("weights", 1, "after"),
    Kill("captured", 4, "after"),
    Kill("activations", 3, "before"),
    Kill("neighbours", 1, "after"),
    Kill("latents", 1, "before"),
    Kill("examples", 1, "after"),
    Kill("explanations", 2, "before"),
    Kill("predictions", 2, "after"),
)
"""In the order of the stages. `number` counts the moves of that start of the demo alone."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project with an undisturbed lake."""
    folder = make_project(tmp_path_factory.mktemp("interrupted"), expansion_factor=9)
    ended = run_demo(folder, "undisturbed")
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.timeout(1800)  # A dozen runs of all stages, one after the other.
def test_killed_in_every_stage(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in every stage, then left alone: the same tables, and no row written twice."""
    for kill in KILLS:
        arguments = (str(ROOT / "tests" / "parts" / "killing.py"), *map(str, kill))
        ended = run_demo(project, "killed", arguments)
        assert ended.returncode == -signal.SIGKILL, (kill, ended.stdout, ended.stderr)
    ended = run_demo(project, "killed")
    assert ended.returncode == 0, ended.stderr
    expected, found = contents(project, "undisturbed"), contents(project, "killed")
    for table, rows in expected.items():
        assert found[table].equals(rows), table
    assert expected["predictions"].num_rows > 0
    for table in ("explanations", "predictions"):
        files = (project / "killed" / table).rglob("*.parquet")
        assert sum(pq.read_metadata(file).num_rows for file in files) == found[table].num_rows
    monkeypatch.setenv("DAGSTER_HOME", str(project / "dagster-killed"))
    with dg.DagsterInstance.get() as instance:
        ends = Counter(run.status for run in instance.get_runs())
    assert ends[dg.DagsterRunStatus.FAILURE] == len(KILLS)
    assert set(ends) == {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS}
