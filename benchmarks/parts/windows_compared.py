"""Delphi's windows beside those of this project, in counts.

In: the windows that Delphi wrote (see `benchmarks/delphi_windows.py`), and a lake with selections
of the same names. Out: `equalities`, where every difference must have one of the reasons given, and
`differences`, what Delphi does otherwise and why this project does not.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np

from delphi_assets import connect
from delphi_assets.lake.lake import Lake

THEIRS = """
    create temp table theirs as
    select * from read_parquet($windows)
"""
HERE = """
    create temp table here as
    select
        selection as variant,
        latent,
        if(activating, split, 'silent') as split,
        row_number() over (
            partition by selection, latent, activating, split order by example
        ) - 1 as place,
        quantile, position, max_activation, latent_max, tokens, activations, normalized
    from examples
    where hookpoint = $hookpoint and latent < $latents
"""
FIRED = """
    create temp table fired as
    select latent, position, activation
    from activations
    where hookpoint = $hookpoint and latent < $latents
"""
BOTH = """
    create temp view both_sides as
    select 'delphi' as side, * from theirs
    union all by name
    select 'here' as side, * from here
"""
RANKED = """
    create temp table ranked as
    select latent, count(*) as n_windows
    from windows
    where hookpoint = $hookpoint and latent < $latents
    group by latent
"""

LATENTS = """
    select
        count(*) as compared,
        count(*) filter (t.latent is null or h.latent is null) as unexplained
    from (select distinct latent from theirs where variant = 'strongest') as t
    full join (select distinct latent from here where variant = 'strongest') as h using (latent)
"""
STRENGTHS = """
    select
        count(*) as compared,
        count(*) filter (t.max_activation is distinct from h.max_activation) as unexplained
    from (from theirs where variant = 'strongest') as t
    full join (from here where variant = 'strongest') as h using (latent, place)
"""
CHOICE = """
    with ends as (
        select latent, min(max_activation) as weakest, count(*) as n
        from here
        where variant = 'strongest'
        group by latent
    ),

    paired as (
        select
            t.place as their_place,
            h.place as our_place,
            coalesce(t.max_activation, h.max_activation) = weakest and n = $strongest as at_the_end,
            t.max_activation is not distinct from h.max_activation as as_strong
        from (from theirs where variant = 'strongest') as t
        full join (from here where variant = 'strongest') as h using (latent, position)
        left join ends using (latent)
    )

    select
        count(*) as compared,
        count(*) filter (their_place = our_place) as same_place,
        count(*) filter (their_place <> our_place and as_strong) as other_place_among_ties,
        count(*) filter (not as_strong and at_the_end) as other_choice_among_ties_at_the_end,
        count(*) filter (not as_strong and not coalesce(at_the_end, false)) as unexplained
    from paired
"""
CONTENTS = """
    with paired as (
        select
            t.tokens is distinct from h.tokens as other_tokens,
            t.activations is distinct from h.activations as other_activations,
            t.max_activation is distinct from h.max_activation as other_maximum
        from theirs as t
        inner join here as h using (variant, latent, split, position)
        where variant <> 'centred'
    )

    select
        count(*) as compared,
        count(*) filter (other_tokens or other_activations or other_maximum) as unexplained
    from paired
"""
NORMALIZED = """
    select
        latent,
        unnest(t.activations) as activation,
        h.latent_max,
        unnest(t.normalized) as theirs,
        unnest(h.normalized) as here
    from theirs as t
    inner join here as h using (variant, latent, split, position)
    where variant not in ('centred', 'few') and split <> 'silent'
"""
BINS = """
    with strengths as (
        select distinct latent, max_activation, quantile
        from here
        where variant = 'strongest'
    ),

    paired as (
        select
            t.quantile = h.quantile as same,
            n_windows % $n_quantiles = 0 as divides,
            s.latent is not null as tied
        from theirs as t
        inner join (from here where variant = 'strongest') as h using (latent, position)
        inner join ranked using (latent)
        -- A window as strong as this one is in the bin that Delphi has for it.
        left join strengths as s
            on t.latent = s.latent
            and t.max_activation = s.max_activation
            and t.quantile = s.quantile
        where t.variant = 'quantiles' and t.split <> 'silent'
    )

    select
        count(*) as compared,
        count(*) filter (divides) as of_latents_whose_windows_divide,
        count(*) filter (not same and divides and tied) as tied_across_two_bins,
        count(*) filter (not same and not divides) as windows_do_not_divide_into_bins,
        count(*) filter (not same and divides and not tied) as unexplained
    from paired
