"""Stage examples: the windows that represent each latent.

In: the tables contexts, vocabulary, weights and activations of a hookpoint, selection settings.
Out: the tables examples and shortfalls under the selection's name. Per latent bucket, in SQL:

1. `firing_windows`: the aligned windows in which each latent fires.
2. `candidates_aligned` or `candidates_centred`: windows that may be shown, never overlapping.
3. `pool`: the max_examples strongest, ranked, binned, each with its place in a hashed order.
4. `train_<sampler>`, then `test_<sampler>` from what is left: disjoint by construction.
5. `non_activating_random`: silent windows, drawn for each latent anew.
6. `rows` and `shortfalls`: what was chosen, and what was asked for but does not exist.

A draw depends on (seed, run, latent, window) only, so buckets, threads and file order do not
matter.
"""

import time

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from delphi_assets.activations import check_settings
from delphi_assets.buckets import Bucket, bucket_ranges
from delphi_assets.database import Parameter, execute, query
from delphi_assets.lake import File, Lake, Manifest, Unit, read_parquet
from delphi_assets.latents import HookpointTables, activation_files, open_hookpoint
from delphi_assets.settings import Profile, SelectionSettings, check_selection
from delphi_assets.stage import StageReport


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
        vocabulary = _str_tokens(lake, profile.run.name)
        for unit in tqdm(missing, desc=f"examples {hookpoint}", unit="bucket"):
            bucket = buckets[units.index(unit)]
            activations = activation_files(lake, tables, bucket.number)
            chosen = _choose(profile, selection, tables, bucket, activations)
            lake.publish(unit._replace(table="shortfalls"), [File(chosen[1])], config)
            rows = _with_str_tokens(chosen[0], vocabulary)
            new_rows += lake.publish(unit, [File(rows)], config, _facts(rows)).rows
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


def _choose(
    profile: Profile,
    selection: SelectionSettings,
    tables: HookpointTables,
    bucket: Bucket,
    activations: list[str],
) -> tuple[pa.Table, pa.Table]:
    """Rows of examples (without str_tokens) and shortfalls of one bucket."""
    con, n_tokens = tables.con, tables.size.n_tokens
    window: dict[str, Parameter] = {"example_ctx_len": selection.example_ctx_len}
    draw: dict[str, Parameter] = {"seed": profile.run.seed, "run": profile.run.name}
    execute(con, "examples/firing_windows", activations=activations, **window)
    if selection.center_examples:
        context: dict[str, Parameter] = {"cache_ctx_len": profile.cache.cache_ctx_len}
        execute(con, "examples/candidates_centred", n_tokens=n_tokens, **context, **window)
    else:
        execute(con, "examples/candidates_aligned", n_tokens=n_tokens, **window)
    execute(
        con,
        "examples/pool",
        min_examples=selection.min_examples,
        max_examples=selection.max_examples,
        n_quantiles=selection.n_quantiles,
        **draw,
    )
    mix: dict[str, Parameter] = (
        {"ratio_top": selection.ratio_top} if selection.train_type == "mix" else {}
    )
    n_train, n_test = selection.n_examples_train, selection.n_examples_test
    n_silent = selection.n_non_activating
    execute(con, f"examples/train_{selection.train_type}", n_examples_train=n_train, **mix)
    execute(con, f"examples/test_{selection.test_type}", n_examples_test=n_test)
    execute(
        con,
        "examples/non_activating_random",
        n_non_activating=n_silent,
        n_tokens=n_tokens,
        **window,
        **draw,
    )
    rows = query(
        con,
        "examples/rows",
        activations=activations,
        train_type=selection.train_type,
        test_type=selection.test_type,
        **window,
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
    return rows, shortfalls


def _str_tokens(lake: Lake, run: str) -> pa.Array:
    """Text of every token, indexed by token id."""
    files = lake.files("vocabulary", run=run)
    rows = read_parquet(lake, files, ["token", "str_token"]).sort_by("token")
    return rows["str_token"].combine_chunks()


def _with_str_tokens(rows: pa.Table, str_tokens: pa.Array) -> pa.Table:
    """`rows` with the column str_tokens, a list per row like `tokens`."""
    tokens = rows["tokens"].combine_chunks()
    texts = pc.take(str_tokens, tokens.flatten())
    return rows.append_column("str_tokens", pa.ListArray.from_arrays(tokens.offsets, texts))


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
