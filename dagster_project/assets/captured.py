"""Asset `captured`: what fires in a token shard at a hookpoint."""

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
from pydantic import Field

from dagster_project import glances, plots
from dagster_project.metadata import OWNERS, asset_tags, materialized, of_table
from dagster_project.served_run import TO_HOOKPOINT, ServedRun, capture_key
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake import schema
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.lake.manifests import Manifest
from delphi_assets.lake.place import RunPlace
from delphi_assets.lake.units import captured_unit


class CapturedConfig(dg.Config):
    """What a launch may change."""

    rebuild: bool = Field(
        False,
        description="capture again what an earlier version of the code captured, what is of other "
        "contexts, and what activations have to merge again: a forward pass over each shard",
    )


def captured(served: ServedRun) -> dg.AssetsDefinition:
    """The asset of a run."""

    @dg.asset(
        key=served.key("captured"),
        group_name=served.group("subject"),
        description="Every non-zero activation of every latent on a token shard.\n\n"
        "**In:** `contexts`, `sparse_coder`, the model. **Out:** files that `activations` "
        "merges and takes away. **Cost:** the forward pass, the most expensive computation of "
        "a run: one over each shard for all hookpoints of a run, stopped after the last of "
        "them. A backfill in the UI is a run, and a pass, a hookpoint: the job `capture` does "
        "several in one. Shards of one run load the model once; other processes or machines "
        "can do others at the same time. **Look at:** `tokens_per_second`, and whether "
        "`activations_per_token` is what the coder's k says.",
        kinds={"torch", "parquet"},
        owners=OWNERS,
        tags=asset_tags("table"),
        code_version=served.code_version(CODE_VERSIONS["captured"]),
        partitions_def=served.captures,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[
            served.key("model"),
            served.key("contexts"),
            dg.AssetDep(served.key("sparse_coder"), partition_mapping=TO_HOOKPOINT),
        ],
        required_resource_keys=served.resource_keys,
        pool="gpu",
        metadata=of_table(served, schema.CAPTURED),
    )
    def materialize(
        context: dg.AssetExecutionContext, config: CapturedConfig
    ) -> dg.MaterializeResult[None]:
        """All shards and hookpoints that the run was launched for."""
        from delphi_assets.caching.capture import capture

        place = served.opened(context)
        hookpoints, shards = served.captured(context.partition_keys)
        report = capture(place.profile, place.lake, shards, hookpoints, rebuild=config.rebuild)
        for hookpoint in hookpoints:
            for shard in shards:
                context.add_asset_metadata(
                    facts_of(place, hookpoint, shard), partition_key=capture_key(hookpoint, shard)
                )
        found = rates(place)
        return materialized(
            served,
            "captured",
            report,
            rows_as="rows_of_these_shards",
            tokens_per_second_by_shard=glances.capture_rates(found),
            speed=plots.capture_rates(found),
        )

    return materialize


def reported(
    key: dg.AssetKey,
    place: RunPlace,
    hookpoints: Iterable[str],
    shards: Sequence[int],
    report: StageReport,
) -> Iterator[dg.AssetMaterialization]:
    """Materializations of partitions of `captured` (its `key`) that something else captured."""
    for hookpoint in hookpoints:
        for shard in shards:
            yield dg.AssetMaterialization(
                key,
                partition=capture_key(hookpoint, shard),
                metadata=facts_of(place, hookpoint, shard),
                tags={"dagster/data_version": str(report.data_version)},
            )


def facts_of(place: RunPlace, hookpoint: str, shard: int) -> dict[str, int | float]:
    """Numbers of one partition; they outlive its files, which `activations` takes away."""
    manifest = place.lake.manifest(captured_unit(place.run, hookpoint, shard))
    if manifest is None:
        return {}
    return {
        "dagster/partition_row_count": manifest.rows,
        "tokens_per_second_of_shard": _rate(manifest),
    }


def rates(place: RunPlace) -> dict[str, list[float]]:
    """Tokens a second of every shard captured so far, by hookpoint."""
    of_hookpoints: dict[str, list[float]] = {}
    for manifest in place.lake.manifests("captured", run=place.run):
        of_hookpoints.setdefault(str(manifest.keys["hookpoint"]), []).append(_rate(manifest))
    return of_hookpoints


def _rate(manifest: Manifest) -> float:
    return float(manifest.facts["tokens_per_second"])
