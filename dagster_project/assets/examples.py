"""Asset `examples`: the windows shown to explainers and scorers."""

from typing import TYPE_CHECKING

import dagster as dg

from dagster_project import previews
from dagster_project.assets.activations import activations
from dagster_project.assets.contexts import contexts
from dagster_project.assets.latents import latents
from dagster_project.assets.neighbours import neighbours
from dagster_project.launch import config_of, launched
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, open_lake
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.lake.database import connect
from delphi_assets.settings import SelectionSettings

if TYPE_CHECKING:
    ExamplesConfig = dg.Config
else:
    ExamplesConfig = config_of("ExamplesConfig", SelectionSettings)


@dg.asset(
    group_name="selection",
    description="The windows that stand for a latent: train windows for the explainer, test "
    "windows and windows in which it is silent for the scorers.\n\n"
    "**In:** `activations`, `contexts`, "
    "`latents`, `neighbours`. **Out:** a selection under a name of its own; what could not be "
    "filled is a row of the table `shortfalls`. **Cost:** SQL, about a thousand latents a second; "
    "semantic negatives embed the corpus once. **Look at:** the preview: do the windows of a "
    "latent have anything in common? And `shortfalls`.",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    tags=asset_tags("table"),
    code_version=str(CODE_VERSIONS["examples"]),
    partitions_def=HOOKPOINTS,
    deps=[
        contexts,
        latents,
        activations,
        neighbours,
    ],
    metadata=of_table(schema.EXAMPLES),
)
def examples(
    context: dg.AssetExecutionContext, config: ExamplesConfig
) -> dg.MaterializeResult[None]:
    """One hookpoint a partition, one selection a launch."""
    selection = launched(PROFILE.selection, "examples", config)
    from delphi_assets.selection.examples import select_examples

    lake, hookpoint = open_lake(), context.partition_key
    report = select_examples(PROFILE, lake, hookpoint, selection)
    with connect(lake) as con:
        preview = previews.of_examples(con, hookpoint, selection.name)
    return materialized(
        "examples", report, context=context, preview=preview, selection=selection.name
    )
