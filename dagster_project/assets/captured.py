"""Asset `captured`: what fires in a token shard, at every hookpoint."""

import dagster as dg

from dagster_project.assets.contexts import contexts
from dagster_project.assets.sparse_coder import sparse_coder
from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.partitions import SHARDS, shard_key
from dagster_project.profile import PROFILE, open_lake
from delphi_assets import schema
from delphi_assets.activations import captured_unit
from delphi_assets.lake import Lake


@dg.asset(
    group_name="subject",
    description="One forward pass over a token shard, all hookpoints at once: every non-zero "
    "activation of every latent. Shards can run at once, in several processes or machines; several "
    "in one run load the model once.",
    kinds={"torch", "parquet"},
    owners=OWNERS,
    code_version="2",
    partitions_def=SHARDS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[contexts, dg.AssetDep(sparse_coder, partition_mapping=dg.AllPartitionMapping())],
    pool="gpu",
    metadata=of_table(schema.CAPTURED),
)
def captured(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """All shards that the run was launched for."""
    from delphi_assets.capture import capture

    lake = open_lake()
    shards = sorted(int(key) for key in context.partition_keys)
    report = capture(PROFILE, lake, shards)
    for shard in shards:
        context.add_asset_metadata(
            {"dagster/partition_row_count": rows_of(lake, shard)}, partition_key=shard_key(shard)
        )
    return materialized(report, rows_as="rows_of_these_shards")


def rows_of(lake: Lake, shard: int) -> int:
    """Activations of a captured shard, summed over hookpoints."""
    units = [captured_unit(PROFILE, hookpoint, shard) for hookpoint in PROFILE.cache.hookpoints]
    return sum(manifest.rows for unit in units if (manifest := lake.manifest(unit)) is not None)
