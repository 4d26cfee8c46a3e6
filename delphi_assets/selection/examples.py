"""Stage examples: the windows that represent each latent, and what stands in them.

In: the tables contexts, vocabulary, weights and activations of a hookpoint, selection settings.
Out: the tables examples, eligibility and shortfalls under the selection's name (`select_examples`),
or the rows of examples, unwritten (`choose_examples`). Both write the tables windows and embeddings
where these are needed and not there. Per latent bucket:

1. `window_choice`: windows that activate, train apart from test, and windows that do not.
2. `window_contents`: tokens and activations of what was chosen.
"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from delphi_assets.caching.hookpoint_tables import (
    HookpointTables,
    activation_files,
    open_hookpoint,
)
from delphi_assets.caching.published import check_fires, check_settings
from delphi_assets.errors import SettingError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import with_bar
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.buckets import bucket_ranges
from delphi_assets.lake.database import execute
from delphi_assets.lake.lake import File, Lake, Manifest, Unit
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import ELIGIBILITY, EXAMPLES, SHORTFALLS, Table
from delphi_assets.lake.units import bucket_of, examples_unit
from delphi_assets.lake.versions import Inputs, code_versions, data_version, data_versions
from delphi_assets.latent_ranges import WhichLatents, as_text, parse_latents
from delphi_assets.selection.kept_selection import (
    as_drawn,
    changes_since,
    is_answered,
    told_of,
)
from delphi_assets.selection.non_activating import open_sources, sources_config
from delphi_assets.selection.non_activating.sources import Sources
from delphi_assets.selection.samplers import samplers_config
from delphi_assets.selection.window_choice import choose_windows
from delphi_assets.selection.window_contents import Corpus, read_corpus, with_contents
from delphi_assets.settings import Profile, SelectionSettings, as_made, check_selection, override

_BUCKETS_AT_ONCE = 2
"""More would not be faster on few cores, and each takes memory."""

_WITH_ELIGIBILITY = 5
"""Version of the schema since which a selection has rows of eligibility; `upgrade` adds others."""

_THREADS = max(1, (os.cpu_count() or 1) // _BUCKETS_AT_ONCE)
"""Of DuckDB, beside those in which buckets are chosen."""

log = logging.getLogger(__name__)


@terminable()
def select_examples(
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    selection: SelectionSettings | None = None,
    latents: WhichLatents | None = None,
) -> StageReport:
    """Write a hookpoint's examples, eligibility and shortfalls by bucket, skipping what is there.

    `selection` is the profile's unless given; `latents`, e.g. `"0-4"`, stand in place of its own.
    Windows of another code, of other activations or neighbours are drawn again unless answers stand
    on them (`kept_selection`).

    Raises `ConflictError` when the run or the selection's name is taken by other settings,
    `SettingError` when windows do not fit the contexts or the coder lacks the latents,
    `NotReadyError` without activations or the neighbours that are asked for, `DataError` where no
    latent fires.
    """
    start = time.perf_counter()
    selection = _of_latents(selection or profile.selection, latents)
    profile = lake.as_made(profile)
    place = Place(profile, lake, hookpoint)
    units = [
        examples_unit(place.run, hookpoint, selection.name, bucket)
        for bucket in range(profile.cache.n_buckets)
    ]
    published = [lake.manifest(unit) for unit in units]
    there = next(filter(None, published), None)
    selection = as_made(selection, there.config if there else {})
    check_selection(selection, profile.cache.cache_ctx_len)
    weights = check_settings(place)
    config = _config(place, selection)
    buckets = [_whole(lake, examples, config) for examples in published]
    changed = changes_since(place, [bucket.examples for bucket in buckets if bucket], config)
    again = bool(changed) and not is_answered(place, selection.name)
    if again:
        log.warning("selection %r is drawn again: %s", selection.name, "; ".join(changed))
        buckets, changed = [None] * len(buckets), []
    new: list[_Bucket] = []
    if missing := [unit for unit, bucket in zip(units, buckets, strict=True) if bucket is None]:
        for kept in filter(None, buckets):
            kept.examples.check_config(config)
        opened = _open(place, weights, selection, _THREADS)
        new = _write(opened, missing, config, again=again)
    whole = [bucket for bucket in buckets if bucket is not None]
    if outdated := told_of(selection.name, changed):
        log.warning("examples: %s", outdated)
    report = _report([*whole, *new], new, time.perf_counter() - start)
    return replace(
        report,
        data_version=_data_version(place),
        code_versions=code_versions(bucket.examples for bucket in (*whole, *new)),
        outdated=outdated,
    )


def _write(
    opened: "_Opened", units: Sequence[Unit], config: Mapping[str, object], *, again: bool
) -> "list[_Bucket]":
    """Write these units of examples with what is beside them."""
    place = opened.sources.place
    inputs = data_versions(_made_from(place.tables))

    def put(unit: Unit, rows: pa.Table, facts: Mapping[str, int] | None = None) -> Manifest:
        files = [File(rows)]
        return place.lake.publish(unit, files, config, facts, inputs=inputs, versioned=again)

    def write(unit: Unit) -> _Bucket:
        made = opened.rows(bucket_of(unit))
        shortfalls = put(_beside(unit, SHORTFALLS), made.shortfalls)
        put(_beside(unit, ELIGIBILITY), made.eligibility)
        return _Bucket(put(unit, made.examples, _facts(made.examples)), shortfalls)

    with ThreadPoolExecutor(_BUCKETS_AT_ONCE) as pool:
        made, desc = pool.map(write, units), f"examples {place.hookpoint}"
        return list(with_bar(made, desc=desc, total=len(units), unit="bucket"))


def _config(place: Place, selection: SelectionSettings) -> dict[str, object]:
    """What the selection's name stands for."""
    return {
        **selection.model_dump(
            exclude={
                "name",
                "latents",
                "seed",
                "non_activating_source",
                "options",
                "sentence_encoder",
            }
        ),
        "latents": [list(ends) for ends in parse_latents(selection.latents).ranges],
        **samplers_config(selection),
        **sources_config(place, selection),
        "seed": place.profile.seed_of(selection),
        "n_buckets": place.profile.cache.n_buckets,
    }


