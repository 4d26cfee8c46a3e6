"""Automation: what may be launched by Dagster itself, and only once somebody has switched it on.

`scores` and `explorer` have a condition, as they cost seconds and no money. What asks an LLM, or
takes a forward pass, has none: nobody pays for what nobody launched.
"""

import dagster as dg

FREE_SENSOR = dg.AutomationConditionSensorDefinition(
    "free_assets",
    target=dg.AssetSelection.assets("scores", "explorer"),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Launches `scores` at a hookpoint whose `predictions` or `latents` were "
    "materialized, and then `explorer`, in one run. Both cost seconds and no money. Off until it "
    "is switched on here.",
)
