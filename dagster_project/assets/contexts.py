"""Asset `contexts`: the corpus as packed contexts of tokens."""

import dagster as dg
from pydantic import Field

from dagster_project.assets.sources import corpus, model
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.profile import PROFILE, open_lake
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS


class ContextsConfig(dg.Config):
    """What a launch may change."""

    rebuild: bool = Field(
        False,
        description="write again what an earlier version of the code wrote: the corpus is "
        "tokenized, and what that changes has to be captured again, with a forward pass",
    )


@dg.asset(
    group_name="subject",
    description="The corpus, tokenized and packed into contexts of `cache.cache_ctx_len` tokens, "
    "and the tokenizer's vocabulary.\n\n"
    "**In:** `corpus`. **Out:** the tables `contexts` and "
    "`vocabulary`. **Cost:** minutes of one core for 10 million tokens; no model runs. **Look "
    "at:** `tokens`, which is less than `cache.n_tokens` where the corpus is too short.",
    kinds={"transformers", "parquet"},
    owners=OWNERS,
    deps=[corpus, model],
    tags=asset_tags("table"),
    code_version=str(CODE_VERSIONS["contexts"]),
    metadata=of_table(schema.CONTEXTS),
)
def contexts(config: ContextsConfig) -> dg.MaterializeResult[None]:
    """One partition: packing a corpus is sequential."""
    from delphi_assets.caching.contexts import build_contexts

    report = build_contexts(PROFILE, open_lake(), rebuild=config.rebuild)
    return materialized("contexts", report, rows_as="dagster/row_count")
