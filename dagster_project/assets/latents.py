"""Asset `latents`: a row per latent of the coder, dead ones too."""

import dagster as dg

from dagster_project import glances, plots, previews
from dagster_project.assets.activations import activations
from dagster_project.assets.contexts import contexts
from dagster_project.assets.neighbours import neighbours
from dagster_project.assets.sparse_coder import sparse_coder
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, keys_of, open_lake
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.lake.database import connect, query


@dg.asset(
    group_name="selection",
    description="A row per latent of the coder, dead ones too, with what its activations say.\n\n"
    "**In:** `activations`, `contexts`, "
    "`sparse_coder`, `neighbours`. **Out:** how often it fires, on which tokens, where in a "
    "context, its histogram of activations, norms, nearest neighbour, and whether it is dead. "
    "**Cost:** one pass over the activations in SQL. **Look at:** the histogram of "
    "firing densities (a coder with many dead or always-on latents is not worth explaining), "
    "`dead`.",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    tags=asset_tags("table"),
    code_version=str(CODE_VERSIONS["latents"]),
    partitions_def=HOOKPOINTS,
    deps=[
        contexts,
        sparse_coder,
        activations,
        neighbours,
    ],
    metadata=of_table(schema.LATENTS),
)
def latents(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """One hookpoint a partition."""
    from delphi_assets.selection.latents import describe_latents

    lake, hookpoint = open_lake(), context.partition_key
    report = describe_latents(PROFILE, lake, hookpoint)
    with connect(lake) as con:
        densities = query(con, "analysis/firing_densities", **keys_of(hookpoint))
        preview = previews.of_latents(con, hookpoint)
    return materialized(
        "latents",
        report,
        densities=glances.firing_densities(densities),
        firing_densities=plots.firing_densities(densities),
        preview=preview,
    )
