"""Dagster's view of the pipeline: assets, checks, partitions, jobs. No algorithm lives here."""

import warnings

import dagster as dg

# All are in beta. The first lets a run load the model once for many shards; the second says which
# hookpoint a captured shard is of; the others link an asset to its code.
warnings.filterwarnings(
    "ignore",
    message=".*(backfill_policy|MultiToSingleDimensionPartitionMapping"
    "|with_source_code_references|LocalFileCodeReference|CodeReferencesMetadataValue)",
    category=dg.BetaWarning,
)
# In preview: a check's result at one hookpoint does not stand in the place of another's.
warnings.filterwarnings(
    "ignore", message=".*partitions_def on an AssetCheckSpec", category=dg.PreviewWarning
)
