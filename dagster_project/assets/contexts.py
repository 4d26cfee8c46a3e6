"""Asset `contexts`: the corpus as packed contexts of tokens."""

import dagster as dg
from pydantic import Field

from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.served_run import ServedRun
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS


class ContextsConfig(dg.Config):
    """What a launch may change."""

    rebuild: bool = Field(
        False,
        description="write again what an earlier version of the code wrote: the corpus is "
        "tokenized, and what that changes has to be captured again, with a forward pass",
    )


def contexts(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("contexts"),
        group_name=served.group("subject"),
        description="The corpus, tokenized and packed into contexts of `cache.cache_ctx_len` "
        "tokens, and the tokenizer's vocabulary.\n\n"
        "**In:** `corpus`. **Out:** the tables `contexts` and `vocabulary`. **Cost:** minutes of "
        "one core for 10 million tokens; no model runs. **Look at:** `tokens`, which is less than "
        "`cache.n_tokens` where the corpus is too short.",
        kinds={"transformers", "parquet"},
        owners=OWNERS,
        deps=[served.key("corpus"), served.key("model")],
        required_resource_keys=served.resource_keys,
        tags=asset_tags("table"),
        code_version=served.code_version(CODE_VERSIONS["contexts"]),
        metadata=of_table(served, schema.CONTEXTS),
    )
    def materialize(
        context: dg.AssetExecutionContext, config: ContextsConfig
    ) -> dg.MaterializeResult[None]:
        """One partition: packing a corpus is sequential."""
        from delphi_assets.caching.contexts import build_contexts

        place = served.opened(context)
        report = build_contexts(place.profile, place.lake, rebuild=config.rebuild)
        return materialized(served, "contexts", report, rows_as="dagster/row_count")

    return materialize
