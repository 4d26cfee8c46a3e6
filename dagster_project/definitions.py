"""Everything Dagster needs to know, in one object. Loads without torch, transformers, litellm."""

import dagster as dg

from dagster_project.assets import ASSETS
from dagster_project.checks import CHECKS
from dagster_project.jobs import JOBS

# In process: every new process would import torch or litellm anew, about 10 s a step.
defs = dg.Definitions(
    assets=ASSETS, asset_checks=CHECKS, jobs=JOBS, executor=dg.in_process_executor
)
