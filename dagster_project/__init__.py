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


def __getattr__(name: str) -> object:
    """`dagster_project.Run`, as `defs.yaml` calls it; who asks for other parts pays not for it."""
    if name == "Run":
        from dagster_project.component import Run

        return Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """So that `dg` finds it."""
    return [*globals(), "Run"]
