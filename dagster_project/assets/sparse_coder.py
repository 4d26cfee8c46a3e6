"""Asset `sparse_coder`: the coder of a hookpoint, loaded or trained."""

import dagster as dg

from dagster_project.assets.contexts import contexts
from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, open_lake
from delphi_assets import schema


@dg.asset(
    group_name="subject",
    description="The sparse coder of a hookpoint: found, or trained when the profile says "
    "`embedded:train`. Its table `weights` says what the weights of each latent look like.",
    kinds={"torch", "parquet"},
    owners=OWNERS,
    code_version="1",
    partitions_def=HOOKPOINTS,
    deps=[contexts],
    pool="gpu",
    metadata=of_table(schema.WEIGHTS),
)
def sparse_coder(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """One hookpoint a partition."""
    from delphi_assets.coders.preparation import prepare_coder

    return materialized(prepare_coder(PROFILE, open_lake(), context.partition_key))