"""
SILENCE = """
    with silent as (
        select side, latent, position
        from both_sides
        where split = 'silent'
    ),

    loud as (
        select silent.side
        from silent
        semi join fired
            on silent.latent = fired.latent
            and fired.position >= silent.position
            and fired.position < silent.position + $example_ctx_len
    )

    select
        count(*) filter (side = 'delphi') as compared,
        count(*) filter (side = 'here') as compared_here,
        (select count(*) from loud) as unexplained
    from silent
"""

COUNTS = """
    with drawn as (
        select
            split,
            count(d.latent) as n
        from (
            select distinct latent from both_sides where side = $side and variant = 'strongest'
        ) as chosen
        cross join (values ('train'), ('test')) as splits (split)
        left join (
            from both_sides where side = $side and variant = $variant
        ) as d using (latent, split)
        group by chosen.latent, split
    )

    select
        max(n) filter (split = 'train') as train,
        max(n) filter (split = 'test') as test
    from drawn
"""
OVERLAP = """
    with drawn as (
        from both_sides where side = $side and variant = $variant
    ),

    shared as (
        select test.latent, count(train.latent) as n
        from (from drawn where split = 'test') as test
        left join (from drawn where split = 'train') as train using (latent, position)
        group by test.latent
    )

    select round(avg(n), 1)::double as a_latent, min(n) as fewest, max(n) as most
    from shared
"""
UNDRAWN = """
    select sum(n_windows % $n_quantiles)::bigint as windows, count(*) as latents
    from ranked
    inner join (select distinct latent from here where variant = 'strongest') using (latent)
    where n_windows % $n_quantiles > 0
"""
SILENT = """
    with silent as (
        select latent, position
        from both_sides
        where side = $side and variant = 'quantiles' and split = 'silent'
    ),

    shared as (
        select count(distinct a.position) as n
        from silent as a
        inner join silent as b on a.position = b.position and a.latent < b.latent
        group by a.latent, b.latent
    )

    select
        (select count(*) from silent) as windows,
        (select count(*) from (select distinct latent, position from silent))
            as distinct_within_latents,
        (select max(n) from shared) as most_shared_by_two_latents,
        (
            select count(*)
            from (
                select distinct latent
                from both_sides
                where side = $side and variant = 'strongest'
            )
            anti join silent using (latent)
        ) as latents_with_none
