"""Asset `contexts`: the corpus as packed contexts of tokens."""

import dagster as dg

from dagster_project.metadata import OWNERS, materialized, of_table
from dagster_project.profile import PROFILE, open_lake
from delphi_assets import schema


@dg.asset(
    group_name="subject",
    description="The corpus, tokenized and packed into contexts, and the tokenizer's vocabulary.",
    kinds={"transformers", "parquet"},
    owners=OWNERS,
    code_version="1",
    metadata=of_table(schema.CONTEXTS),
)
def contexts() -> dg.MaterializeResult[None]:
    """One partition: packing a corpus is sequential."""
    from delphi_assets.contexts import build_contexts

    return materialized(build_contexts(PROFILE, open_lake()), rows_as="dagster/row_count")
