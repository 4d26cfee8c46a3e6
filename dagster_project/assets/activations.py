"""Asset `activations`: the shards of a hookpoint as one table, sorted for reading."""

import dagster as dg
from pydantic import Field

from dagster_project.assets.captured import captured, reported
from dagster_project.assets.sparse_coder import sparse_coder
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.partitions import HOOKPOINTS, TO_HOOKPOINT
from dagster_project.profile import PROFILE, open_lake
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import Place


class ActivationsConfig(dg.Config):
    """What a launch may change."""

    capture_missing: bool = Field(
        False,
        description="capture the token shards that this hookpoint lacks first, in the same run",
    )
    rebuild: bool = Field(
        False,
        description="merge again what an earlier version of the code merged or what was captured "
        "again since; with capture_missing its shards are captured again, with a forward pass",
    )


@dg.asset(
    group_name="subject",
    description="The token shards of a hookpoint as one table, sorted so that a latent is read at "
    "once.\n\n"
    "**In:** `captured`, every shard; a "
    "launch with `capture_missing` captures those that lack. **Out:** a file per bucket of "
    "latents, in which one latent's activations are next to each other. **Cost:** a sort on disk "
    "in `cache.buffer_mib` of memory. **Look at:** `bytes_per_activation`, about 3.",
    kinds={"parquet"},
    owners=OWNERS,
    tags=asset_tags("table"),
    code_version=str(CODE_VERSIONS["activations"]),
    partitions_def=HOOKPOINTS,
    deps=[sparse_coder, dg.AssetDep(captured, partition_mapping=TO_HOOKPOINT)],
    pool="gpu",
    metadata=of_table(schema.ACTIVATIONS),
)
def activations(
    context: dg.AssetExecutionContext, config: ActivationsConfig
) -> dg.MaterializeResult[None]:
    """One hookpoint a partition."""
    from delphi_assets.caching.activations import merge_shards
    from delphi_assets.caching.published import is_merged

    lake, hookpoint = open_lake(), context.partition_key
    place = Place(lake.as_made(PROFILE), lake, hookpoint)
    if config.capture_missing and (config.rebuild or not is_merged(place)):
        _capture(context, lake, hookpoint, rebuild=config.rebuild)
    report = merge_shards(PROFILE, lake, hookpoint, rebuild=config.rebuild)
    return materialized("activations", report, context=context)


def _capture(
    context: dg.AssetExecutionContext, lake: Lake, hookpoint: str, *, rebuild: bool
) -> None:
    """Do what launching all shards of `captured` at the hookpoint does, and say so."""
    from delphi_assets.caching.capture import capture

    report = capture(PROFILE, lake, range(PROFILE.n_shards), [hookpoint], rebuild=rebuild)
    if rebuild and not report.new_rows:
        return
    for materialization in reported(lake, [hookpoint], range(PROFILE.n_shards), report):
        context.log_event(materialization)
