"""Everything Dagster needs to know of the environment's profile, in one object.

In: the environment (`DELPHI_ASSETS_PROFILE`, `DELPHI_ASSETS_LAKE`). Loads without torch,
transformers, litellm. Several profiles side by side are components (`dagster_project.component`).
"""

from dagster_project.served_run import ServedRun
from dagster_project.serving import definitions_of

defs = definitions_of(ServedRun.load())
