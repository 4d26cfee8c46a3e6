"""What a run prints: a line per stage, tables of a hookpoint's results, what to try next.

In: the lake, read through `sql/analysis/`, and what the stages said of themselves. Out: plain text.
"""

import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from delphi_assets.ground.columns import in_columns
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.place import Place, RunPlace
from delphi_assets.reading.in_words import in_words
from delphi_assets.runs.order import Outcome
from delphi_assets.scorers.kept_scores import keep_influences, keep_scores
from delphi_assets.scorers.recall_by_strength import recall_curves
from delphi_assets.settings import PROFILE_VARIABLE, profile_path, usual_profile

FEW_TOKENS = 2
"""A latent fires on few distinct tokens when this many carry 80% of its activation mass."""
SHOWN = 5
_TEXT, _WIDTH = 74, 110
_SUMMED_UP = ("balanced_accuracy", "mass_explained", "auroc", "correlation")


def stage_line(outcome: Outcome) -> str:
    """One stage: rows there, rows added, wall time, checks of the data, the stage's own facts."""
    added = f"{outcome.new_rows:,} new" if outcome.new_rows else "nothing new"
    checks = f", {outcome.checks}" if outcome.checks else ""
    first = f"  {outcome.rows:,} rows, {added}, {outcome.seconds:.1f} s{checks}"
    return "\n".join([first, *_wrapped(", ".join(facts_of(outcome.facts)))])


def facts_of(facts: Mapping[str, object]) -> list[str]:
    """The stage's own facts as `name value`."""
    return [
        f"{name.replace('_', ' ')} {_cell(value)}"
        for name, value in facts.items()
        if name != FINGERPRINT and isinstance(value, int | float | str) and _short(value)
    ]


def of_hookpoint(place: Place, coder: Mapping[str, object]) -> str:
    """The results of one hookpoint: coder, latents, scores, best and worst explanations."""
    with connect(place.lake) as con:
        # Without, each of the statements that follow reads every answer again.
        keep_scores(con, place.run, place.hookpoint)
        keep_influences(con, place.run, place.hookpoint)
        (census,) = query(con, "analysis/latent_census", **place.keys).to_pylist()
        parts = [
            f"\n=== {place.hookpoint} ===",
            *_wrapped("coder: " + (", ".join(facts_of(coder)) or "no facts"), indent=""),
            f"latents: {census['n_latents']:,}, of these live {census['n_live']:,}, "
            f"explainable {census['n_explainable']:,}, explained {census['n_explained']:,}, "
            f"scored {census['n_scored']:,}",
            "\nmean scores with a latent's own explanation and, as a floor, with another latent's",
            _scores(con, place),
            *_by_strength(con, place),
        ]
        for title, statement in (("best", "best_explained"), ("worst", "worst_explained")):
            parts.append(f"\n{title} explained by detection (balanced accuracy)")
            parts.append(_explanations(con, statement, place))
        if place.profile.explain.explainer_model != "lexical":
            parts += _of_llm(con, place)
    return "\n".join(parts)


def _of_llm(con: duckdb.DuckDBPyConnection, place: Place) -> list[str]:
    """What the profile's LLM came to on the latents that it explained, beside other explainers."""
    model, parts = place.profile.explain.explainer_model, list[str]()
    for scorer in place.profile.score.scorers:
        asked = {**place.keys, "scorer": scorer, "model": model}
        found = query(con, "analysis/explainers_side_by_side", **asked).to_pylist()
        rows = [row for row in found if row["metric"] in _SUMMED_UP]
        if not rows:
            continue
        lines = [
            (
                row["explainer_model"],
                row["judge"],
                row["metric"],
                row["n_latents"],
                row["n_texts"],
                row["own"],
                row["shuffled"],
                row["above_shuffled"],
                _interval(row["above_shuffled_low"], row["above_shuffled_high"]),
            )
            for row in rows
        ]
        heading = (
            "explainer",
            "judge",
            "metric",
            "scored",
            "texts",
            "own",
            "shuffled",
            "above it",
            "95% interval",
        )
        parts += [f"\n{scorer} on the latents that {model} explained", grid(heading, lines)]
        parts += [_verdict(row) for row in rows if row["explainer_model"] == model]
    return [*parts, *_judges(con, place)]


def _judges(con: duckdb.DuckDBPyConnection, place: Place) -> list[str]:
    """What is known of the LLM that judged, by its card (`delphi-assets calibrate`)."""
    found = query(con, "analysis/scores_beside_cards", **place.keys).to_pylist()
    judge = place.profile.score.scorer_model
    cards = {
        (row["scorer"], row["judge_hash"], row["planted_run"]): row
        for row in found
        if row["judge"] == judge and row["verdict"] is not None
    }
    return [_card(row) for row in cards.values()]


def _card(row: Mapping[str, object]) -> str:
    by = f"  {row['judge']} as judge of {row['scorer']}: {row['verdict']}"
    auroc, low, high = row["judge_auroc"], row["judge_auroc_low"], row["judge_auroc_high"]
    if not (isinstance(auroc, float) and isinstance(low, float) and isinstance(high, float)):
        return f"{by}; `delphi-assets calibrate` asks it about latents that are known."
    return f"{by} (AUROC {auroc:.2f}, {low:.2f} to {high:.2f}, on {row['planted_run']})."


def _verdict(row: Mapping[str, object]) -> str:
    """What a row says, in words; nobody can tell a bad explanation from a judge that knows none."""
    by = f"  {row['explainer_model']}, judged by {row['judge']}, {row['metric']}:"
    low, high = row["above_shuffled_low"], row["above_shuffled_high"]
    if not isinstance(low, float) or not isinstance(high, float):
        return f"{by} too few latents with a floor for an interval."
    if low > 0:
        return f"{by} above the floor: explanations tell their latents from others."
    below = "below the floor" if high < 0 else "not told from the floor"
    return f"{by} {below}: explanations or judge are at fault, and the score does not say which."


