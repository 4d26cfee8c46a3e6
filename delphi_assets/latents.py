"""Stage latents: one row a latent, from its activations and weights.

In: the tables contexts, vocabulary, weights and activations of a hookpoint.
Out: the table latents. The statistics are `sql/latents/latents.sql`, run bucket by bucket, so
memory is that of one bucket. Asking again with another example_ctx_len or min_examples writes new
rows, which win over the old.
"""

import time
from datetime import UTC, datetime
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from delphi_assets.activations import check_settings, published_buckets
from delphi_assets.buckets import bucket_ranges
from delphi_assets.database import execute, open_database, query
from delphi_assets.errors import NotReadyError
from delphi_assets.lake import File, Lake, Manifest, Unit
from delphi_assets.schema import LATENTS
from delphi_assets.settings import Profile
from delphi_assets.stage import StageReport


class CorpusSize(NamedTuple):
    """Size of a run's corpus, see `sql/corpus/size.sql`."""

    n_contexts: int
    n_tokens: int
    n_eligible: int


class HookpointTables(NamedTuple):
    """What the SQL stages of a hookpoint start from."""

    con: duckdb.DuckDBPyConnection
    hookpoint: str
    size: CorpusSize
    num_latents: int
    buckets: list[Manifest]
    """Of the table `activations`, in order."""
    contexts: list[str]
    vocabulary: list[str]
    """Files of these tables, which have been compared with their hashes."""


def open_hookpoint(profile: Profile, lake: Lake, hookpoint: str) -> HookpointTables:
    """A connection, the sizes of run and coder, and the hookpoint's activations.

    Raises `NotReadyError` naming the asset when a table is missing or not whole, `DataError` for a
    damaged file, and `ConflictError` when the run was made with other settings.
    """
    run = profile.run.name
    check_settings(profile, lake, hookpoint)
    buckets = published_buckets(profile, lake, hookpoint)
    weights = lake.manifest(Unit("weights", {"run": run, "hookpoint": hookpoint}))
    if weights is None:
        raise NotReadyError(
            f"{lake!r} holds no weights of run {run!r} at {hookpoint!r}; materialize the asset "
            "'sparse_coder' first."
        )
    contexts = lake.files("contexts", run=run)
    vocabulary = lake.files("vocabulary", run=run)
    con = open_database(lake)
    (size,) = query(
        con,
        "corpus/size",
        contexts=contexts,
        vocabulary=vocabulary,
        filter_bos=profile.cache.filter_bos,
    ).to_pylist()
    return HookpointTables(
        con, hookpoint, CorpusSize(**size), weights.rows, buckets, contexts, vocabulary
    )


def activation_files(lake: Lake, tables: HookpointTables, bucket: int) -> list[str]:
    """Locations of one bucket's activations; raises `DataError` naming a file that has changed."""
    return lake.checked("activations", tables.buckets[bucket].files)


def describe_latents(profile: Profile, lake: Lake, hookpoint: str) -> StageReport:
    """Write the table latents of a hookpoint unless it is there with the same settings.

    Raises as `open_hookpoint`.
    """
    start = time.perf_counter()
    run, selection = profile.run.name, profile.selection
    unit = Unit("latents", {"run": run, "hookpoint": hookpoint})
    config = {
        "selection.example_ctx_len": selection.example_ctx_len,
        "selection.min_examples": selection.min_examples,
    }
    check_settings(profile, lake, hookpoint)
    manifest = lake.manifest(unit)
    if manifest and manifest.config == config and not any(map(lake.damage, manifest.files)):
        seconds = time.perf_counter() - start
        return StageReport(manifest.rows, 0, seconds, manifest.bytes, manifest.facts)
    tables = open_hookpoint(profile, lake, hookpoint)
    rows = _statistics(profile, lake, hookpoint, tables)
    dead = rows.filter(pc.equal(rows["n_activations"], 0)).num_rows
    facts = {
        "latents": rows.num_rows,
        "dead": dead,
        "to_explain": rows["reason"].null_count,
    }
    manifest = lake.publish(unit, [File(rows)], config, facts, versioned=True)
    seconds = time.perf_counter() - start
    return StageReport(rows.num_rows, rows.num_rows, seconds, manifest.bytes, facts)


def _statistics(profile: Profile, lake: Lake, hookpoint: str, tables: HookpointTables) -> pa.Table:
    run, written_at = profile.run.name, datetime.now(UTC).isoformat()
    buckets = bucket_ranges(tables.num_latents, profile.cache.n_buckets)
    cache_ctx_len = profile.cache.cache_ctx_len
    execute(tables.con, "corpus/positions", contexts=tables.contexts, cache_ctx_len=cache_ctx_len)
    weights = lake.files("weights", run=run, hookpoint=hookpoint)
    parts = [
        query(
            tables.con,
            "latents/latents",
            activations=activation_files(lake, tables, bucket.number),
            vocabulary=tables.vocabulary,
            weights=weights,
            first=bucket.first,
            last=bucket.last,
            cache_ctx_len=cache_ctx_len,
            example_ctx_len=profile.selection.example_ctx_len,
            min_examples=profile.selection.min_examples,
            written_at=written_at,
            **tables.size._asdict(),
        )
        for bucket in tqdm(buckets, desc=f"latents {hookpoint}", unit="bucket")
    ]
    return LATENTS.conform(pa.concat_tables(parts))
