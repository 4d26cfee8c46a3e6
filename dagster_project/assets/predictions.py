"""Asset `predictions`: what a judge answers on each example, given an explanation."""

from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.assets.examples import examples
from dagster_project.assets.explanations import explanations
from dagster_project.assets.neighbours import neighbours
from dagster_project.launch import config_of, launched
from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, open_lake
from delphi_assets import schema
from delphi_assets.settings import ScoreSettings, parse_latents

if TYPE_CHECKING:
    PredictionsConfig = dg.Config
else:
    PredictionsConfig = config_of(
        "PredictionsConfig",
        ScoreSettings,
        selection="name of the selection of examples to judge",
        explainer="whose explanations to judge: default, lexical, or all",
    )


@dg.asset(
    group_name="scoring",
    description="A scorer's answer on every test example of a latent, given a stored "
    "explanation. A failure is a row with its reason; what is there already is not asked again.",
    kinds={"litellm", "parquet"},
    owners=OWNERS,
    code_version="1",
    partitions_def=HOOKPOINTS,
    deps=[examples, explanations, neighbours],
    pool="llm",
    metadata=of_table(schema.PREDICTIONS),
)
def predictions(
    context: dg.AssetExecutionContext, config: PredictionsConfig
) -> dg.MaterializeResult[None]:
    """One hookpoint a partition; ranges of latents are run config."""
    settings = launched(PROFILE.score, "predictions", config)
    own = config.model_dump(include={"selection", "explainer"})
    wanted = parse_latents(settings.latents)
    selection, explainer = own["selection"] or PROFILE.selection.name, own["explainer"] or None
    from delphi_assets.predictions import score

    return materialized(
        score(PROFILE, open_lake(), context.partition_key, wanted, settings, selection, explainer)
    )
