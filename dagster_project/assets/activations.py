"""Asset `activations`: every non-zero latent activation, by token shard."""

import dagster as dg

from dagster_project.assets.contexts import contexts
from dagster_project.assets.sparse_coder import sparse_coder
from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.partitions import SHARDS, shard_key
from dagster_project.profile import PROFILE, open_lake
from delphi_assets import schema
from delphi_assets.lake import Lake


@dg.asset(
    group_name="subject",
    description="One forward pass over a token shard, all hookpoints at once: every non-zero "
    "activation of every latent. Several shards in one run load the model once.",
    kinds={"torch", "parquet"},
    owners=OWNERS,
    code_version="1",
    partitions_def=SHARDS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[contexts, dg.AssetDep(sparse_coder, partition_mapping=dg.AllPartitionMapping())],
    pool="gpu",
    metadata=of_table(schema.ACTIVATIONS),
)
def activations(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """All shards that the run was launched for."""
    from delphi_assets.activations import capture

    lake = open_lake()
    shards = sorted(int(key) for key in context.partition_keys)
    report = capture(PROFILE, lake, shards)
    rows = shard_rows(lake)
    for shard in shards:
        context.add_asset_metadata(
            {"dagster/partition_row_count": rows[shard]}, partition_key=shard_key(shard)
        )
    return materialized(report, rows_as="rows_of_these_shards")


def shard_rows(lake: Lake) -> dict[int, int]:
    """Activations of each published shard, summed over hookpoints."""
    rows: dict[int, int] = {}
    for manifest in lake.manifests("activations", run=PROFILE.run.name):
        shard = int(manifest.name.removeprefix("shard-"))
        rows[shard] = rows.get(shard, 0) + manifest.rows
    return rows
