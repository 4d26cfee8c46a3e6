"""Does a scorer give a true description a higher score than one that is wrong in a known way?

    python -m benchmarks truth LAKE --run planted [--scorers embedding] [--latents 60]

1. Of the planted latents that have windows, those of a kind in turn, each kind by a hash of its
   latents, up to `--latents`.
2. Each relation of the table planted (true, parent, child, sibling, a condition missing or too
   many, another latent's) is an explainer whose texts are the first description of that relation.
3. Every scorer judges each of them on the same test windows, and the empty text. What is in the
   lake is not asked again, so a run that was stopped goes on.
4. Tell for each scorer and relation the share of latents whose true description is scored higher,
   ties half, with Wilson's 95% interval (`sql/analysis/true_above_wrong.sql`).

`--judge` is a LiteLLM model for the scorers that ask one, such as detection.
"""

import argparse
from collections import defaultdict
from typing import Any

import duckdb

import delphi_assets as da
from benchmarks.parts.record import Measured, Number
from delphi_assets import connect, query
from delphi_assets.latent_ranges import as_text

HOOKPOINT = "planted"

ELIGIBLE = """
    select planted.latent, planted.kind
    from planted
    inner join eligibility using (run, hookpoint, latent)
    where
        run = $run and hookpoint = $hookpoint and selection = $selection
        and relation = 'true' and code = 'eligible' and kind <> 'random'
    order by
        row_number() over (partition by kind order by md5(name)),
        kind
    limit $latents
"""
TEXTS = """
    select relation, latent, text
    from planted
    where run = $run and hookpoint = $hookpoint and number = 1 and relation <> 'empty'
    order by relation, latent
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The lake and its planted run, and who judges how many."""
    parser.add_argument("lake")
    parser.add_argument("--run", default="planted")
    parser.add_argument("--selection", default="default")
    parser.add_argument("--latents", type=int, default=60)
    parser.add_argument("--scorers", nargs="+", default=["embedding"])
    parser.add_argument("--judge", default="lexical")


def measure(given: argparse.Namespace) -> Measured:
    """Explain, score and compare."""
    place = {"run": given.run, "hookpoint": HOOKPOINT}
    with connect(given.lake) as con:
        latents = _latents(con, {**place, "selection": given.selection, "latents": given.latents})
        texts = _texts(con, place, set(latents))
    hookpoint = da.Hookpoint(given.lake, given.run, HOOKPOINT, given.selection)
    for relation, of_relation in texts.items():
        name = f"planted_{relation}"
        da.register_explainer(name, of_relation)
        asked = as_text(sorted(of_relation))
        hookpoint.explain(asked, explainer=name)
        controls = ("empty",) if relation == "true" else ()
        hookpoint.score(
            asked,
            explainer=name,
            scorers=tuple(given.scorers),
            scorer_model=given.judge,
            controls=controls,
        )
    with connect(given.lake) as con:
        rows = query(con, "analysis/true_above_wrong", **place).to_pylist()
    return Measured(_numbers(rows, given.scorers), shown={"by kind": _by_kind(rows, given.scorers)})


def _latents(con: duckdb.DuckDBPyConnection, named: dict[str, Any]) -> list[int]:
    return [row[0] for row in con.execute(ELIGIBLE, named).fetchall()]


def _texts(
    con: duckdb.DuckDBPyConnection, place: dict[str, str], latents: set[int]
) -> dict[str, dict[int, str]]:
    """Descriptions by relation and latent."""
    texts: dict[str, dict[int, str]] = defaultdict(dict)
    for relation, latent, text in con.execute(TEXTS, place).fetchall():
        if latent in latents:
            texts[relation][latent] = text
    return dict(texts)


def _numbers(rows: list[dict[str, Any]], scorers: list[str]) -> dict[str, Number]:
    return {
        f"{row['scorer']}, {row['judge']}: true above {row['relation']}: {name}": Number(
            value, unit
        )
        for row in rows
        if row["kind"] is None and row["scorer"] in scorers
        for name, value, unit in (
            ("share", round(row["share"], 3), "of the latents"),
            ("from", round(row["share_low"], 3), "of the latents"),
            ("to", round(row["share_high"], 3), "of the latents"),
            ("latents", row["n_latents"], "latents"),
        )
    }


def _by_kind(rows: list[dict[str, Any]], scorers: list[str]) -> dict[str, dict[str, float]]:
    """Shares of each scorer and relation, by kind."""
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row["kind"] is not None and row["scorer"] in scorers:
            shares[f"{row['scorer']}, {row['relation']}"][row["kind"]] = round(row["share"], 2)
    return dict(shares)
