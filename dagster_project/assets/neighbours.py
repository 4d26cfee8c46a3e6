"""Asset `neighbours`: for each latent the latents most like it."""

from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.assets.activations import activations
from dagster_project.assets.sparse_coder import sparse_coder
from dagster_project.launch import config_of, launched, rebuilt
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, open_lake
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.settings import NeighbourSettings

if TYPE_CHECKING:
    NeighboursConfig = dg.Config
else:
    NeighboursConfig = config_of(
        "NeighboursConfig",
        NeighbourSettings,
        rebuild="write neighbours with other settings also where a selection drew on them: it "
        "costs seconds to minutes, and the selections stay as they are",
    )


@dg.asset(
    group_name="selection",
    description="For each latent the latents most like it, by where they fire or by their "
    "weights.\n\n"
    "**In:** `activations` (co-occurrence: "
    "latents that fire on the same tokens) or `sparse_coder` (decoder, encoder: rows that point "
    "the same way). **Out:** ordered pairs with rank and similarity, a partition of the table a "
    "method. **Cost:** co-occurrence seconds to minutes; weights grow with the square of the "
    "number of latents. **Look at:** `latents_<method>`, the latents with any neighbour.",
    kinds={"numpy", "parquet"},
    owners=OWNERS,
    tags=asset_tags("table"),
    code_version=str(CODE_VERSIONS["neighbours"]),
    partitions_def=HOOKPOINTS,
    deps=[
        sparse_coder,
        activations,
    ],
    metadata=of_table(schema.NEIGHBOURS),
)
def neighbours(
    context: dg.AssetExecutionContext, config: NeighboursConfig
) -> dg.MaterializeResult[None]:
    """One hookpoint a partition, one method after the other."""
    settings = launched(PROFILE.neighbours, "neighbours", config)
    from delphi_assets.selection.neighbours import find_all_neighbours

    report = find_all_neighbours(
        PROFILE, open_lake(), context.partition_key, settings, rebuild=rebuilt(config)
    )
    return materialized("neighbours", report)
