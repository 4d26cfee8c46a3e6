"""Asset `activations`: the shards of a hookpoint as one table, sorted for reading."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from dagster_project.assets.captured import reported
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.served_run import TO_HOOKPOINT, ServedRun
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.lake.place import Place, RunPlace


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


def activations(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("activations"),
        group_name=served.group("subject"),
        description="The token shards of a hookpoint as one table, sorted so that a latent is "
        "read at once.\n\n"
        "**In:** `captured`, every shard; a launch with `capture_missing` captures those that "
        "lack. **Out:** a file per bucket of latents, in which one latent's activations are next "
        "to each other. **Cost:** a sort on disk in `cache.buffer_mib` of memory. **Look at:** "
        "`bytes_per_activation`, about 3.",
        kinds={"parquet"},
        owners=OWNERS,
        tags=asset_tags("table"),
        code_version=served.code_version(CODE_VERSIONS["activations"]),
        partitions_def=served.hookpoints,
        deps=[
            served.key("sparse_coder"),
            dg.AssetDep(served.key("captured"), partition_mapping=TO_HOOKPOINT),
        ],
        required_resource_keys=served.resource_keys,
        pool="gpu",
        metadata=of_table(served, schema.ACTIVATIONS),
    )
    def materialize(
        context: dg.AssetExecutionContext, config: ActivationsConfig
    ) -> dg.MaterializeResult[None]:
        """One hookpoint a partition."""
        from delphi_assets.caching.activations import merge_shards
        from delphi_assets.caching.published import is_merged

        place = served.place(context)
        made = RunPlace(place.lake.as_made(place.profile), place.lake).at(place.hookpoint)
        if config.capture_missing and (config.rebuild or not is_merged(made)):
            for captured in _capture(served.key("captured"), place, rebuild=config.rebuild):
                context.log_event(captured)
        report = merge_shards(place.profile, place.lake, place.hookpoint, rebuild=config.rebuild)
        return materialized(served, "activations", report, context=context)

    return materialize


def _capture(key: dg.AssetKey, place: Place, *, rebuild: bool) -> Iterator[dg.AssetMaterialization]:
    """Do what launching all shards of `captured` at the hookpoint does, and say so."""
    from delphi_assets.caching.capture import capture

    shards = range(place.profile.n_shards)
    report = capture(place.profile, place.lake, shards, [place.hookpoint], rebuild=rebuild)
    if report.new_rows or not rebuild:
        yield from reported(key, place, [place.hookpoint], shards, report)
