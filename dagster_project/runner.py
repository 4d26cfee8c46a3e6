"""Stages as Dagster runs of this process: the runner `dagster` of `delphi_assets.runs.running`.

In: a profile file. Out: the lake, the same materializations in the Dagster instance that `make ui`
opens, and what each step said.

1. The definitions of the profile are made, under the names that the UI has for it; DAGSTER_HOME is
   laid (`.dagster` unless set), and runs of killed processes are closed.
2. A step is a Dagster run with its partitions and its asset checks.
"""

import os
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from dagster_project.component import served_by
from dagster_project.served_run import ServedRun
from dagster_project.serving import definitions_of
from delphi_assets.lake.lake import Lake
from delphi_assets.runs.order import Outcome, Step
from delphi_assets.runs.running import Opened
from delphi_assets.settings import Profile

_PROCESS_TAG = "delphi_assets/process"
_RETRIES_TAG = "dagster/max_retries"
_RANGE_START, _RANGE_END = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
_ROWS = ("dagster/row_count", "dagster/partition_row_count", "rows_of_these_shards")
_NOT_FACTS = (*_ROWS, "new_rows", "bytes", "seconds", "outdated", "code_version_of_rows")


@contextmanager
def by_dagster(file: Path, profile: Profile, lake: Lake) -> Iterator[Opened]:
    """Runs steps as Dagster runs."""
    served = served_here(file, profile)
    job = definitions_of(served).resolve_implicit_global_asset_job_def()
    home = prepare_home()
    with dg.DagsterInstance.get() as instance:
        close_interrupted_runs(instance)
        try:
            yield Opened(
                f"Dagster home {home}",
                lambda step: run_step(job, instance, step, served.key(step.stage)),
            )
        except dg.DagsterExecutionInterruptedError as error:
            raise KeyboardInterrupt from error


def served_here(file: Path, profile: Profile) -> ServedRun:
    """The profile under the names that it has in the Dagster project of the current folder.

    One that is not among those served there has its run's name before every other; without a
    project, or with one that serves none, names are plain.
    """
    here = Path.cwd()
    laid = here / "pyproject.toml"
    told = tomllib.loads(laid.read_text(encoding="utf-8")) if laid.is_file() else {}
    if "defs_module" not in told.get("tool", {}).get("dg", {}).get("project", {}):
        return ServedRun(profile, file)
    if str(here) not in sys.path:
        sys.path.insert(0, str(here))
    served = served_by(dg.ComponentTree.for_project(here)).values()
    own = [one for one in served if one.file.samefile(file)]
    return ServedRun(profile, file, named=own[0].named if own else bool(served))


def run_step(
    job: dg.JobDefinition, instance: dg.DagsterInstance, step: Step, asset: dg.AssetKey
) -> Outcome:
    """Materialize one step, which is of an asset, as a Dagster run of this process.

    Raises `KeyboardInterrupt` when Ctrl-C or SIGTERM ended it.
    """
    started = time.perf_counter()
    # Who started this process starts it again; a daemon could not.
    tags = {_PROCESS_TAG: str(os.getpid()), _RETRIES_TAG: "0"}
    partition = step.parts[0] if len(step.parts) == 1 else None
    if len(step.parts) > 1:
        tags |= {_RANGE_START: step.parts[0], _RANGE_END: step.parts[-1]}
    # Errors are told in one line by the caller; the whole trace is in the Dagster UI.
    config: dict[str, object] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if step.rebuild:
        config["ops"] = {asset.to_python_identifier(): {"config": {"rebuild": True}}}
    result = job.execute_in_process(
        run_config=config,
        instance=instance,
        partition_key=partition,
        asset_selection=[asset],
        raise_on_error=False,
        tags=tags,
    )
    if _is_interrupted(result):
        raise KeyboardInterrupt
    metadata: dict[str, object] = {}
    for event in result.get_asset_materialization_events():
        shown = event.step_materialization_data.materialization.metadata
        metadata |= {name: value.value for name, value in shown.items()}
    checks = result.get_asset_check_evaluations()
    broken = [check for check in checks if not check.passed]
    failed = [one.check_name for one in broken if one.severity is dg.AssetCheckSeverity.ERROR]
    return Outcome(
        rows=max(_number(metadata, name) for name in _ROWS),
        new_rows=_number(metadata, "new_rows"),
        seconds=time.perf_counter() - started,
        facts={name: value for name, value in metadata.items() if name not in _NOT_FACTS},
        checks=_told(len(checks), [one.check_name for one in broken], failed),
        failed_checks=tuple(failed),
        error=_error(result),
    )


def _told(n_checks: int, broken: list[str], failed: list[str]) -> str:
    """How the checks went; empty without any."""
    if not n_checks:
        return ""
    warned = [name for name in broken if name not in failed]
    also = f" ({', '.join(warned)} warned)" if warned else ""
    return f"{n_checks - len(broken)} of {n_checks} checks passed{also}"


def _number(metadata: dict[str, object], name: str) -> int:
    value = metadata.get(name, 0)
    return value if isinstance(value, int) else 0


def _is_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether Dagster took a signal, which it tells as the failure of a step."""
    return any(
        event.is_step_failure
        and (error := event.step_failure_data.error) is not None
        and error.cls_name == dg.DagsterExecutionInterruptedError.__name__
        for event in result.all_events
    )


def _error(result: dg.ExecuteInProcessResult) -> str | None:
    """The text of the first error of a failed run, without its trace."""
    if result.success:
        return None
    for event in result.all_events:
        if event.is_step_failure and (error := event.step_failure_data.error):
            while error.cause is not None and (error.cls_name or "").startswith("Dagster"):
                error = error.cause
            return error.message.strip()
    return "the run failed outside its asset; make ui shows its log"


def prepare_home() -> Path:
    """DAGSTER_HOME with this project's instance settings; `.dagster` here unless set."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(Path.cwd() / ".dagster")))
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(Path(__file__).with_name("dagster.yaml"), home / "dagster.yaml")
    return home


def close_interrupted_runs(instance: dg.DagsterInstance) -> None:
    """Report runs of processes that were killed as failed; Dagster would show them as running."""
    open_runs = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    for run in instance.get_runs(open_runs):
        process = run.tags.get(_PROCESS_TAG)
        if process is not None and not _alive(int(process)):
            instance.report_run_failed(run, "Its process ended before this run did.")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
