"""Queries of the kind that people ask a lake, drawn by a seed, each with the rows that it has.

In: a generator, and the tables of a lake as Polars reads them from the files. Out: `Drawn`, the SQL
over the views of the lake and the same question to Polars, which is the referee.

The shapes are those in which DuckDB 2.0 loses rows: a few rows of one table chosen by `limit`,
`qualify` or a semi join and then joined to another on path keys, a window or an aggregate joined
back to its own table. Path keys are compared with some values of theirs, one that has no rows
among them.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

RUNS, HOOKPOINTS, SELECTIONS = ("one", "two"), ("layers.0", "layers.1", "layers.2"), ("a", "b")
NOWHERE = "nowhere"
"""A run, hookpoint and selection without rows."""
TABLES = ("activations", "contexts", "latents", "examples", "predictions")

Frames = Mapping[str, pl.DataFrame]
Row = tuple[object, ...]


class Drawn(NamedTuple):
    """A query, and the referee's way to its rows."""

    shape: str
    sql: str
    rows: Callable[[Frames], pl.DataFrame]


class _Filter(NamedTuple):
    """A condition in both languages."""

    sql: str
    polars: pl.Expr


def read_tables(root: Path) -> dict[str, pl.DataFrame]:
    """Tables of a lake whose every file counts, without DuckDB."""
    every = {name: sorted((root / name).rglob("*.parquet")) for name in TABLES}
    return {
        name: pl.concat([_with_keys(root / name, file) for file in files], how="diagonal_relaxed")
        for name, files in every.items()
    }


def _with_keys(table: Path, file: Path) -> pl.DataFrame:
    keys = (part.split("=", 1) for part in file.parent.relative_to(table).parts)
    columns = [
        pl.lit(int(value) if name in ("shard", "bucket") else value).alias(name)
        for name, value in keys
    ]
    return pl.read_parquet(file, hive_partitioning=False).with_columns(columns)


def draw(seed: int, n: int) -> list[Drawn]:
    """The first `n` queries of a seed; every shape comes before one comes again."""
    chance = random.Random(seed)
    return [_SHAPES[number % len(_SHAPES)](chance) for number in range(n)]


def as_rows(frame: pl.DataFrame) -> list[Row]:
    """Rows as they are compared: in a fixed order, numbers to nine digits."""
    return sorted((tuple(map(_value, row)) for row in frame.iter_rows()), key=repr)


def _value(value: object) -> object:
    return float(f"{value:.9g}") if isinstance(value, float) else value


def _place(chance: random.Random, *keys: str) -> _Filter:
    """A condition on some path keys, or none."""
    held = {"run": RUNS, "hookpoint": HOOKPOINTS, "selection": SELECTIONS}
    conditions = []
    for key in keys:
        kind = chance.random()
        if kind < 0.35:
            continue
        many = [*held[key], NOWHERE]
        some = chance.sample(many, 1 if kind < 0.75 else 2)
        quoted = ", ".join(f"'{value}'" for value in some)
        conditions.append(_Filter(f"{key} in ({quoted})", pl.col(key).is_in(some)))
    return _all(conditions)


def _all(conditions: list[_Filter]) -> _Filter:
    if not conditions:
        return _Filter("true", pl.lit(True))
    return _Filter(
        " and ".join(one.sql for one in conditions),
        pl.all_horizontal([one.polars for one in conditions]),
    )


