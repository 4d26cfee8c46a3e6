"""A run as Dagster's definitions: assets, checks, jobs, sensor and resources."""

import dagster as dg

from dagster_project.assets import assets_of
from dagster_project.automation import free_sensor
from dagster_project.capture_job import capture_job
from dagster_project.checks import checks_of
from dagster_project.jobs import jobs_of
from dagster_project.resources import resources_of
from dagster_project.served_run import ServedRun


def definitions_of(served: ServedRun) -> dg.Definitions:
    """All that Dagster shows of a run."""
    resources = resources_of(served.profile, str(served.file))
    return dg.Definitions(
        # Each with the file and the line where it is defined.
        assets=dg.with_source_code_references(assets_of(served)),
        asset_checks=checks_of(served),
        jobs=[capture_job(served), *jobs_of(served)],
        sensors=[free_sensor(served)],
        resources={served.name(name): resource for name, resource in resources.items()},
        # In process: every new process would import torch or litellm anew, about 10 s a step.
        executor=dg.in_process_executor,
    )
