"""Everything Dagster needs to know, in one object. Loads without torch, transformers, litellm."""

import dagster as dg

from dagster_project.assets import ASSETS
from dagster_project.automation import FREE_SENSOR
from dagster_project.capture_job import capture_job
from dagster_project.checks import CHECKS
from dagster_project.jobs import JOBS

# In process: every new process would import torch or litellm anew, about 10 s a step.
defs = dg.Definitions(
    # Each with the file and the line where it is defined.
    assets=dg.with_source_code_references(ASSETS),
    asset_checks=CHECKS,
    jobs=[capture_job, *JOBS],
    sensors=[FREE_SENSOR],
    executor=dg.in_process_executor,
)