def _strongest_with_contexts(chance: random.Random) -> Drawn:
    """The strongest activations, with their contexts."""
    where, n = _place(chance, "run", "hookpoint"), chance.choice((1, 3, 5, 40))
    sql = f"""
        select t.run, t.hookpoint, t.latent, t.position, t.activation, c.context, c.shard
        from (
            from activations where {where.sql}
            order by activation desc limit {n}
        ) t
        join contexts c on c.run = t.run and c.context = t.position // 32
    """
    return Drawn(
        "limit, then join",
        sql,
        lambda of: (
            of["activations"]
            .filter(where.polars)
            .sort("activation", descending=True)
            .head(n)
            .with_columns(context=pl.col("position") // 32)
            .join(of["contexts"], on=["run", "context"])
            .select("run", "hookpoint", "latent", "position", "activation", "context", "shard")
        ),
    )


def _strongest_of_each(chance: random.Random) -> Drawn:
    """The strongest activations of each latent, with what is known of it."""
    where, n = _place(chance, "run", "hookpoint"), chance.choice((1, 2, 7))
    by = ["run", "hookpoint", "latent"]
    sql = f"""
        select t.run, t.hookpoint, t.latent, t.position, l.n_activations
        from (
            from activations where {where.sql}
            qualify row_number() over (
                partition by run, hookpoint, latent order by activation desc, position
            ) <= {n}
        ) t
        join latents l using (run, hookpoint, latent)
    """
    return Drawn(
        "qualify, then join",
        sql,
        lambda of: (
            of["activations"]
            .filter(where.polars)
            .sort("activation", "position", descending=[True, False])
            .group_by(by, maintain_order=True)
            .head(n)
            .join(of["latents"], on=by)
            .select(*by, "position", "n_activations")
        ),
    )


def _last_of_each(chance: random.Random) -> Drawn:
    """The row that wins of each key, joined to windows: how growing tables are read."""
    where = _place(chance, "run", "hookpoint", "selection")
    by = ["run", "hookpoint", "selection", "latent", "example"]
    sql = f"""
        select p.run, p.hookpoint, p.selection, p.latent, p.example, p.scorer, e.split, e.position
        from (
            from predictions where {where.sql}
            qualify row_number() over (
                partition by run, hookpoint, selection, latent, example
                order by scorer desc, explanation_id, variant, control, judge_hash
            ) = 1
        ) p
        join examples e using (run, hookpoint, selection, latent, example)
    """
    order = ["scorer", "explanation_id", "variant", "control", "judge_hash"]
    return Drawn(
        "row_number() = 1, then join",
        sql,
        lambda of: (
            of["predictions"]
            .filter(where.polars)
            .sort(order, descending=[True, False, False, False, False])
            .group_by(by, maintain_order=True)
            .head(1)
            .join(of["examples"], on=by)
            .select(*by, "scorer", "split", "position")
        ),
    )


def _share_of_maximum(chance: random.Random) -> Drawn:
    """Rows next to the maximum of their latent: a window over the same files."""
    where, least = _place(chance, "run", "hookpoint"), chance.choice((0.5, 0.9, 0.99))
    by = ["run", "hookpoint", "latent"]
    strongest = pl.col("activation").max().over(by)
    sql = f"""
        select run, hookpoint, latent, position
        from (
            select *, max(activation) over (partition by run, hookpoint, latent) as strongest
            from activations where {where.sql}
        )
        where activation >= {least} * strongest
    """
    return Drawn(
        "maximum over a window",
        sql,
        lambda of: (
            of["activations"]
            .filter(where.polars)
            .filter(pl.col("activation").cast(pl.Float64) >= least * strongest.cast(pl.Float64))
            .select(*by, "position")
        ),
    )


def _counted_and_joined(chance: random.Random) -> Drawn:
    """Counts by place, joined back to the rows they are of."""
    where, least = _place(chance, "run", "hookpoint", "selection"), chance.choice((1, 15, 30))
    by = ["run", "hookpoint", "selection", "latent"]
    sql = f"""
        with counted as (
            select run, hookpoint, selection, latent, count(*) as n, max(max_activation) as top
            from examples where {where.sql}
            group by all having count(*) >= {least}
        )
        select e.run, e.hookpoint, e.selection, e.latent, e.example, counted.n, counted.top
        from counted join examples e using (run, hookpoint, selection, latent)
        where e.activating
    """
    return Drawn(
        "aggregate joined back",
        sql,
        lambda of: (
            of["examples"]
            .filter(where.polars)
            .group_by(by)
            .agg(n=pl.len(), top=pl.col("max_activation").max())
            .filter(pl.col("n") >= least)
            .join(of["examples"].filter(pl.col("activating")), on=by)
            .select(*by, "example", "n", "top")
        ),
    )


def _among(chance: random.Random) -> Drawn:
    """Rows whose latent is among some, or is not."""
    where, inner = _place(chance, "run", "hookpoint"), _place(chance, "run", "hookpoint")
    n, without = chance.choice((3, 10)), chance.random() < 0.5
    by = ["run", "hookpoint", "latent"]
    sql = f"""
        select run, hookpoint, latent, count(*) as n, min(position) as first
        from activations
        where {where.sql} and (run, hookpoint, latent) {"not in" if without else "in"} (
            select (run, hookpoint, latent) from latents where {inner.sql}
            order by n_activations desc, run, hookpoint, latent limit {n}
        )
        group by all
    """
    order = ["n_activations", *by]

    def rows(of: Frames) -> pl.DataFrame:
        kept = of["latents"].filter(inner.polars).sort(order, descending=[True] + [False] * 3)
        how: Callable[..., pl.DataFrame] = of["activations"].filter(where.polars).join
        return (
            how(kept.head(n).select(by), on=by, how="anti" if without else "semi")
            .group_by(by)
            .agg(n=pl.len(), first=pl.col("position").min())
        )

    return Drawn("anti join" if without else "semi join", sql, rows)


def _everything_left(chance: random.Random) -> Drawn:
    """All latents, with windows where there are any: outer joins with places without rows."""
    where, inner = _place(chance, "run", "hookpoint"), _place(chance, "selection", "run")
    by = ["run", "hookpoint", "latent"]
    sql = f"""
        select l.run, l.hookpoint, l.latent, coalesce(n, 0) as n, strongest
        from (from latents where {where.sql}) l
        left join (
            select run, hookpoint, latent, count(*) as n, max(max_activation) as strongest
            from examples where {inner.sql} group by all
        ) using (run, hookpoint, latent)
    """
    return Drawn(
        "left join",
        sql,
        lambda of: (
            of["latents"]
            .filter(where.polars)
            .join(
                of["examples"]
                .filter(inner.polars)
                .group_by(by)
                .agg(n=pl.len(), strongest=pl.col("max_activation").max()),
                on=by,
                how="left",
            )
            .select(*by, pl.col("n").fill_null(0), "strongest")
        ),
    )


def _two_runs(chance: random.Random) -> Drawn:
    """The same latent in two runs, at a hookpoint."""
    where, n = _place(chance, "hookpoint"), chance.choice((4, 25))
    on = ["hookpoint", "latent"]
    sql = f"""
        select t.hookpoint, t.latent, t.n_activations, o.n_activations as other
        from (
            from latents where run = 'one' and {where.sql}
            order by n_activations desc, hookpoint, latent limit {n}
        ) t
        join (from latents where run = 'two') o using (hookpoint, latent)
    """
    return Drawn(
        "limit, then join of two runs",
        sql,
        lambda of: (
            of["latents"]
            .filter(where.polars, pl.col("run") == "one")
            .sort("n_activations", *on, descending=[True, False, False])
            .head(n)
            .join(of["latents"].filter(pl.col("run") == "two"), on=on, suffix="_of_two")
            .select(*on, "n_activations", other="n_activations_of_two")
        ),
    )


def _windows_of_strongest(chance: random.Random) -> Drawn:
    """Windows of the busiest latents in three tables, a page of them."""
    where, n, skipped = (
        _place(chance, "run", "selection"),
        chance.choice((5, 50)),
        chance.choice((0, 3)),
    )
    by = ["run", "hookpoint", "latent"]
    order = ["max_activation", "run", "hookpoint", "selection", "latent", "example"]
    sql = f"""
        select e.run, e.hookpoint, e.selection, e.latent, e.example, l.n_windows, c.shard
        from examples e
        join latents l using (run, hookpoint, latent)
        join contexts c on c.run = e.run and c.context = e.position // 32
        where {where.sql.replace("run in", "e.run in")} and e.split = 'test'
        order by e.max_activation desc, e.run, e.hookpoint, e.selection, e.latent, e.example
        limit {n} offset {skipped}
    """
    return Drawn(
        "join of three, then limit",
        sql,
        lambda of: (
            of["examples"]
            .filter(where.polars, pl.col("split") == "test")
            .join(of["latents"].select(*by, "n_windows"), on=by)
            .with_columns(context=pl.col("position") // 32)
            .join(of["contexts"].select("run", "context", "shard"), on=["run", "context"])
            .sort(order, descending=[True] + [False] * 5)
            .slice(skipped, n)
            .select("run", "hookpoint", "selection", "latent", "example", "n_windows", "shard")
        ),
    )


def _rates(chance: random.Random) -> Drawn:
    """Rates of answers by place and scorer, with the number of latents behind them."""
    where = _place(chance, "run", "hookpoint", "selection")
    by = ["run", "hookpoint", "selection", "scorer", "control"]
    sql = f"""
        select
            run, hookpoint, selection, scorer, control,
            count(*) as n, count(distinct latent) as n_latents,
            count(*) filter (where prediction = truth) as n_right
        from predictions where {where.sql}
        group by all
    """
    return Drawn(
        "aggregates",
        sql,
        lambda of: (
            of["predictions"]
            .filter(where.polars)
            .group_by(by)
            .agg(
                n=pl.len(),
                n_latents=pl.col("latent").n_unique(),
                n_right=(pl.col("prediction") == pl.col("truth")).sum(),
            )
        ),
    )


_SHAPES: tuple[Callable[[random.Random], Drawn], ...] = (
    _strongest_with_contexts,
    _strongest_of_each,
    _last_of_each,
    _share_of_maximum,
    _counted_and_joined,
    _among,
    _everything_left,
    _two_runs,
    _windows_of_strongest,
    _rates,
)


def shapes(drawn: list[Drawn]) -> Iterator[str]:
    """The shapes that were drawn, each once, in order."""
    yield from dict.fromkeys(one.shape for one in drawn)
