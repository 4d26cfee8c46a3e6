"""Stage examples: the windows that represent each latent.

In: the tables contexts, vocabulary, weights and activations of a hookpoint, selection settings.
Out: the tables examples and shortfalls under the selection's name. Per latent bucket, in SQL but
for the last step:

1. `ranked_aligned` or `ranked_centred`: windows that may be shown, never overlapping, the strongest
   first. Aligned ones come from the table windows (see `windows`), which is written if need be.
2. `pool`: the max_examples strongest, binned by rank, each with its place in a drawn order.
3. `train_<sampler>`, then `test` from what is left, binned by `held_out_<sampler>`: disjoint by
   construction.
4. `non_activating_random`: silent windows, drawn for each latent anew.
5. `rows` and `shortfalls`: what was chosen, and what was asked for but does not exist.
6. `window_contents`: tokens and activations of what was chosen.

A draw depends on (seed, run, latent, window) only, so buckets, threads and file order do not
matter.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from delphi_assets.activations import check_settings
from delphi_assets.buckets import Bucket, bucket_ranges
from delphi_assets.database import Parameter, execute, query
from delphi_assets.lake import File, Lake, Manifest, Unit
from delphi_assets.latents import HookpointTables, activation_files, open_hookpoint
from delphi_assets.settings import Profile, SelectionSettings, check_selection
from delphi_assets.stage import StageReport
from delphi_assets.window_contents import Corpus, read_corpus, with_contents
from delphi_assets.windows import ranked_windows


def select_examples(
    profile: Profile, lake: Lake, hookpoint: str, selection: SelectionSettings
) -> StageReport:
    """Write examples and shortfalls of a hookpoint, bucket by bucket, skipping what is there.

    Raises `ConflictError` when the run or the selection's name is taken by other settings,
    `SettingError` when windows do not fit the contexts, `NotReadyError` without activations.
    """
    start = time.perf_counter()
    check_selection(selection, profile.cache.cache_ctx_len)
    check_settings(profile, lake, hookpoint)
    keys = {"run": profile.run.name, "hookpoint": hookpoint, "selection": selection.name}
    config = {
        **selection.model_dump(exclude={"name"}),
        "seed": profile.run.seed,
        "n_buckets": profile.cache.n_buckets,
    }
    units = [
        Unit("examples", keys, f"bucket-{number:05d}") for number in range(profile.cache.n_buckets)
    ]
    missing = [
        unit
        for unit in units
        if any(
            lake.ready(unit._replace(table=table), config) is None
            for table in ("examples", "shortfalls")
        )
    ]
    new_rows = 0
    if missing:
        tables = open_hookpoint(profile, lake, hookpoint)
        buckets = bucket_ranges(tables.num_latents, profile.cache.n_buckets)
        corpus = read_corpus(lake, tables.contexts, tables.vocabulary)
        for macro in ("draw", "in_turns"):
            execute(tables.con, f"examples/{macro}")
        # One bucket is written while the next is chosen; no third one waits in memory.
        with ThreadPoolExecutor(1) as writer:
            written: Future[int] | None = None
            for unit in tqdm(missing, desc=f"examples {hookpoint}", unit="bucket"):
                bucket = buckets[units.index(unit)]
                files = activation_files(lake, tables, bucket.number)
                found = _choose(profile, lake, selection, tables, bucket, activations=files)
                new_rows += written.result() if written else 0
                chosen = _Chosen(unit, config, files, *found)
                written = writer.submit(_write, lake, corpus, chosen, selection)
            new_rows += written.result() if written else 0
    manifests = lake.manifests("examples", **keys)
    return StageReport(
        sum(manifest.rows for manifest in manifests),
        new_rows,
        time.perf_counter() - start,
        sum(manifest.bytes for manifest in manifests),
        {
            **_total(manifests),
            "shortfalls": sum(manifest.rows for manifest in lake.manifests("shortfalls", **keys)),
        },
    )


class _Chosen(NamedTuple):
    """A bucket whose windows are chosen: they, its shortfalls, and what is needed to write them."""

    unit: Unit
    config: Mapping[str, object]
    activations: list[str]
    windows: pa.Table
    shortfalls: pa.Table


def _write(lake: Lake, corpus: Corpus, made: _Chosen, selection: SelectionSettings) -> int:
    """Publish a bucket's shortfalls and examples; returns the examples."""
    lake.publish(made.unit._replace(table="shortfalls"), [File(made.shortfalls)], made.config)
    rows = with_contents(made.windows, selection.example_ctx_len, corpus, lake, made.activations)
    return lake.publish(made.unit, [File(rows)], made.config, _facts(rows)).rows


