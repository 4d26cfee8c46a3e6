"""What of a run is published, and whether a stage may go on with it.

In: a profile and a lake. Out: manifests, or an error that names what is missing, what was made with
other settings or another coder, or that nothing fires.
"""

from delphi_assets.caching.origins import check_coder
from delphi_assets.errors import DataError, NotReadyError
from delphi_assets.lake.lake import Lake, Manifest, Unit
from delphi_assets.lake.units import bucket_unit, contexts_unit
from delphi_assets.settings import Profile


def published_contexts(profile: Profile, lake: Lake, shard: int) -> Manifest:
    """What is known of one shard's contexts; raises `NotReadyError` when they are not there."""
    manifest = lake.manifest(contexts_unit(profile.run.name, shard))
    if manifest is None:
        raise NotReadyError(
            f"{lake!r} holds no contexts of shard {shard} of run {profile.run.name!r}; materialize "
            "the asset 'contexts' first."
        )
    return manifest


def published_buckets(profile: Profile, lake: Lake, hookpoint: str) -> list[Manifest]:
    """What is known of the hookpoint's buckets, in order; raises `NotReadyError` if one lacks."""
    units = bucket_units(profile, hookpoint)
    there = [manifest for unit in units if (manifest := lake.manifest(unit)) is not None]
    if len(there) < len(units):
        raise NotReadyError(
            f"{lake!r} holds {len(there)} of {len(units)} buckets of the activations of run "
            f"{profile.run.name!r} at {hookpoint!r}; materialize the asset 'activations' first."
        )
    return there


def missing_buckets(profile: Profile, lake: Lake, hookpoint: str) -> list[Unit]:
    """The hookpoint's buckets that are not there, whole; raises `ConflictError` as `ready`."""
    config = profile.hookpoint_config(hookpoint)
    return [unit for unit in bucket_units(profile, hookpoint) if lake.ready(unit, config) is None]


def is_merged(profile: Profile, lake: Lake, hookpoint: str) -> bool:
    """Whether the hookpoint's activations are there, whole; raises `ConflictError` as `ready`."""
    return not missing_buckets(lake.as_made(profile), lake, hookpoint)


def check_settings(profile: Profile, lake: Lake, hookpoint: str) -> None:
    """Refuse to go on with a run or a hookpoint that was made with other settings or a coder.

    Raises `ConflictError` naming the setting, or the coder that was replaced since, `NotReadyError`
    when nothing was made under the name.
    """
    lake.check_run(profile.run.name, profile.run_config())
    check_coder(lake, profile.run.name, hookpoint)
    manifest = lake.manifest(bucket_unit(profile.run.name, hookpoint, 0))
    if manifest is not None:
        manifest.check_config(profile.hookpoint_config(hookpoint))


def check_fires(lake: Lake, run: str, hookpoint: str) -> None:
    """Refuse to go on where activations are there, and are none; raises `DataError`."""
    buckets = lake.manifests("activations", run=run, hookpoint=hookpoint)
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


def bucket_units(profile: Profile, hookpoint: str) -> list[Unit]:
    """The units of a hookpoint's activations, in order of bucket."""
    return [
        bucket_unit(profile.run.name, hookpoint, bucket)
        for bucket in range(profile.cache.n_buckets)
    ]
