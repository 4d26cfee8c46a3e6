"""Stage activations: the token shards of a hookpoint become one table, sorted for reading.

In: the table `captured` of a hookpoint, all of its token shards. Out: the table `activations`, a
unit per latent bucket.

1. Every shard must be there and as it was written, and all of one coder and model; hashes are
   compared before anything is merged.
2. Bucket by bucket, `sql/activations/merged.sql` sorts the shards' rows by latent, then position,
   in `cache.buffer_mib` of memory and, beyond that, in the system's temporary folder.
3. A hookpoint at which nothing fires is told of: there is nothing to explain (`check_fires`).
4. When all buckets are there, the files of `captured` are removed. Their manifests stay: they say
   how the shards were made.

Stopped anywhere, it goes on with the first bucket that is missing. A bucket found damaged later is
written again from shards that are captured again.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb

from delphi_assets.caching.origins import (
    MODEL_FINGERPRINT,
    check_coder,
    check_model,
    check_same_origin,
)
from delphi_assets.caching.published import (
    bucket_units,
    is_merged,
    merged_from,
    published_buckets,
    ready_buckets,
    silence,
)
from delphi_assets.errors import ConflictError, DataError, NotReadyError, StorageError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import with_bar
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.buckets import bucket_ranges
from delphi_assets.lake.database import open_database, stream
from delphi_assets.lake.lake import File, Lake, Manifest, Unit
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.place import Place
from delphi_assets.lake.versions import (
    Inputs,
    changes,
    changes_of_inputs,
    code_versions,
    data_version,
    data_versions,
    rebuild_of,
)
from delphi_assets.settings import Profile

log = logging.getLogger(__name__)

_BUCKETS_AT_ONCE = 2
"""While one is compressed, another one is sorted."""


@terminable()
def merge_shards(
    profile: Profile, lake: Lake, hookpoint: str, *, rebuild: bool = False
) -> StageReport:
    """Write the activations of a hookpoint from its captured shards, as far as they are not there.

    Those of an earlier version of the code, or of other shards than are captured now, stay and are
    told of; `rebuild` merges them again, for which the shards have to be captured again.

    Raises `NotReadyError` when a shard is missing, `DataError` naming a file that has changed,
    `ConflictError` for data made with other settings or another coder or model, or of contexts that
    are others now, `StorageError` when a file cannot be written.
    """
    started, new_rows = time.perf_counter(), 0
    place = Place(lake.as_made(profile), lake, hookpoint)
    check_model(place, check_coder(place))
    whole = ready_buckets(place)
    # There may be a million shards, and without files none has been captured again.
    looked_at = rebuild or None in whole or lake.holds("captured", **place.keys)
    made_from = merged_from(place) if looked_at else {}
    there = [
        None if held is None or (rebuild and changes(held, made_from)) else held for held in whole
    ]
    manifests = [held for held in there if held is not None]
    if missing := [unit for unit, held in zip(bucket_units(place), there, strict=True) if not held]:
        try:
            new_rows = _merge(place, missing, made_from, rebuild=rebuild)
        except DataError:
            # Another process that merges the same takes the shards away when it is done.
            if not is_merged(place):
                raise
        manifests = published_buckets(place)
    outdated = rebuild_of(
        manifests, _cost(profile), {held.unit.path: made_from for held in manifests}
    )
    if outdated is None:
        lake.remove("captured", **place.keys)
    else:
        # What was captured again since is there to be merged.
        log.warning("activations of %r: %s", hookpoint, outdated)
    rows, size = sum(held.rows for held in manifests), sum(held.bytes for held in manifests)
    tokens = int(manifests[0].facts["tokens"])
    if not rows:
        log.warning("%s", silence(hookpoint, tokens))
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
        data_version=data_version(manifests),
        code_versions=code_versions(manifests),
        outdated=outdated,
    )


def _cost(profile: Profile) -> str:
    return (
        f"takes the {profile.n_shards} shards that captured has to hold, also launched with "
        f"rebuild = true: a forward pass over {profile.cache.n_tokens:,} tokens"
    )


def _merge(place: Place, missing: Sequence[Unit], made_from: Inputs, *, rebuild: bool) -> int:
    """Publish the missing buckets; returns their rows."""
    lake, cache = place.lake, place.profile.cache
    shards = _captured(place, made_from)
    captured = lake.checked("captured", [file for shard in shards for file in shard.files])
    facts, config, inputs = _facts(shards), place.config, data_versions(made_from)
    buckets = bucket_ranges(facts["num_latents"], cache.n_buckets)
    lake.sweep()

    def merge(unit: Unit) -> int:
        bucket = buckets[int(unit.keys["bucket"])]
        ends = {"first": bucket.first, "last": bucket.last}
        with con.cursor() as cursor:
            rows = stream(cursor, "activations/merged", captured=captured, **ends)
            files = [File(rows)]
            made = lake.publish(unit, files, config, facts, inputs=inputs, versioned=rebuild)
            return made.rows

    with (
        open_database(lake, memory_limit=f"{cache.buffer_mib}MiB") as con,
        ThreadPoolExecutor(_BUCKETS_AT_ONCE) as pool,
    ):
        merging = pool.map(merge, missing)
        desc = f"activations {place.hookpoint}"
        bar = with_bar(merging, desc=desc, total=len(missing), unit="bucket")
        try:
            return sum(bar)
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise StorageError(
                f"activations of {place.hookpoint!r} cannot be merged ({error}); expected room in "
                f"the system's temporary folder and cache.buffer_mib = {cache.buffer_mib} MiB of "
                "memory. Buckets that were merged are kept: make room and run again."
            ) from error


def _captured(place: Place, made_from: Inputs) -> list[Manifest]:
    """The hookpoint's shards, in order and with every file in its size."""
    config, n_shards = place.config, place.profile.n_shards
    known = {int(str(held.keys["shard"])): held for held in made_from.get("captured", ())}
    shards = [place.lake.whole(known.get(shard), config) for shard in range(n_shards)]
    if missing := [number for number, shard in enumerate(shards) if shard is None]:
        raise NotReadyError(
            f"{place.lake!r} lacks {len(missing)} of {n_shards} token shards of run "
            f"{place.run!r} at {place.hookpoint!r}, the first of them {missing[0]}; materialize "
            "the missing partitions of the asset 'captured' first, with rebuild = true where they "
            "were merged before (of an imported run: import it again)."
        )
    there = [shard for shard in shards if shard is not None]
    check_same_origin(there)
    _check_contexts(there, made_from["contexts"])
    return there


