"""Dagster's view of the pipeline: assets, checks, partitions, jobs. No algorithm lives here."""

import warnings

import dagster as dg

# `backfill_policy` is in beta; it is what lets one run load the model once for many shards.
warnings.filterwarnings("ignore", message=".*backfill_policy", category=dg.BetaWarning)
