"""Asset `latents`: a row per latent of the coder, dead ones too."""

import dagster as dg

from dagster_project import glances, plots, previews
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.served_run import ServedRun
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.lake.database import connect, query


def latents(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("latents"),
        group_name=served.group("selection"),
        description="A row per latent of the coder, dead ones too, with what its activations "
        "say.\n\n"
        "**In:** `activations`, `contexts`, `sparse_coder`, `neighbours`. **Out:** how often it "
        "fires, on which tokens, where in a context, its histogram of activations, norms, nearest "
        "neighbour, and whether it is dead. **Cost:** one pass over the activations in SQL. "
        "**Look at:** the histogram of firing densities (a coder with many dead or always-on "
        "latents is not worth explaining), `dead`.",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        tags=asset_tags("table"),
        code_version=served.code_version(CODE_VERSIONS["latents"]),
        partitions_def=served.hookpoints,
        deps=[
            served.key("contexts"),
            served.key("sparse_coder"),
            served.key("activations"),
            served.key("neighbours"),
        ],
        required_resource_keys=served.resource_keys,
        metadata=of_table(served, schema.LATENTS),
    )
    def materialize(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """One hookpoint a partition."""
        from delphi_assets.selection.latents import describe_latents

        place = served.place(context)
        report = describe_latents(place.profile, place.lake, place.hookpoint)
        with connect(place.lake) as con:
            densities = query(con, "analysis/firing_densities", **place.keys)
            preview = previews.of_latents(con, place)
        return materialized(
            served,
            "latents",
            report,
            densities=glances.firing_densities(densities),
            firing_densities=plots.firing_densities(densities),
            preview=preview,
        )

    return materialize
