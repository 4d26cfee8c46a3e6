"""The activations of a checked Delphi run, as the tables weights and activations.

In: a `Source`. Out: both tables, activations with a unit per bucket of latents. Delphi keeps no
weights: the table has a row for every latent, without values.

Buckets are written in order and split files read in order, each once, so memory is that of one file
and one bucket. It is not bounded by a setting: a file is read whole to be sorted, as Delphi writes
it by position, and takes 20 to 35 bytes an activation, so ten times the tokens in as many files
take ten times the memory. A run that is too large for it was cached with too few `n_splits`.

A bucket that is there is not written again; it must be from the same files, as the
hash among its facts says.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from delphi_assets.caching.coder_preparation import weights_config
from delphi_assets.delphi_runs.layout import CachedHookpoint, SplitFile
from delphi_assets.delphi_runs.source import CheckedHookpoint, Source
from delphi_assets.delphi_runs.splits import SplitEntries, read_entries
from delphi_assets.errors import ConflictError
from delphi_assets.ground.progress import with_bar
from delphi_assets.lake.buckets import Bucket, bucket_ranges
from delphi_assets.lake.lake import File
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import ACTIVATIONS, WEIGHTS
from delphi_assets.lake.units import bucket_unit, weights_unit

SOURCE = "delphi_sha256"
"""Name, among the facts of an imported bucket, of the hash of the files it is from."""


def missing_buckets(place: Place, held: CheckedHookpoint) -> list[Bucket]:
    """The buckets of a hookpoint that are not there or damaged.

    Raises `ConflictError` when one that was published is not from these files.
    """
    config, missing = place.config, []
    for bucket in bucket_ranges(held.cached.num_latents, place.profile.cache.n_buckets):
        unit = bucket_unit(place.run, place.hookpoint, bucket.number)
        ready = place.lake.ready(unit, config)
        published = ready or place.lake.manifest(unit)
        if published is not None and published.facts.get(SOURCE) != held.sha256:
            raise ConflictError(
                f"{unit} in the lake is not from these files ({SOURCE} differs); import them under "
                "another name (--run)."
            )
        if ready is None:
            missing.append(bucket)
    return missing


def write_weights(place: Place, cached: CachedHookpoint) -> None:
    """Write a hookpoint's table of weights, unless it is there."""
    unit, config = weights_unit(place.run, place.hookpoint), weights_config(place)
    if place.lake.ready(unit, config) is None:
        nulls = pa.nulls(cached.num_latents, pa.float32())
        latents = np.arange(cached.num_latents, dtype=np.int32)
        columns = {**dict.fromkeys(WEIGHTS.arrow.names, nulls), "latent": latents}
        rows = pa.table(columns, WEIGHTS.arrow)
        place.lake.publish(unit, [File(rows)], config, {"num_latents": cached.num_latents})


def write_activations(
    place: Place, source: Source, held: CheckedHookpoint, missing: Sequence[Bucket]
) -> int:
    """Write the missing buckets of a hookpoint; returns the activations in them."""
    facts = {
        "num_latents": held.cached.num_latents,
        "positions": source.tokens.size,
        "tokens": source.tokens.size,
        SOURCE: held.sha256,
    }
    files, written = _OneAtATime(), 0
    for bucket in with_bar(missing, desc=f"import {place.hookpoint}", unit="bucket"):
        unit = bucket_unit(place.run, place.hookpoint, bucket.number)
        rows = File(_rows(held.cached, bucket, files))
        written += place.lake.publish(unit, [rows], place.config, facts).rows
    return written


class _OneAtATime:
    """Split files, of which the last one asked for stays in memory."""

    def __init__(self) -> None:
        self._held: tuple[SplitFile, SplitEntries] | None = None

    def entries(self, split: SplitFile) -> SplitEntries:
        if self._held is None or self._held[0] != split:
            self._held = None
            self._held = (split, read_entries(split))
        return self._held[1]


def _rows(cached: CachedHookpoint, bucket: Bucket, files: _OneAtATime) -> Iterator[pa.Table]:
    """The rows of a bucket, in order, from the files that hold its latents."""
    for split in cached.splits:
        if split.first < bucket.last and bucket.first < split.last:
            yield _within(files.entries(split), bucket)


def _within(entries: SplitEntries, bucket: Bucket) -> pa.Table:
    """Rows of the bucket's latents; copied, as a part would keep all entries in memory."""
    first, last = np.searchsorted(entries.latents, [bucket.first, bucket.last])
    return pa.table(
        {
            "latent": entries.latents[first:last].copy(),
            "position": entries.positions[first:last].copy(),
            "activation": entries.activations[first:last].astype(np.float32),
        },
        schema=ACTIVATIONS.arrow,
    )