def _choose(
    profile: Profile,
    lake: Lake,
    selection: SelectionSettings,
    tables: HookpointTables,
    bucket: Bucket,
    *,
    activations: list[str],
) -> tuple[pa.Table, pa.Table]:
    """The windows of one bucket, without what stands in them, and its shortfalls."""
    con, n_tokens = tables.con, tables.size.n_tokens
    window: dict[str, Parameter] = {"example_ctx_len": selection.example_ctx_len}
    draw: dict[str, Parameter] = {"seed": profile.run.seed, "run": profile.run.name}
    if selection.center_examples:
        context: dict[str, Parameter] = {"cache_ctx_len": profile.cache.cache_ctx_len}
        execute(con, "examples/peaks", activations=activations, **window)
        execute(con, "examples/ranked_centred", n_tokens=n_tokens, **context, **window)
        execute(con, "examples/loud_centred")
    else:
        windows = ranked_windows(
            profile,
            lake,
            tables,
            bucket.number,
            example_ctx_len=selection.example_ctx_len,
            activations=activations,
        )
        execute(con, "examples/ranked_aligned", windows=windows)
        execute(con, "examples/loud_aligned")
    execute(
        con,
        "examples/pool",
        min_examples=selection.min_examples,
        max_examples=selection.max_examples,
        n_quantiles=selection.n_quantiles,
        **draw,
        **window,
    )
    mix: dict[str, Parameter] = (
        {"ratio_top": selection.ratio_top} if selection.train_type == "mix" else {}
    )
    n_train, n_test = selection.n_examples_train, selection.n_examples_test
    n_silent = selection.n_non_activating
    execute(con, f"examples/train_{selection.train_type}", n_examples_train=n_train, **mix)
    ranges: dict[str, Parameter] = (
        {"n_quantiles": selection.n_quantiles} if selection.test_type == "activations" else {}
    )
    execute(con, f"examples/held_out_{selection.test_type}", **ranges)
    execute(con, "examples/test", n_examples_test=n_test)
    types: dict[str, Parameter] = {
        "train_type": selection.train_type,
        "test_type": selection.test_type,
    }
    execute(con, "examples/chosen", **types)
    execute(
        con,
        "examples/non_activating_random",
        n_non_activating=n_silent,
        n_tokens=n_tokens,
        **window,
        **draw,
    )
    shortfalls = query(
        con,
        "examples/shortfalls",
        first=bucket.first,
        last=bucket.last,
        min_examples=selection.min_examples,
        max_examples=selection.max_examples,
        n_examples_train=n_train,
        n_examples_test=n_test,
        n_non_activating=n_silent,
    )
    return query(con, "examples/rows"), shortfalls


def _facts(rows: pa.Table) -> dict[str, int]:
    train = pc.sum(pc.equal(rows["split"], "train")).as_py() or 0
    silent = pc.sum(pc.invert(rows["activating"])).as_py() or 0
    return {
        "latents": pc.count_distinct(rows["latent"]).as_py(),
        "train": train,
        "test": rows.num_rows - train - silent,
        "non_activating": silent,
    }


def _total(manifests: list[Manifest]) -> dict[str, int]:
    names = ("latents", "train", "test", "non_activating")
    return {name: sum(manifest.facts[name] for manifest in manifests) for name in names}
