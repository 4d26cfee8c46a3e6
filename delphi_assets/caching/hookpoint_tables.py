"""A hookpoint's activations, opened: what the SQL stages behind the caching start from.

In: a place whose activations are published. Out: a connection, sizes and checked files.
"""

from typing import NamedTuple

import duckdb

from delphi_assets.caching.published import check_contexts, published_buckets
from delphi_assets.errors import NotReadyError
from delphi_assets.lake.database import open_database, query
from delphi_assets.lake.lake import Lake, Manifest
from delphi_assets.lake.place import Place


class CorpusSize(NamedTuple):
    """Size of a run's corpus, see `sql/corpus/size.sql`."""

    n_contexts: int
    n_tokens: int
    n_eligible: int


class HookpointTables(NamedTuple):
    """What the SQL stages of a hookpoint start from."""

    con: duckdb.DuckDBPyConnection
    size: CorpusSize
    weights: Manifest
    buckets: list[Manifest]
    """Of the table `activations`, in order."""
    contexts: list[str]
    vocabulary: list[str]
    """Files of these tables, which have been compared with their hashes."""

    @property
    def num_latents(self) -> int:
        """Latents of the coder."""
        return self.weights.rows


def open_hookpoint(
    place: Place, weights: Manifest | None, *, threads: int | None = None
) -> HookpointTables:
    """A connection of `threads`, the sizes of run and coder, and the hookpoint's activations.

    `weights` are what `check_settings`, which goes before, has read. Raises `NotReadyError` naming
    the asset when a table is missing or not whole, `ConflictError` for activations of contexts that
    are others now, `DataError` for a damaged file.
    """
    lake = place.lake
    buckets = published_buckets(place)
    if weights is None:
        raise NotReadyError(
            f"{lake!r} holds no weights of run {place.run!r} at {place.hookpoint!r}; materialize "
            "the asset 'sparse_coder' first."
        )
    shards = lake.manifests("contexts", run=place.run)
    check_contexts(buckets, shards)
    contexts = lake.files_in("contexts", shards, run=place.run)
    vocabulary = lake.files("vocabulary", run=place.run)
    con = open_database(lake, threads=threads)
    (size,) = query(
        con,
        "corpus/size",
        contexts=contexts,
        vocabulary=vocabulary,
        filter_bos=place.profile.cache.filter_bos,
    ).to_pylist()
    return HookpointTables(con, CorpusSize(**size), weights, buckets, contexts, vocabulary)


def activation_files(lake: Lake, tables: HookpointTables, bucket: int) -> list[str]:
    """Locations of one bucket's activations; raises `DataError` naming a file that has changed."""
    return lake.checked("activations", tables.buckets[bucket].files)