def _check_contexts(shards: Sequence[Manifest], contexts: Sequence[Manifest]) -> None:
    """Refuse shards of which the contexts are others now; raises `ConflictError`."""
    of_shard = {held.keys["shard"]: held for held in contexts}
    for shard in shards:
        number = shard.keys["shard"]
        if told := changes_of_inputs(shard, {"contexts": [of_shard[number]]}):
            raise ConflictError(
                f"{shard.unit} was {', '.join(told)}; materialize shard {number} of the asset "
                "'captured' with rebuild = true first, which takes a forward pass."
            )


def _facts(shards: Sequence[Manifest]) -> Mapping[str, Any]:
    """What the shards' manifests say, of all shards together."""
    facts = [shard.facts for shard in shards]
    same = {name: facts[0][name] for name in ("num_latents", FINGERPRINT)}
    # Shards that an earlier version captured do not say with which model.
    same |= {name: fact[name] for fact in facts for name in fact if name == MODEL_FINGERPRINT}
    sums = {name: sum(fact[name] for fact in facts) for name in ("positions", "tokens", "seconds")}
    # Shards may have been captured on different machines.
    all_of = {name: sorted({str(fact[name]) for fact in facts}) for name in ("device", "torch")}
    return {**same, **sums, **{name: ", ".join(values) for name, values in all_of.items()}}
