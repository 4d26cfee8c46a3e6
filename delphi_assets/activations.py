"""Stage activations: the token shards of a hookpoint become one table, sorted for reading.

In: the table `captured` of a hookpoint, all of its token shards. Out: the table `activations`, a
unit per latent bucket.

1. Every shard must be there and as it was written; hashes are compared before anything is merged.
2. Bucket by bucket, the shards' files are merged into one, sorted by latent, then position
   (`merging`), in memory bounded by `cache.buffer_mib`.
3. When all buckets are there, the files of `captured` are removed. Their manifests stay: they say
   how the shards were made.

Stopped anywhere, it goes on with the first bucket that is missing. A bucket found damaged later is
written again from shards that are captured again.
"""

import time
from collections.abc import Sequence

from tqdm import tqdm

from delphi_assets.buckets import bucket_ranges
from delphi_assets.errors import NotReadyError
from delphi_assets.lake import File, Lake, Manifest, Unit
from delphi_assets.merging import merged
from delphi_assets.settings import Profile
from delphi_assets.stage import StageReport

_SHARED_FACTS = ("num_latents", "coder_fingerprint", "device", "torch")
_SUMMED_FACTS = ("positions", "tokens", "seconds")


def captured_unit(profile: Profile, hookpoint: str, shard: int) -> Unit:
    """The unit of what one token shard gave at a hookpoint."""
    return Unit("captured", {"run": profile.run.name, "hookpoint": hookpoint, "shard": shard})


def bucket_unit(run: str, hookpoint: str, bucket: int) -> Unit:
    """The unit of a hookpoint's activations in one bucket of latents."""
    return Unit("activations", {"run": run, "hookpoint": hookpoint, "bucket": bucket})


def published_buckets(profile: Profile, lake: Lake, hookpoint: str) -> list[Manifest]:
    """What is known of the hookpoint's buckets, in order; raises `NotReadyError` if one lacks."""
    units = _units(profile, hookpoint)
    there = [manifest for unit in units if (manifest := lake.manifest(unit)) is not None]
    if len(there) < len(units):
        raise NotReadyError(
            f"{lake!r} holds {len(there)} of {len(units)} buckets of the activations of run "
            f"{profile.run.name!r} at {hookpoint!r}; materialize the asset 'activations' first."
        )
    return there


def check_settings(profile: Profile, lake: Lake, hookpoint: str) -> None:
    """Refuse to go on with a run or a hookpoint that was made with other settings.

    Raises `ConflictError` naming the setting, `NotReadyError` when nothing was made under the name.
    """
    lake.check_run(profile.run.name, profile.run_config())
    manifest = lake.manifest(bucket_unit(profile.run.name, hookpoint, 0))
    if manifest is not None:
        manifest.check_config(profile.hookpoint_config(hookpoint))


def is_merged(profile: Profile, lake: Lake, hookpoint: str) -> bool:
    """Whether the hookpoint's activations are there, whole; raises `ConflictError` as `ready`."""
    return not _missing(profile, lake, hookpoint)


def merge_shards(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    """Write the activations of a hookpoint from its captured shards, as far as they are not there.

    Raises `NotReadyError` when a shard is missing, `DataError` naming a file that has changed,
    `ConflictError` for data made with other settings, `StorageError` when a file cannot be written.
    """
    started, new_rows = time.perf_counter(), 0
    if missing := _missing(profile, lake, hookpoint):
        shards = _captured(profile, lake, hookpoint)
        for unit in tqdm(missing, desc=f"activations {hookpoint}", unit="bucket"):
            new_rows += _merge_bucket(profile, lake, hookpoint, unit, shards)
    lake.remove("captured", run=profile.run.name, hookpoint=hookpoint)
    manifests = published_buckets(profile, lake, hookpoint)
    rows, size = sum(held.rows for held in manifests), sum(held.bytes for held in manifests)
    tokens = int(manifests[0].facts["tokens"])
    return StageReport(
        rows=rows,
        new_rows=new_rows,
        seconds=time.perf_counter() - started,
        bytes=size,
        facts={
            "tokens": tokens,
            "activations_per_token": round(rows / max(tokens, 1), 3),
            "bytes_per_activation": round(size / max(rows, 1), 3),
        },
    )


def _units(profile: Profile, hookpoint: str) -> list[Unit]:
    return [
        bucket_unit(profile.run.name, hookpoint, bucket)
        for bucket in range(profile.cache.n_buckets)
    ]


def _missing(profile: Profile, lake: Lake, hookpoint: str) -> list[Unit]:
    config = profile.hookpoint_config(hookpoint)
    return [unit for unit in _units(profile, hookpoint) if lake.ready(unit, config) is None]


def _captured(profile: Profile, lake: Lake, hookpoint: str) -> list[Manifest]:
    """The hookpoint's shards, in order and with every file in its size."""
    config = profile.hookpoint_config(hookpoint)
    shards = [
        lake.ready(captured_unit(profile, hookpoint, shard), config)
        for shard in range(profile.n_shards)
    ]
    if missing := [number for number, shard in enumerate(shards) if shard is None]:
        raise NotReadyError(
            f"{lake!r} lacks {len(missing)} of {profile.n_shards} token shards of run "
            f"{profile.run.name!r} at {hookpoint!r}, the first of them {missing[0]}; materialize "
            "the missing partitions of the asset 'captured' first."
        )
    return [shard for shard in shards if shard is not None]


def _merge_bucket(
    profile: Profile, lake: Lake, hookpoint: str, unit: Unit, shards: Sequence[Manifest]
) -> int:
    """Publish one bucket from the shards' parts of it; returns its rows."""
    number = int(unit.keys["bucket"])
    parts = [file for shard in shards for file in shard.files if f"/bucket={number}/" in file.path]
    facts = shards[0].facts
    rows = merged(
        lake.checked("captured", parts, thorough=True),
        bucket_ranges(facts["num_latents"], profile.cache.n_buckets)[number],
        profile.cache.buffer_mib * 2**20,
        lake.open,
    )
    shared = {name: facts[name] for name in _SHARED_FACTS}
    summed = {name: sum(shard.facts[name] for shard in shards) for name in _SUMMED_FACTS}
    config = profile.hookpoint_config(hookpoint)
    return lake.publish(unit, [File(rows)], config, {**shared, **summed}).rows
