"""Stage latents: one row a latent, from its activations and weights.

In: the tables contexts, vocabulary, weights and activations of a hookpoint and, where they are,
its neighbours by the first of neighbours.methods. Out: the table latents.

1. Lay the corpus out by position, and read which neighbour is the nearest.
2. Bucket by bucket, ask `sql/latents/latents.sql` for the statistics, so memory is that of one
   bucket and of the corpus.
3. Write the rows. Asking again with another example_ctx_len, or when neighbours have been found
   since, or code, weights or activations are others, writes new rows.
"""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from delphi_assets.caching.hookpoint_tables import HookpointTables, activation_files, open_hookpoint
from delphi_assets.caching.published import check_settings, held_buckets, silence
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import with_bar
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.buckets import bucket_ranges
from delphi_assets.lake.database import execute, query
from delphi_assets.lake.lake import File, Lake, Manifest
from delphi_assets.lake.manifests import differences
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import LATENTS, NEIGHBOURS
from delphi_assets.lake.units import latents_unit, neighbours_unit
from delphi_assets.lake.versions import Inputs, changes, data_version, data_versions
from delphi_assets.settings import Profile

log = logging.getLogger(__name__)

_ONCE = ("selection.min_examples",)
"""Settings that earlier versions noted, and that made no difference but to `reason`."""

N_BINS = 20
"""Of `activation_histogram`."""

_NEIGHBOURS = "neighbours"
"""Name of the hashes of the neighbours' files in a manifest."""


@terminable()
def describe_latents(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    """Write the table latents of a hookpoint unless it is there with the same settings.

    Without neighbours their columns are null; the fact `with_neighbour` counts the latents that
    have one. Raises as `open_hookpoint`.
    """
    start = time.perf_counter()
    profile = lake.as_made(profile)
    place, method = Place(profile, lake, hookpoint), profile.neighbours.methods[0]
    unit = latents_unit(place.run, hookpoint)
    neighbours = lake.manifest(neighbours_unit(place.run, hookpoint, method))
    config = {
        "selection.example_ctx_len": profile.selection.example_ctx_len,
        "neighbours.method": method,
        _NEIGHBOURS: neighbours and [file.sha256 for file in neighbours.files],
    }
    weights = check_settings(place)
    made_from: Inputs = {
        "weights": [weights] if weights else [],
        "activations": held_buckets(place),
    }
    manifest = lake.manifest(unit)
    if manifest and not any(map(lake.damage, manifest.files)):
        told = _changes(manifest, config, made_from)
        if not told:
            lake.supersede_others(manifest)
            return _report(manifest, 0, start)
        log.warning("%s is written again: %s", unit, "; ".join(told))
    tables = open_hookpoint(place, weights)
    rows = _statistics(place, tables, neighbours)
    if not any(bucket.rows for bucket in tables.buckets):
        log.warning("%s", silence(hookpoint, tables.size.n_eligible))
    dead = rows.filter(pc.equal(rows["n_activations"], 0)).num_rows
    facts = {
        "latents": rows.num_rows,
        "dead": dead,
        "with_neighbour": rows.num_rows - rows["nearest_neighbour"].null_count,
    }
    inputs = data_versions(made_from)
    manifest = lake.publish(unit, [File(rows)], config, facts, inputs=inputs, versioned=True)
    return _report(manifest, rows.num_rows, start)


def _changes(manifest: Manifest, config: Mapping[str, object], made_from: Inputs) -> list[str]:
    """What has changed since the latents were described, in words."""
    settings = {name: value for name, value in config.items() if name != _NEIGHBOURS}
    stored = {
        name: value for name, value in manifest.config.items() if name not in (_NEIGHBOURS, *_ONCE)
    }
    told = [*differences(stored, settings), *changes(manifest, made_from)]
    if manifest.config.get(_NEIGHBOURS) != config[_NEIGHBOURS]:
        told.append("other neighbours are there now")
    return told


def _report(manifest: Manifest, new_rows: int, start: float) -> StageReport:
    return StageReport(
        rows=manifest.rows,
        new_rows=new_rows,
        seconds=time.perf_counter() - start,
        bytes=manifest.bytes,
        facts=manifest.facts,
        data_version=data_version([manifest]),
        code_versions=(manifest.code,),
    )


def _statistics(place: Place, tables: HookpointTables, neighbours: Manifest | None) -> pa.Table:
    lake, cache, selection = place.lake, place.profile.cache, place.profile.selection
    written_at = datetime.now(UTC).isoformat()
    buckets = bucket_ranges(tables.num_latents, cache.n_buckets)
    execute(
        tables.con,
        "corpus/positions",
        contexts=tables.contexts,
        vocabulary=tables.vocabulary,
        cache_ctx_len=cache.cache_ctx_len,
        filter_bos=cache.filter_bos,
    )
    tables.con.register("nearest_neighbours", _nearest(lake, tables, neighbours))
    weights = lake.checked("weights", tables.weights.files)
    parts = [
        query(
            tables.con,
            "latents/latents",
            activations=activation_files(lake, tables, bucket.number),
            vocabulary=tables.vocabulary,
            weights=weights,
            first=bucket.first,
            last=bucket.last,
            cache_ctx_len=cache.cache_ctx_len,
            example_ctx_len=selection.example_ctx_len,
            n_bins=N_BINS,
            neighbour_method=None if neighbours is None else str(neighbours.keys["method"]),
            written_at=written_at,
            **tables.size._asdict(),
        )
        for bucket in with_bar(buckets, desc=f"latents {place.hookpoint}", unit="bucket")
    ]
    return LATENTS.conform(pa.concat_tables(parts))


def _nearest(lake: Lake, tables: HookpointTables, neighbours: Manifest | None) -> pa.Table:
    """The nearest neighbour of each latent; no rows without neighbours."""
    if neighbours is None:
        return NEIGHBOURS.empty()
    files = lake.checked("neighbours", neighbours.files)
    return query(tables.con, "latents/nearest", neighbours=files)
