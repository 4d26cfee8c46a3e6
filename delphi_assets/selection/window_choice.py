"""Choosing the windows that represent the latents of one bucket.

In: a bucket's activations, the latents asked for, selection settings. Out: the chosen windows by
latent and position, without what stands in them, eligibility and shortfalls. Each step is a
statement of `sql/examples/`:

1. `ranked_aligned` or `ranked_centred`: windows that may be shown, never overlapping, the strongest
   first. Aligned ones come from the table windows (see `windows`), which is written if need be.
2. `pool`: the max_examples strongest, binned by rank, each with its place in a drawn order.
3. Train by its sampler (`samplers`), then `test` from what is left, binned by its own: disjoint by
   construction. With `selection.split_documents` by `test_apart`, which keeps to what stands in
   other documents than the train windows (`apart`) while there is enough of it.
4. `non_activating`: silent windows from their sources (see there), drawn for each latent anew.
5. `rows`, `eligibility` and `shortfalls`: what was chosen, which latents cannot be explained, and
   what was asked for but does not exist.

A draw depends on (seed, run, hookpoint, latent, window) only, so buckets, threads and file order do
not matter.
"""

from typing import NamedTuple

import duckdb
import pyarrow as pa

from delphi_assets.lake.database import execute, query
from delphi_assets.selection.non_activating.source import SourcePlace
from delphi_assets.selection.non_activating.sources import Sources
from delphi_assets.selection.samplers import draw_train, hold_out
from delphi_assets.selection.windows import ranked_windows
from delphi_assets.settings import SelectionSettings


class WindowChoice(NamedTuple):
    """Rows of the tables examples, but for what stands in a window, shortfalls and eligibility."""

    windows: pa.Table
    shortfalls: pa.Table
    eligibility: pa.Table


def choose_windows(
    place: SourcePlace,
    bucket: int,
    *,
    sources: Sources,
    latents: list[int],
    activations: list[str],
) -> WindowChoice:
    """The windows of these latents of a bucket; `activations` are the bucket's files.

    Raises as `ranked_windows`.
    """
    selection, tables = place.selection, place.tables
    for macro in ("mixed", "draw", "in_turns", "documents_of"):
        execute(tables.con, f"examples/1_macros/{macro}")
    if selection.center_examples:
        _rank_centred(place, latents, activations)
    else:
        windows = ranked_windows(
            place, tables, bucket, example_ctx_len=place.length, activations=activations
        )
        execute(tables.con, "examples/2_windows/ranked_aligned", windows=windows, latents=latents)
        execute(tables.con, "examples/2_windows/loud_aligned")
    _draw_activating(place)
    sources.draw(tables.con, latents)
    eligibility = query(
        tables.con,
        "examples/6_rows/eligibility",
        latents=latents,
        min_examples=selection.min_examples,
        max_examples=selection.max_examples,
        activations=activations,
    )
    tables.con.register("eligibility", eligibility)
    shortfalls = query(
        tables.con,
        "examples/6_rows/shortfalls",
        latents=latents,
        max_examples=selection.max_examples,
        n_examples_train=selection.n_examples_train,
        n_examples_test=selection.n_examples_test,
        sources=[quota.source for quota in sources.quotas],
        quotas=[quota.n for quota in sources.quotas],
    )
    rows = query(
        tables.con,
        "examples/6_rows/rows",
        n_non_activating=selection.n_non_activating,
        example_ctx_len=selection.example_ctx_len,
        max_examples=selection.max_examples,
        draw_of=place.draw_of,
    )
    return WindowChoice(rows, shortfalls, eligibility)


def _rank_centred(place: SourcePlace, latents: list[int], activations: list[str]) -> None:
    length, con = place.length, place.tables.con
    execute(
        con,
        "examples/2_windows/peaks",
        activations=activations,
        latents=latents,
        example_ctx_len=length,
    )
    execute(
        con,
        "examples/2_windows/ranked_centred",
        activations=activations,
        n_tokens=place.n_tokens,
        cache_ctx_len=place.profile.cache.cache_ctx_len,
        example_ctx_len=length,
    )
    execute(con, "examples/2_windows/loud_centred")


def _draw_activating(place: SourcePlace) -> None:
    selection, con = place.selection, place.tables.con
    execute(
        con,
        "examples/3_train/pool",
        min_examples=selection.min_examples,
        max_examples=selection.max_examples,
        n_quantiles=selection.n_quantiles,
        example_ctx_len=selection.example_ctx_len,
        draw_of=place.draw_of,
    )
    draw_train(con, selection)
    hold_out(con, selection)
    execute(con, "examples/3_train/train_windows")
    _draw_test(con, selection)
    execute(
        con,
        "examples/4_test/chosen",
        train_type=selection.train_type,
        test_type=selection.test_type,
    )
    execute(con, "examples/4_test/test_windows")
    execute(con, "examples/4_test/shared_documents", example_ctx_len=selection.example_ctx_len)


def _draw_test(con: duckdb.DuckDBPyConnection, selection: SelectionSettings) -> None:
    n = selection.n_examples_test
    if not selection.split_documents:
        execute(con, "examples/4_test/test", n_examples_test=n)
        return
    execute(con, "examples/4_test/apart", example_ctx_len=selection.example_ctx_len)
    execute(con, "examples/4_test/not_apart", n_examples_test=n)
    execute(con, "examples/4_test/test_apart", n_examples_test=n)
