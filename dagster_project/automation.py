"""Automation: what may be launched by Dagster itself, and only once somebody has switched it on.

`scores` and `explorer` have a condition, as they cost seconds and no money. What asks an LLM, or
takes a forward pass, has none: nobody pays for what nobody launched.
"""

import dagster as dg

from dagster_project.served_run import ServedRun


def free_sensor(served: ServedRun) -> dg.AutomationConditionSensorDefinition:
    """What launches the free assets of a run."""
    return dg.AutomationConditionSensorDefinition(
        served.name("free_assets"),
        target=served.keys("scores", "explorer"),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Launches `scores` at a hookpoint whose `predictions` or `latents` were "
        "materialized, and then `explorer`, in one run. Both cost seconds and no money. Off until "
        "it is switched on here.",
    )
