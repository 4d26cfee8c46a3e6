"""Dagster's view of the pipeline: assets, checks, partitions, jobs. No algorithm lives here."""

import warnings

import dagster as dg

# Both are in beta. The one lets a run load the model once for many shards; the other says which
# hookpoint a captured shard is of.
warnings.filterwarnings(
    "ignore",
    message=".*(backfill_policy|MultiToSingleDimensionPartitionMapping)",
    category=dg.BetaWarning,
)
