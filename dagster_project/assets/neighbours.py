"""Asset `neighbours`: for each latent the latents most like it."""

from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.launch import config_of, launched, rebuilt
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.served_run import ServedRun
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


def neighbours(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("neighbours"),
        group_name=served.group("selection"),
        description="For each latent the latents most like it, by where they fire or by their "
        "weights.\n\n"
        "**In:** `activations` (co-occurrence: latents that fire on the same tokens) or "
        "`sparse_coder` (decoder, encoder: rows that point the same way). **Out:** ordered pairs "
        "with rank and similarity, a partition of the table a method. **Cost:** co-occurrence "
        "seconds to minutes; weights grow with the square of the number of latents. **Look at:** "
        "`latents_<method>`, the latents with any neighbour.",
        kinds={"numpy", "parquet"},
        owners=OWNERS,
        tags=asset_tags("table"),
        code_version=served.code_version(CODE_VERSIONS["neighbours"]),
        partitions_def=served.hookpoints,
        deps=[served.key("sparse_coder"), served.key("activations")],
        required_resource_keys=served.resource_keys,
        metadata=of_table(served, schema.NEIGHBOURS),
    )
    def materialize(
        context: dg.AssetExecutionContext, config: NeighboursConfig
    ) -> dg.MaterializeResult[None]:
        """One hookpoint a partition, one method after the other."""
        settings = launched(served.profile.neighbours, "neighbours", config)
        from delphi_assets.selection.neighbours import find_all_neighbours

        place = served.place(context)
        report = find_all_neighbours(
            place.profile, place.lake, place.hookpoint, settings, rebuild=rebuilt(config)
        )
        return materialized(served, "neighbours", report)

    return materialize
