"""Asset `examples`: the windows shown to explainers and scorers."""

from typing import TYPE_CHECKING

import dagster as dg

from dagster_project import previews
from dagster_project.launch import config_of, launched
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.served_run import ServedRun
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.lake.database import connect
from delphi_assets.settings import SelectionSettings

if TYPE_CHECKING:
    ExamplesConfig = dg.Config
else:
    ExamplesConfig = config_of("ExamplesConfig", SelectionSettings)


def examples(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("examples"),
        group_name=served.group("selection"),
        description="The windows that stand for a latent: train windows for the explainer, "
        "test windows and windows in which it is silent for the scorers.\n\n"
        "**In:** `activations`, `contexts`, `latents`, `neighbours`. **Out:** a selection under a "
        "name of its own; what could not be filled is a row of the table `shortfalls`. **Cost:** "
        "SQL, about a thousand latents a second; semantic negatives embed the corpus once. **Look "
        "at:** the preview: do the windows of a latent have anything in common? And `shortfalls`.",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        tags=asset_tags("table"),
        code_version=served.code_version(CODE_VERSIONS["examples"]),
        partitions_def=served.hookpoints,
        deps=[
            served.key("contexts"),
            served.key("latents"),
            served.key("activations"),
            served.key("neighbours"),
        ],
        required_resource_keys=served.resource_keys,
        metadata=of_table(served, schema.EXAMPLES),
    )
    def materialize(
        context: dg.AssetExecutionContext, config: ExamplesConfig
    ) -> dg.MaterializeResult[None]:
        """One hookpoint a partition, one selection a launch."""
        selection = launched(served.profile.selection, "examples", config)
        from delphi_assets.selection.examples import select_examples

        place = served.place(context, selection.name)
        report = select_examples(place.profile, place.lake, place.hookpoint, selection)
        with connect(place.lake) as con:
            preview = previews.of_examples(con, place, selection.name)
        return materialized(
            served, "examples", report, context=context, preview=preview, selection=selection.name
        )

    return materialize
