"""Materialize the whole asset graph of a profile in this process, then say what came out.

    python -m dagster_project.demo [PROFILE]

In: a profile (argument, else the environment, else `demo`). Out: the lake, the same
materializations in the Dagster instance that `make ui` opens, a summary on the standard output;
exit status 1 with the error's text when a stage fails.

1. Choose the profile, lay DAGSTER_HOME (`.dagster` unless set), close runs of killed demos.
2. Run one stage after the other, each as a Dagster run with its partition and its asset checks.
   A stage does only what is missing, so running again continues, or finds everything there.
3. Print wall times, the summary of the tables, and what to try next.
"""

import argparse
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from delphi_assets.errors import DelphiAssetsError
from delphi_assets.settings import PROFILE_VARIABLE

_PROCESS_TAG = "delphi_assets/process"
_RANGE_START, _RANGE_END = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


class Stage(NamedTuple):
    """One Dagster run: an asset and the partitions to materialize."""

    asset: str
    partitions: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The stage as one line names it."""
        if not self.partitions:
            return self.asset
        first, last = self.partitions[0], self.partitions[-1]
        return f"{self.asset} {first}" if first == last else f"{self.asset} {first}...{last}"


class Outcome(NamedTuple):
    """What one stage said."""

    seconds: float
    metadata: Mapping[str, object]
    failed_checks: tuple[str, ...]
    error: str | None


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dagster_project.demo")
    parser.add_argument("profile", nargs="?", help="a TOML file, or the name of a shipped profile")
    if profile := parser.parse_args(arguments).profile:
        os.environ[PROFILE_VARIABLE] = profile
    # Dagster keeps the library's warnings as events, and its console is silent here.
    logging.getLogger("delphi_assets").addHandler(logging.StreamHandler())
    try:
        return _materialize_everything()
    except DelphiAssetsError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1


def _materialize_everything() -> int:
    from dagster_project import summary
    from dagster_project.definitions import defs
    from dagster_project.profile import PROFILE, open_lake

    if PROFILE.asks_llm:
        from delphi_assets.llm.asking.keys import check_keys

        check_keys(PROFILE)
    started, lake, home = time.perf_counter(), open_lake(), prepare_home()
    print(
        f"run {PROFILE.run.name!r} in lake {lake.location('')}, Dagster home {home}\n", flush=True
    )
    coders: dict[str, Mapping[str, object]] = {}
    broken: list[str] = []
    new_rows = 0
    with dg.DagsterInstance.get() as instance:
        close_interrupted_runs(instance)
        job = defs.resolve_implicit_global_asset_job_def()
        for stage in stages():
            print(f"{stage.label} ...", flush=True)
            outcome = run_stage(job, instance, stage)
            if outcome.error is not None:
                print(f"{stage.label} failed: {outcome.error}", file=sys.stderr)
                print("What was finished is kept: run it again to continue.", file=sys.stderr)
                return 1
            print(summary.stage_line(stage.label, outcome.seconds, outcome.metadata), flush=True)
            broken += [f"{stage.label}: {check}" for check in outcome.failed_checks]
            new_rows += summary.number(outcome.metadata, "new_rows")
            if stage.asset == "sparse_coder":
                coders[stage.partitions[0]] = outcome.metadata
    print(
        f"\n{new_rows:,} new rows in {time.perf_counter() - started:.0f} s"
        + ("" if new_rows else ": everything was there already")
    )
    for hookpoint in PROFILE.cache.hookpoints:
        print(summary.of_hookpoint(lake, PROFILE, hookpoint, coders[hookpoint]))
    print(summary.what_next(lake, PROFILE))
    for check in broken:
        print(f"asset check failed: {check} (make ui shows the rows)", file=sys.stderr)
    return 1 if broken else 0


def stages() -> Iterator[Stage]:
    """Every stage of the profile, in the order of the data's way."""
    from dagster_project.partitions import CAPTURES, HOOKPOINTS

    hookpoints = HOOKPOINTS.get_partition_keys()
    yield Stage("contexts")
    yield from (Stage("sparse_coder", (hookpoint,)) for hookpoint in hookpoints)
    yield Stage("captured", tuple(CAPTURES.get_partition_keys()))
    for asset in (
        "activations",
        "neighbours",
        "latents",
        "examples",
        "explanations",
        "predictions",
        "scores",
    ):
        yield from (Stage(asset, (hookpoint,)) for hookpoint in hookpoints)


def run_stage(job: dg.JobDefinition, instance: dg.DagsterInstance, stage: Stage) -> Outcome:
    """Materialize one stage as a Dagster run of this process."""
    started = time.perf_counter()
    tags = {_PROCESS_TAG: str(os.getpid())}
    partition = stage.partitions[0] if len(stage.partitions) == 1 else None
    if len(stage.partitions) > 1:
        tags |= {_RANGE_START: stage.partitions[0], _RANGE_END: stage.partitions[-1]}
    result = job.execute_in_process(
        # Errors are told in one line by the caller; the whole trace is in the Dagster UI.
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        instance=instance,
        partition_key=partition,
        asset_selection=[dg.AssetKey(stage.asset)],
        raise_on_error=False,
        tags=tags,
    )
    metadata: dict[str, object] = {}
    for event in result.get_asset_materialization_events():
        shown = event.step_materialization_data.materialization.metadata
        metadata |= {name: value.value for name, value in shown.items()}
    evaluations = result.get_asset_check_evaluations()
    failed = tuple(
        check.check_name
        for check in evaluations
        if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
    )
    warned = [
        check.check_name
        for check in evaluations
        if not check.passed and check.check_name not in failed
    ]
    if evaluations:
        passed = sum(check.passed for check in evaluations)
        told = f" ({', '.join(warned)} warned)" if warned else ""
        metadata["checks"] = f"{passed} of {len(evaluations)} checks passed{told}"
    return Outcome(time.perf_counter() - started, metadata, failed, _error(result))


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
    """Report runs of demos that were killed as failed; Dagster would show them as running."""
    open_runs = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    for run in instance.get_runs(open_runs):
        process = run.tags.get(_PROCESS_TAG)
        if process is not None and not _alive(int(process)):
            instance.report_run_failed(run, "The demo's process ended before this run did.")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # A plain exit after torch ran under Dagster makes DuckDB's bindings print 40 lines about leaks.
    os._exit(status)