"""
CENTRED = """
    with centred as (
        select
            *,
            list_position(activations, max_activation) - 1 as peak,
            lead(position) over (partition by latent order by position) - position as until_next
        from both_sides
        where side = $side and variant = 'centred'
    ),

    tokens as (
        select
            latent,
            position,
            unnest(activations) as activation,
            unnest(range(len(activations))) as token
        from centred
    ),

    wrong as (
        select distinct tokens.latent, tokens.position
        from tokens
        left join fired
            on tokens.latent = fired.latent and tokens.position + token = fired.position
        where tokens.activation <> coalesce(fired.activation, 0)
    )

    select
        count(*) as windows,
        count(distinct latent) as latents,
        round(100 * avg((peak = $example_ctx_len // 2)::int), 1)::double
            as percent_with_the_strongest_in_the_middle,
        count(*) filter (until_next < $example_ctx_len) as sharing_tokens_with_the_next,
        (select count(*) from wrong) as with_wrong_activations
    from centred
"""


Counts = dict[str, float | None]
"""A row of a statement, by column."""


class Difference(NamedTuple):
    """What Delphi does otherwise: both sides in numbers."""

    what: str
    delphi: Counts
    here: Counts
    why: str


def open_windows(
    lake: Lake, hookpoint: str, latents: int, windows: Path
) -> duckdb.DuckDBPyConnection:
    """A connection with the tables theirs, here, fired and ranked, and both sides as one."""
    con = connect(lake)
    con.execute(THEIRS, {"windows": str(windows)})
    for statement in (HERE, FIRED, RANKED):
        con.execute(statement, {"hookpoint": hookpoint, "latents": latents})
    con.execute(BOTH)
    return con


def equalities(con: duckdb.DuckDBPyConnection, asked: Mapping[str, int]) -> dict[str, Counts]:
    """What must be equal: rows compared, differences by reason, and those without one."""
    return {
        "latents with min_examples windows": _row(con, LATENTS),
        "strengths of the windows, by place": _row(con, STRENGTHS),
        "which windows": _row(con, CHOICE, strongest=asked["strongest"]),
        "tokens, activations and maximum, by window": _row(con, CONTENTS),
        "normalized activations, by token": _normalized(con),
        "rank bins, by drawn window": _row(con, BINS, n_quantiles=asked["n_quantiles"]),
        "silence of non-activating windows": _row(
            con, SILENCE, example_ctx_len=asked["example_ctx_len"]
        ),
    }


def differences(con: duckdb.DuckDBPyConnection, asked: Mapping[str, int]) -> list[Difference]:
    """What differs, with numbers of both sides, and why."""
    length = {"example_ctx_len": asked["example_ctx_len"]}
    undrawn = _row(con, UNDRAWN, n_quantiles=asked["n_quantiles"])
    return [
        *(
            _difference(
                con,
                f"test windows that are train windows too, {sampler}",
                OVERLAP,
                "Delphi draws test windows from all windows, from the same bins and with the same "
                "seed as the train windows of its sampler quantiles",
                variant=sampler,
            )
            for sampler in ("top", "random", "quantiles", "mix")
        ),
        _difference(
            con,
            "windows a latent, mix",
            COUNTS,
            "Delphi rounds the share of each bin down",
            variant="mix",
        ),
        _difference(
            con,
            "windows a latent, where fewer are asked for than there are bins",
            COUNTS,
            "Delphi's share of each bin is rounded down to none",
            variant="few",
        ),
        Difference(
            "windows that the sampler quantiles can never draw",
            undrawn,
            {"windows": 0, "latents": 0},
            "Delphi's bins are equally long; the weakest windows that are left are in none",
        ),
        _difference(
            con,
            "random non-activating windows",
            SILENT,
            "Delphi draws with replacement, and draws none where there are fewer than asked for; "
            "its one seed for all latents shows only where equally many windows are silent",
        ),
        _difference(
            con,
            "centred windows",
            CENTRED,
            "Delphi puts the strongest token at three quarters, leaves out the first and last "
            "window of each context, and takes a neighbouring window's activations from a wrong "
            "one; here the token is in the middle unless the context ends, and of overlapping "
            "windows only the strongest stays",
            **length,
        ),
    ]


def _difference(
    con: duckdb.DuckDBPyConnection,
    what: str,
    statement: str,
    why: str,
    **parameters: str | int,
) -> Difference:
    delphi, here = (_row(con, statement, side=side, **parameters) for side in ("delphi", "here"))
    return Difference(what, delphi, here, why)


def _row(con: duckdb.DuckDBPyConnection, statement: str, **parameters: str | int) -> Counts:
    """The single row of a query, by column."""
    (row,) = con.sql(statement, params=parameters or None).to_arrow_table().to_pylist()
    return dict(row)


def _normalized(con: duckdb.DuckDBPyConnection) -> Counts:
    """Normalized activations; different ones are computed in half precision, as Delphi does."""
    rows = con.sql(NORMALIZED).to_arrow_table()
    columns = {name: rows[name].to_numpy() for name in rows.column_names}
    off = columns["theirs"] != columns["here"]
    activation, strongest = (columns[name][off] for name in ("activation", "latent_max"))
    with np.errstate(over="ignore"):
        tenfold = (activation * np.float32(10)).astype(np.float16).astype(np.float32)
        rounded = np.clip(np.ceil((tenfold / strongest).astype(np.float16)), 0, 10)
    exact = np.ceil(10 * activation.astype(np.float64) / strongest)
    explained = (rounded == columns["theirs"][off]) & (exact == columns["here"][off])
    return {
        "compared": len(off),
        "not_zero": int((columns["activation"] != 0).sum()),
        "rounded_to_half_precision_by_delphi": int(explained.sum()),
        "unexplained": int((~explained).sum()),
    }
