"""Asset `sparse_coder`: the coder of a hookpoint, loaded or trained."""

import dagster as dg

from dagster_project.assets.contexts import contexts
from dagster_project.assets.sources import coder, model
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.partitions import HOOKPOINTS
from dagster_project.profile import PROFILE, open_lake
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS


@dg.asset(
    group_name="subject",
    description="The sparse coder of a hookpoint, loaded and checked, or trained on the run's own "
    "contexts where `coder.sparse_model` is `embedded:train`.\n\n"
    "**In:** `coder`, and `contexts` to "
    "train on. **Out:** the table `weights`: norms, bias and cosine of every latent. **Cost:** "
    "seconds to load; training takes one forward pass over `coder.train_tokens` and "
    "`coder.epochs` over their activations. **Look at:** `fvu`, the share of variance that a "
    "trained coder leaves unexplained, and `num_latents`.",
    kinds={"torch", "parquet"},
    owners=OWNERS,
    tags=asset_tags("table"),
    code_version=str(CODE_VERSIONS["weights"]),
    partitions_def=HOOKPOINTS,
    deps=[coder, model, contexts],
    pool="gpu",
    metadata=of_table(schema.WEIGHTS),
)
def sparse_coder(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """One hookpoint a partition."""
    from delphi_assets.caching.coder_preparation import prepare_coder

    report = prepare_coder(PROFILE, open_lake(), context.partition_key)
    return materialized("sparse_coder", report)
