"""Which latents need no LLM, and how well does a label without one tell windows apart?

    python -m benchmarks routes LAKE [--run demo] [--hookpoint layers.9] [--share 0.8]

1. `sql/explanations/routes.sql` decides on a selection's latents, by the thresholds given.
2. Their labels are read literally by a reader without a model: a test window is one of the latent's
   where it holds a token that the label names; for the route position, the start of a context.
3. Tell for each route the number of latents, the balanced accuracy of that reader (mean over
   latents), and for comparison that of the lexical judge on the lexical explanations of the same
   latents, where they were scored.
4. Of a planted run, tell how many latents of each kind a route was found for.
"""

import argparse
from collections import Counter
from typing import Any, NamedTuple

import duckdb

from benchmarks.parts.record import Measured, Number
from delphi_assets import connect, query
from delphi_assets.lake.lake import Lake
from delphi_assets.settings import ExplainSettings

USUAL = ExplainSettings.model_fields

READ = """
    with told as (
        select
            latent,
            activating,
            case
                when route = 'position' then position % cache_ctx_len <= 1
                else list_has_any(
                    list_transform(str_tokens, lambda one: if(trim(one) = '', one, trim(one))),
                    list_transform(named, lambda one: if(trim(one) = '', one, trim(one)))
                )
            end as said
        from examples
        inner join routed using (latent)
        inner join runs using (run)
        where run = $run and hookpoint = $hookpoint and selection = $selection and split = 'test'
    )

    select
        latent,
        (avg(said::int) filter (activating) + 1 - avg(said::int) filter (not activating)) / 2
    from told
    group by latent
    having bool_or(activating) and not bool_and(activating)
"""
LEXICAL = """
    select latent, avg(balanced_accuracy)
    from scored_latents
    where
        run = $run and hookpoint = $hookpoint and selection = $selection
        and scorer = 'detection' and judge = 'lexical' and balanced_accuracy is not null
    group by latent
"""
EXPLAINABLE = """
    select latent from eligibility
    where
        run = $run and hookpoint = $hookpoint and selection = $selection and code = 'eligible'
"""
KINDS = """
    select latent, any_value(kind) from planted
    where run = $run and hookpoint = $hookpoint group by latent
"""


class Routed(NamedTuple):
    """A latent that needs no LLM."""

    latent: int
    route: str
    named: list[str]
    """Tokens that its label names."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The lake and its hookpoint, and the thresholds."""
    parser.add_argument("lake")
    parser.add_argument("--run", default="demo")
    parser.add_argument("--hookpoint", default="layers.9")
    parser.add_argument("--selection", default="default")
    for name in ("share", "recall", "density"):
        usual = USUAL[f"route_{name}"].default
        parser.add_argument(f"--{name}", type=float, default=usual)


def measure(given: argparse.Namespace) -> Measured:
    """Decide, read and compare."""
    place = {"run": given.run, "hookpoint": given.hookpoint}
    named = {**place, "selection": given.selection}
    with connect(given.lake) as con:
        routed = _routed(con, given, place)
        explainable = {row[0] for row in con.execute(EXPLAINABLE, named).fetchall()}
        read = _read(con, routed, named)
        lexical = dict(con.execute(LEXICAL, named).fetchall())
        kinds = dict(con.execute(KINDS, place).fetchall())
    numbers = {"latents that can be explained": Number(len(explainable), "latents")}
    for route, n_latents in sorted(Counter(one.route for one in routed).items()):
        mine = [one.latent for one in routed if one.route == route]
        numbers[f"{route}: latents"] = Number(n_latents, "latents")
        share = round(n_latents / len(explainable), 4)
        numbers[f"{route}: share"] = Number(share, "of those")
        numbers |= _means(route, mine, read, lexical)
    of_kind, found = Counter(kinds.values()), Counter(kinds.get(one.latent) for one in routed)
    shown = {kind: f"{found[kind]} of {n}" for kind, n in sorted(of_kind.items())}
    return Measured(numbers, shown={"planted latents with a route, by kind": shown})


def _routed(
    con: duckdb.DuckDBPyConnection, given: argparse.Namespace, place: dict[str, str]
) -> list[Routed]:
    files = Lake(given.lake).files("examples", **place, selection=given.selection)
    thresholds = {name: getattr(given, name) for name in ("share", "recall", "density")}
    span = {"first": 0, "last": 2**31 - 1}
    rows = query(con, "explanations/routes", **place, **span, files=files, **thresholds)
    return [
        Routed(
            row["latent"],
            row["route"],
            row["forms"][:1] if row["route"] == "token" else row["forms"],
        )
        for row in rows.to_pylist()
    ]


def _read(
    con: duckdb.DuckDBPyConnection, routed: list[Routed], named: dict[str, Any]
) -> dict[int, float]:
    con.execute("create temporary table routed (latent int, route varchar, named varchar[])")
    for one in routed:
        con.execute("insert into routed values ($latent, $route, $named)", one._asdict())
    return dict(con.execute(READ, named).fetchall())


def _means(
    route: str, latents: list[int], read: dict[int, float], lexical: dict[int, float]
) -> dict[str, Number]:
    """Balanced accuracies by route; what a label without a token says, no reader can look for."""
    if route == "dense":
        read = {}
    found = {"label read literally": read, "lexical judge": lexical}
    kept = {name: [of[one] for one in latents if one in of] for name, of in found.items()}
    return {
        f"{route}: {name}": Number(round(sum(values) / len(values), 3), "balanced accuracy")
        for name, values in kept.items()
        if values
    }
