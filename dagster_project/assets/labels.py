"""Asset `labels`: what people say of latents. It comes from outside, so Dagster only shows it."""

import dagster as dg

from dagster_project.metadata import OWNERS, asset_tags, of_table
from dagster_project.served_run import ServedRun
from delphi_assets.lake import schema


def labels(served: ServedRun) -> dg.AssetSpec:
    """The asset of a run."""
    return dg.AssetSpec(
        served.key("labels"),
        group_name=served.group("explaining"),
        description="Ratings, clusters, notes and other labels of one's own.\n\n"
        "**In:** files of yours: `delphi-assets add-labels LAKE FILE --source NAME` adds them "
        "(docs/labels.md). **Out:** a row a latent, source and name, the last value of which "
        "counts; columns of the `explorer`. **Cost:** seconds; nothing of it is launched here. "
        "**Look at:** `orphan_labels`, the check that their latents are there.",
        kinds={"parquet"},
        owners=OWNERS,
        tags=asset_tags("table"),
        partitions_def=served.hookpoints,
        metadata=of_table(served, schema.LABELS),
    )
