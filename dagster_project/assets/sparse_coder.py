"""Asset `sparse_coder`: the coder of a hookpoint, loaded or trained."""

import dagster as dg

from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.served_run import ServedRun
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS


def sparse_coder(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("sparse_coder"),
        group_name=served.group("subject"),
        description="The sparse coder of a hookpoint, loaded and checked, or trained on the "
        "run's own contexts where `coder.sparse_model` is `embedded:train`.\n\n"
        "**In:** `coder`, and `contexts` to train on. **Out:** the table `weights`: norms, bias "
        "and cosine of every latent. **Cost:** seconds to load; training takes one forward pass "
        "over `coder.train_tokens` and `coder.epochs` over their activations. **Look at:** `fvu`, "
        "the share of variance that a trained coder leaves unexplained, and `num_latents`.",
        kinds={"torch", "parquet"},
        owners=OWNERS,
        tags=asset_tags("table"),
        code_version=served.code_version(CODE_VERSIONS["weights"]),
        partitions_def=served.hookpoints,
        deps=[served.key("coder"), served.key("model"), served.key("contexts")],
        required_resource_keys=served.resource_keys,
        pool="gpu",
        metadata=of_table(served, schema.WEIGHTS),
    )
    def materialize(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """One hookpoint a partition."""
        from delphi_assets.caching.coder_preparation import prepare_coder

        place = served.place(context)
        report = prepare_coder(place.profile, place.lake, place.hookpoint)
        return materialized(served, "sparse_coder", report)

    return materialize
