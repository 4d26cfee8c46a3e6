"""Launches that ask an LLM: one that cannot be asked, or gives nothing of use, is a failed run."""

import sys
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.assets.explanations import explanations as asset
from dagster_project.partitions import HOOKPOINTS
from dagster_project.runner import _error
from delphi_assets import connect
from delphi_assets.lake.lake import Lake
from tests.parts.explained_lake import add_hookpoint, make_lake, profile
from tests.parts.fault_server import FaultServer, Reply

pytestmark = pytest.mark.slow

# The package gives the asset under its module's name.
MODULE = sys.modules["dagster_project.assets.explanations"]
PLACE = HOOKPOINTS.get_partition_keys()[0]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The code location's lake: two latents, whose profile asks nobody."""
    made = make_lake(tmp_path, 2)
    add_hookpoint(made, PLACE, range(2))
    monkeypatch.setattr(MODULE, "PROFILE", profile())
    monkeypatch.setattr(MODULE, "open_lake", lambda: made)
    return made


def launch() -> dg.ExecuteInProcessResult:
    """The asset, with the launch's own model."""
    config = {"explainer": "default", "explainer_model": "openai/x"}
    return dg.materialize(
        [asset],
        partition_key=PLACE,
        run_config={"ops": {"explanations": {"config": config}}},
        raise_on_error=False,
    )


def test_a_launch_without_a_key_fails(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    result = launch()
    assert not result.success
    assert "explainer_model = 'openai/x' needs OPENAI_API_KEY" in str(_error(result))


def test_a_launch_in_which_every_answer_failed_fails(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(lambda asked: Reply(status=400)) as server:
        monkeypatch.setattr(MODULE, "PROFILE", profile(api_base=server.url))
        result = launch()
    assert not result.success
    assert "no answer of model = 'openai/x'" in str(_error(result))
    failed = "select count(*) from explanations where failure = 'rejected'"
    assert connect(lake).sql(failed).fetchall() == [(2,)], "the rows are stored"