def _data_version(place: Place) -> str:
    """Of all selections of the hookpoint."""
    tables = (EXAMPLES.name, SHORTFALLS.name, ELIGIBILITY.name)
    return data_version(
        made for table in tables for made in place.lake.manifests(table, **place.keys)
    )


def _made_from(tables: HookpointTables) -> Inputs:
    return {"activations": tables.buckets}


def choose_examples(
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    selection: SelectionSettings | None = None,
    latents: WhichLatents | None = None,
) -> pa.Table:
    """Rows of the table examples for the selection's latents, which are not written.

    The windows are those that `select_examples` would write. Raises as that does, but whatever
    stands under the selection's name.
    """
    selection = _of_latents(selection or profile.selection, latents)
    profile = lake.as_made(profile)
    check_selection(selection, profile.cache.cache_ctx_len)
    place = Place(profile, lake, hookpoint)
    opened = _open(place, check_settings(place), selection)
    with ThreadPoolExecutor(_BUCKETS_AT_ONCE) as pool:
        made = pool.map(opened.rows, range(profile.cache.n_buckets))
        return pa.concat_tables([bucket.examples.cast(EXAMPLES.arrow) for bucket in made])


def _of_latents(selection: SelectionSettings, latents: WhichLatents | None) -> SelectionSettings:
    return selection if latents is None else override(selection, "call", latents=as_text(latents))


class _Bucket(NamedTuple):
    """What is known of a bucket."""

    examples: Manifest
    shortfalls: Manifest


def _beside(unit: Unit, table: Table) -> Unit:
    """The unit of another table beside one of examples."""
    return unit._replace(table=table.name)


def _whole(lake: Lake, published: Manifest | None, config: Mapping[str, object]) -> _Bucket | None:
    """A bucket, its examples as published, if it is whole in every table.

    Neighbours may have been written again since.
    """
    if published is not None:
        config = as_drawn(published, config)
    examples = lake.whole(published, config)
    if (
        examples is None
        or (found := lake.ready(_beside(examples.unit, SHORTFALLS), config)) is None
    ):
        return None
    told = examples.schema_version < _WITH_ELIGIBILITY or lake.ready(
        _beside(examples.unit, ELIGIBILITY), config
    )
    if not told:
        return None
    return _Bucket(examples, found)


class _Rows(NamedTuple):
    """Of one bucket, as the tables have them."""

    examples: pa.Table
    shortfalls: pa.Table
    eligibility: pa.Table


