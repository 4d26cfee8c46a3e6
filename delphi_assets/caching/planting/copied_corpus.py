"""The corpus of a planted run: the contexts and vocabulary of another run, under its own name.

In: the run that they are of, and the planted one. Out: both tables under the planted run's name,
row by row the same; their manifests name the run they are from.

They are copies, not references. Every engine that reads the lake without this library finds a
run's rows by the folder `run=<name>`, so they lie under its own name; a link between folders would
be nothing in an object store.
"""

from collections.abc import Sequence

from delphi_assets.caching.contexts import contexts_config
from delphi_assets.caching.published import published_contexts
from delphi_assets.errors import NotReadyError
from delphi_assets.lake.lake import File, Manifest, Unit, read_parquet
from delphi_assets.lake.place import RunPlace
from delphi_assets.lake.units import contexts_unit, vocabulary_unit

FROM = "planted_from"
"""Fact that names the run whose rows they are."""


def corpus_units(place: RunPlace) -> list[Unit]:
    """The units of the corpus: the vocabulary, and the contexts shard by shard."""
    shards = range(place.profile.n_shards)
    return [vocabulary_unit(place.run), *(contexts_unit(place.run, shard) for shard in shards)]


def published_corpus(place: RunPlace) -> list[Manifest]:
    """What is known of these units; raises `NotReadyError` when one is not there."""
    vocabulary = place.lake.manifest(vocabulary_unit(place.run))
    shards = [published_contexts(place, shard) for shard in range(place.profile.n_shards)]
    if vocabulary is None:
        raise NotReadyError(
            f"{place.lake!r} holds no vocabulary of run {place.run!r}; materialize the asset "
            "'contexts' first."
        )
    return [vocabulary, *shards]


def copy_corpus(source: RunPlace, planted: RunPlace) -> Sequence[Manifest]:
    """Write what is missing of the planted run's corpus; returns the manifests of its contexts.

    Raises `NotReadyError` when the other run's is not there, `DataError` for a damaged file.
    """
    lake, config, made = planted.lake, contexts_config(planted.profile), []
    units = zip(published_corpus(source), corpus_units(planted), strict=True)
    for held, unit in units:
        there = lake.ready(unit, config)
        if there is None:
            files = lake.checked(unit.table, held.files)
            facts = {**held.facts, FROM: source.run}
            rows = File(read_parquet(lake, files))
            there = lake.publish(unit, [rows], config, facts, rows_of=held)
        made.append(there)
    return made[1:]
