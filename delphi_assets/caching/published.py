"""What of a run is published, and whether a stage may go on with it.

In: a place. Out: manifests, or an error that names what is missing, what was made with
other settings or another coder, or that nothing fires.
"""

from collections.abc import Sequence

from delphi_assets.caching.origins import check_coder
from delphi_assets.errors import ConflictError, DataError, NotReadyError
from delphi_assets.lake.lake import Manifest, Unit
from delphi_assets.lake.place import Place, RunPlace
from delphi_assets.lake.units import bucket_unit, captured_unit, contexts_unit
from delphi_assets.lake.versions import Inputs, changes, changes_of_inputs


def published_contexts(place: RunPlace, shard: int) -> Manifest:
    """What is known of one shard's contexts; raises `NotReadyError` when they are not there."""
    manifest = place.lake.manifest(contexts_unit(place.run, shard))
    if manifest is None:
        raise NotReadyError(
            f"{place.lake!r} holds no contexts of shard {shard} of run {place.run!r}; materialize "
            "the asset 'contexts' first."
        )
    return manifest


def published_buckets(place: Place) -> list[Manifest]:
    """What is known of the hookpoint's buckets, in order; raises `NotReadyError` if one lacks."""
    there, n_buckets = held_buckets(place), place.profile.cache.n_buckets
    if len(there) < n_buckets:
        raise NotReadyError(
            f"{place.lake!r} holds {len(there)} of {n_buckets} buckets of the activations of run "
            f"{place.run!r} at {place.hookpoint!r}; materialize the asset 'activations' first."
        )
    return there


def held_buckets(place: Place) -> list[Manifest]:
    """What is known of those of the hookpoint's buckets that are there, in order."""
    found = map(place.lake.manifest, bucket_units(place))
    return [manifest for manifest in found if manifest is not None]


def ready_buckets(place: Place) -> list[Manifest | None]:
    """Of each of the hookpoint's buckets what is known of it, None where it is not there, whole.

    Raises `ConflictError` as `Lake.ready`.
    """
    config = place.config
    return [place.lake.ready(unit, config) for unit in bucket_units(place)]


def is_merged(place: Place) -> bool:
    """Whether the hookpoint's activations are there, whole; raises `ConflictError` as `ready`."""
    return None not in ready_buckets(place)


def merged_from(place: Place) -> Inputs:
    """What the hookpoint's activations are merged from, as it is now; imported runs have nothing.

    Manifests of shards stay when their files are taken away.
    """
    shards = range(place.profile.n_shards)
    units = {
        "captured": [captured_unit(place.run, place.hookpoint, shard) for shard in shards],
        "contexts": [contexts_unit(place.run, shard) for shard in shards],
    }
    found = {
        table: [held for unit in of_table if (held := place.lake.manifest(unit)) is not None]
        for table, of_table in units.items()
    }
    return found if found["captured"] else {}


def changes_since_merged(place: Place) -> list[str]:
    """What has changed since the hookpoint's activations were merged, in words."""
    made_from = merged_from(place)
    told = {change for bucket in held_buckets(place) for change in changes(bucket, made_from)}
    return sorted(told)


def check_settings(place: Place) -> Manifest | None:
    """Refuse to go on with a run or a hookpoint that was made with other settings or a coder.

    Returns what is known of the hookpoint's weights. Raises `ConflictError` naming the setting, or
    the coder that was replaced since, `NotReadyError` when nothing was made under the name.
    """
    place.lake.check_run(place.run, place.profile.run_config())
    weights = check_coder(place)
    manifest = place.lake.manifest(bucket_unit(place.run, place.hookpoint, 0))
    if manifest is not None:
        manifest.check_config(place.config)
    return weights


def check_contexts(buckets: Sequence[Manifest], contexts: Sequence[Manifest]) -> None:
    """Refuse activations of other contexts than are there: positions would name other tokens.

    Raises `ConflictError`.
    """
    for bucket in buckets:
        if told := changes_of_inputs(bucket, {"contexts": contexts}):
            raise ConflictError(
                f"{bucket.unit} was {', '.join(told)}; materialize 'captured', then 'activations', "
                "both with rebuild = true, which takes a forward pass over the contexts."
            )


def check_fires(hookpoint: str, buckets: Sequence[Manifest]) -> None:
    """Refuse to go on where buckets of activations are there, all empty; raises `DataError`."""
    if buckets and not any(bucket.rows for bucket in buckets):
        raise DataError(silence(hookpoint, int(buckets[0].facts.get("tokens", 0))))


def silence(hookpoint: str, tokens: int) -> str:
    """What to say of a coder of which nothing fires."""
    return (
        f"no latent of the coder of hookpoint {hookpoint!r} fires on any of {tokens:,} tokens, so "
        "there is nothing to explain. Check that the coder belongs to this model and hookpoint "
        "(layer, side, how inputs are normalized) and that its weights are not zeros, and give the "
        "run with the right one another name (run.name)."
    )


def bucket_units(place: Place) -> list[Unit]:
    """The units of a hookpoint's activations, in order of bucket."""
    return [
        bucket_unit(place.run, place.hookpoint, bucket)
        for bucket in range(place.profile.cache.n_buckets)
    ]