def _scores(con: duckdb.DuckDBPyConnection, place: Place) -> str:
    lines: list[Sequence[object]] = []
    for population, most in (("all", None), (f"<= {FEW_TOKENS} tokens", FEW_TOKENS)):
        found = query(
            con, "analysis/own_against_floors", **place.keys, most_tokens=most
        ).to_pylist()
        # Accuracy is the metric of scorers that pick, which have none of the others.
        ranking = {row["scorer"] for row in found if row["metric"] in _SUMMED_UP}
        lines += [
            (
                population,
                row["scorer"],
                row["explainer_model"],
                row["judge"],
                row["metric"],
                row["n_latents"],
                row["own"],
                row["shuffled"],
                row["above_shuffled"],
                _interval(row["above_shuffled_low"], row["above_shuffled_high"]),
            )
            for row in found
            if row["metric"] in _SUMMED_UP
            or (row["metric"] == "accuracy" and row["scorer"] not in ranking)
        ]
    heading = (
        "latents",
        "scorer",
        "explainer",
        "judge",
        "metric",
        "scored",
        "own",
        "shuffled",
        "above it",
        "95% interval",
    )
    return grid(heading, lines)


def _by_strength(con: duckdb.DuckDBPyConnection, place: Place) -> list[str]:
    """What own explanations find in each rank bin, and what they claim of silent windows."""
    curves = [
        curve
        for curve in recall_curves(con, place.run, place.hookpoint)
        if (curve.selection, curve.control) == (place.profile.selection.name, "none")
    ]
    if not curves:
        return []
    n_bins = 1 + max(bin.quantile for curve in curves for bin in curve.found)
    lines = []
    for curve in curves:
        shares = {bin.quantile: bin.share for bin in curve.found}
        by = (curve.scorer, curve.explainer_model, curve.judge, curve.n_latents)
        lines.append((*by, *(shares.get(number) for number in range(n_bins)), curve.claimed))
    bins = ["strongest", *(str(number) for number in range(2, n_bins)), "weakest"][:n_bins]
    heading = ("scorer", "explainer", "judge", "scored", *bins, "silent")
    title = "share of windows that a latent's own explanation finds, by how strongly it fires there"
    return [f"\n{title}", grid(heading, lines)]


def _interval(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _explanations(con: duckdb.DuckDBPyConnection, statement: str, place: Place) -> str:
    asked = {**place.keys, "scorer": "detection", "n_rows": SHOWN}
    found = query(con, f"analysis/{statement}", **asked)
    lines = [
        (
            row["latent"],
            row["balanced_accuracy"],
            repr(row["top_token"]),
            row["top_token_share"],
            _cut(in_words(row["explanation"])),
        )
        for row in found.to_pylist()
    ]
    return grid(("latent", "score", "top token", "share", "explanation"), lines)


def what_next(place: RunPlace, file: Path) -> str:
    """Commands to go on with; each works as it stands. `file` holds the profile."""
    programs = ".venv/bin/" if Path(".venv/bin/delphi-assets").is_file() else ""
    ui = "make ui" if Path("Makefile").is_file() else "dagster dev -m dagster_project.definitions"
    lake, hookpoint = place.lake.location(""), place.profile.cache.hookpoints[0]
    usual = file == profile_path(usual_profile())
    setting = "" if usual else f"export {PROFILE_VARIABLE}={shlex.quote(str(file))}\n    "
    return f"""
What to try next
  The Dagster UI on the same assets:
    {setting}{ui}
  A site with a page for every latent:
    {programs}delphi-assets report {shlex.quote(lake)} -o site
  The tables in SQL, in a shell:
    {programs}delphi-assets sql {shlex.quote(lake)}
  A researcher's query; --list shows all of them with their parameters:
    {programs}delphi-assets sql {shlex.quote(lake)} --analysis best_explained \\
        --param run={place.run} --param hookpoint={hookpoint}
  The tables in Python:
    from delphi_assets import connect
    connect({lake!r}).sql("from scores join latents using (run, hookpoint, latent)").show()
  Explain latents with an LLM, then score the stored explanations, each one launch
  (any LiteLLM model; its key from the environment):
    {setting}export OPENROUTER_API_KEY=... DAGSTER_HOME=$PWD/.dagster
    {programs}dg launch --job explain --partition {hookpoint} --config-json '{{"ops":
      {{"explanations": {{"config": {{"latents": "0-4", "explainer": "default",
      "explainer_model": "openrouter/anthropic/claude-3.5-sonnet"}}}}}}}}'
    {programs}dg launch --job score --partition {hookpoint} --config-json '{{"ops":
      {{"predictions": {{"config": {{"latents": "0-2", "explainer": "default",
      "scorer_model": "openrouter/anthropic/claude-3.5-sonnet"}}}}}}}}'
"""


def grid(heading: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Rows in columns, numbers to the right."""
    cells = [list(heading), *([_cell(value) for value in line] for line in lines)]
    numeric = [
        all(isinstance(line[column], int | float | None) for line in lines)
        for column in range(len(heading))
    ]
    shown = in_columns(cells, numeric, heading=1, terminal=sys.stdout.isatty())
    return "\n".join(f"  {line}" for line in shown)


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent="  ", break_on_hyphens=False
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _short(value: object) -> bool:
    return not isinstance(value, str) or len(value) <= _TEXT


def _cut(text: str | None) -> str:
    # White space inside a token means something; only the line ends have to go.
    flat = (text or "").replace("\n", "; ")
    return flat if len(flat) <= _TEXT else flat[: _TEXT - 1] + "…"
