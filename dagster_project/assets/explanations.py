"""Asset `explanations`: a text per latent that says when it fires."""

from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.assets.examples import examples
from dagster_project.launch import config_of, launched
from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, open_lake
from delphi_assets import schema
from delphi_assets.settings import ExplainSettings, parse_latents

if TYPE_CHECKING:
    ExplanationsConfig = dg.Config
else:
    ExplanationsConfig = config_of(
        "ExplanationsConfig",
        ExplainSettings,
        selection="name of the selection of examples to show",
    )


@dg.asset(
    group_name="explaining",
    description="Explanations by an LLM or by counting (`lexical`). A failure is a row with its "
    "reason; what is there already is not asked for again.",
    kinds={"litellm", "parquet"},
    owners=OWNERS,
    code_version="1",
    partitions_def=HOOKPOINTS,
    deps=[examples],
    pool="llm",
    metadata=of_table(schema.EXPLANATIONS),
)
def explanations(
    context: dg.AssetExecutionContext, config: ExplanationsConfig
) -> dg.MaterializeResult[None]:
    """One hookpoint a partition; ranges of latents are run config."""
    settings = launched(PROFILE.explain, "explanations", config)
    own = config.model_dump(include={"selection"})
    wanted = parse_latents(settings.latents)
    selection = own["selection"] or PROFILE.selection.name
    from delphi_assets.explanations import explain

    return materialized(
        explain(PROFILE, open_lake(), context.partition_key, wanted, settings, selection)
    )