class _Opened(NamedTuple):
    """What a selection's windows are chosen from."""

    sources: Sources
    corpus: Corpus
    asked: list[list[int]]
    """Latents of every bucket."""

    def rows(self, bucket: int) -> _Rows:
        """A bucket's examples; none where no latent of it is asked for."""
        latents = self.asked[bucket]
        if not latents:
            return _Rows(EXAMPLES.empty(), SHORTFALLS.empty(), ELIGIBILITY.empty())
        place, tables = self.sources.place, self.sources.place.tables
        files = activation_files(place.lake, tables, bucket)
        # Temporary tables belong to a cursor, so buckets do not see those of others.
        with tables.con.cursor() as con:
            windows, *others = choose_windows(
                replace(place, tables=tables._replace(con=con)),
                bucket,
                sources=self.sources,
                latents=latents,
                activations=files,
            )
        if not windows.num_rows:
            return _Rows(EXAMPLES.empty(), *others)
        rows = with_contents(windows, place.length, self.corpus, place.lake, files)
        return _Rows(EXAMPLES.conform(self.sources.with_neighbour_activations(rows)), *others)


def _open(
    place: Place,
    weights: Manifest | None,
    selection: SelectionSettings,
    threads: int | None = None,
) -> _Opened:
    tables = open_hookpoint(place, weights, threads=threads)
    check_fires(place.hookpoint, tables.buckets)
    cache = place.profile.cache
    asked = _by_bucket(tables.num_latents, cache.n_buckets, selection)
    execute(
        tables.con,
        "examples/2_windows/window_documents",
        contexts=tables.contexts,
        cache_ctx_len=cache.cache_ctx_len,
        example_ctx_len=selection.example_ctx_len,
    )
    corpus = read_corpus(place.lake, tables.contexts, tables.vocabulary)
    return _Opened(open_sources(place, tables, selection), corpus, asked)


def _by_bucket(num_latents: int, n_buckets: int, selection: SelectionSettings) -> list[list[int]]:
    """The latents asked for of every bucket."""
    asked = parse_latents(selection.latents)
    by_bucket = [
        asked.among(bucket.first, bucket.last) for bucket in bucket_ranges(num_latents, n_buckets)
    ]
    if not any(by_bucket):
        raise SettingError(
            f"selection.latents = {selection.latents!r} names none of the {num_latents:,} latents; "
            f"expected some of 0-{num_latents - 1}, or 'all'."
        )
    return by_bucket


def _facts(rows: pa.Table) -> dict[str, int]:
    kinds = rows.group_by(["activating", "split"]).aggregate([([], "count_all")]).to_pylist()
    counts = {(kind["activating"], kind["split"]): kind["count_all"] for kind in kinds}
    return {
        "latents": pc.count_distinct(rows["latent"]).as_py(),
        "train": counts.get((True, "train"), 0),
        "test": counts.get((True, "test"), 0),
        "non_activating": counts.get((False, "test"), 0),
        "non_activating_train": counts.get((False, "train"), 0),
        "left_out_weak_windows": _latents_above_zero(rows, "n_weaker"),
        "share_documents": _latents_above_zero(rows, "shared_document_share"),
    }


def _latents_above_zero(rows: pa.Table, column: str) -> int:
    """Latents of which a column that is the same in all their rows is above 0."""
    return int(pc.count_distinct(rows.filter(pc.greater(rows[column], 0))["latent"]).as_py())


def _report(buckets: Sequence[_Bucket], new: Sequence[_Bucket], seconds: float) -> StageReport:
    examples = [bucket.examples for bucket in buckets]
    return StageReport(
        sum(manifest.rows for manifest in examples),
        sum(bucket.examples.rows for bucket in new),
        seconds,
        sum(manifest.bytes for manifest in examples),
        {**_total(examples), "shortfalls": sum(bucket.shortfalls.rows for bucket in buckets)},
    )


def _total(manifests: list[Manifest]) -> dict[str, int]:
    names = ("latents", "train", "test", "non_activating", "non_activating_train")
    total = {name: sum(manifest.facts[name] for manifest in manifests) for name in names}
    # Buckets of earlier versions do not have these.
    for name in ("left_out_weak_windows", "share_documents"):
        total[f"latents_that_{name}"] = sum(manifest.facts.get(name, 0) for manifest in manifests)
    return total
