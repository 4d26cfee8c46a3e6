"""Asset `activations`: the shards of a hookpoint as one table, sorted for reading."""

import dagster as dg

from dagster_project.assets.captured import captured
from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, open_lake
from delphi_assets import schema


@dg.asset(
    group_name="subject",
    description="The token shards of a hookpoint, merged: a file per bucket of latents, in which "
    "one latent's activations are next to each other.",
    kinds={"parquet"},
    owners=OWNERS,
    code_version="2",
    partitions_def=HOOKPOINTS,
    deps=[dg.AssetDep(captured, partition_mapping=dg.AllPartitionMapping())],
    metadata=of_table(schema.ACTIVATIONS),
)
def activations(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """One hookpoint a partition; needs every token shard."""
    from delphi_assets.activations import merge_shards

    return materialized(merge_shards(PROFILE, open_lake(), context.partition_key))
