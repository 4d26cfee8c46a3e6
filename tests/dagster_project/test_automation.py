"""What Dagster may launch by itself: what is free, once switched on; and a run that was killed."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from dagster_project.served_run import ServedRun

pytestmark = pytest.mark.slow

PLACE = ServedRun.load().profile.cache.hookpoints[0]
SETTINGS = Path(__file__).parents[2] / "dagster_project" / "dagster.yaml"


@pytest.fixture
def defs() -> dg.Definitions:
    """The definitions of this process's profile."""
    from dagster_project.definitions import defs

    return defs


def test_only_what_is_free_has_a_condition_and_its_sensor_is_off(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.toposorted_asset_keys]
    automated = {node.key.to_user_string() for node in nodes if node.automation_condition}
    assert automated == {"scores", "explorer"}
    assert {node.tags["cost"] for node in nodes if node.automation_condition} == {"free"}
    paid = {node.key.to_user_string() for node in nodes if node.tags["cost"] == "paid"}
    assert paid == {"explanations", "predictions"}
    (sensor,) = defs.get_repository_def().sensor_defs
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED


def test_new_predictions_are_scored_then_shown(defs: dg.Definitions) -> None:
    """Labels, which nobody has to add, are not waited for; nothing is launched twice."""
    free = dg.AssetSelection.assets("scores", "explorer")
    with dg.DagsterInstance.ephemeral() as instance:
        cursor = None

        def launched() -> list[str]:
            nonlocal cursor
            told = dg.evaluate_automation_conditions(
                defs, instance, asset_selection=free, cursor=cursor
            )
            cursor = told.cursor
            return [
                name
                for name in ("scores", "explorer")
                if told.get_requested_partitions(dg.AssetKey(name)) == {PLACE}
            ]

        def materialize(*names: str) -> None:
            for name in names:
                made = dg.AssetMaterialization(name, partition=PLACE)
                instance.report_runless_asset_event(made)

        assert launched() == []
        materialize("latents", "neighbours", "examples", "explanations")
        assert launched() == []
        for _ in range(2):
            materialize("predictions")
            assert launched() == ["scores", "explorer"], "in one run, one after the other"
            materialize("scores", "explorer")
            assert launched() == []


def test_a_killed_run_is_launched_again_and_a_failed_one_is_not() -> None:
    """With the settings that `make ui` and `make demo` give the instance."""
    from dagster._core.events import RunFailureReason
    from dagster._core.execution.retries import auto_reexecution_should_retry_run
    from dagster._core.test_utils import create_run_for_test

    settings = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))["run_retries"]
    with dg.instance_for_test(overrides={"run_retries": settings}) as instance:
        failed = dg.DagsterRunStatus.FAILURE
        run = create_run_for_test(instance, status=failed)
        own = create_run_for_test(instance, status=failed, tags={"dagster/max_retries": "0"})

        def is_retried(run: dg.DagsterRun, reason: RunFailureReason) -> bool:
            return auto_reexecution_should_retry_run(instance, run, reason)

        assert is_retried(run, RunFailureReason.RUN_EXCEPTION)
        assert not is_retried(run, RunFailureReason.STEP_FAILURE)
        assert not is_retried(own, RunFailureReason.RUN_EXCEPTION), "a run of `delphi-assets run`"
