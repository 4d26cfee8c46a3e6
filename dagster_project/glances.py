"""What the UI shows in place: it folds Markdown of 1,000 characters or more behind a link.

In: the rows that `plots` draws. Out: a line of blocks, or a small table of them; None where there
is nothing to show.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from dagster_project.markdown import sparkline
from dagster_project.plots import short
from delphi_assets.ground.stage import Fact

_CONTROLS = {"none": "own", "shuffled": "shuffled", "empty": "empty"}
"""What the controls are called here."""


def firing_densities(bins: pa.Table) -> str | None:
    """Latents by firing density, a block a quarter of a decade (`analysis/firing_densities`)."""
    live = {
        round(4 * row["log10_density"]): row["n_latents"]
        for row in bins.to_pylist()
        if row["log10_density"] is not None
    }
    if not live:
        return None
    first, last = min(live), max(live)
    blocks = sparkline([live.get(number, 0) for number in range(first, last + 1)])
    return f"{_percent(first)} of tokens {blocks} {_percent(last + 1)}"


def _percent(quarter_decades: int) -> str:
    return f"{100 * 10 ** (quarter_decades / 4):.2g}%"


def capture_rates(rates: Mapping[str, Sequence[float]]) -> str | None:
    """Tokens a second over the token shards, a block a shard, a hookpoint after the other."""
    lines = [
        f"{hookpoint} {sparkline(values)} {min(values):,.0f} to {max(values):,.0f}"
        for hookpoint, values in rates.items()
        if values
    ]
    return "; ".join(lines) or None


def scores(bins: pa.Table) -> dg.TableMetadataValue | None:
    """A row a scorer and judge: mean scores with the floors beside them, and the spread of own.

    The blocks of the spread go from 0 to 1, 0.05 each, without correlations below 0
    (`ui/score_distributions`).
    """
    kinds = _by_control(bins)
    records = []
    for scorer, judge, metric in dict.fromkeys(key[:3] for key in kinds):
        means_of = {
            control: f"{kinds[scorer, judge, metric, control][0]['mean']:.3f}"
            for control in _CONTROLS
            if (scorer, judge, metric, control) in kinds
        }
        counts = {
            round(20 * row["score_from"]): row["n_scores"]
            for row in kinds.get((scorer, judge, metric, "none"), [])
        }
        records.append(
            dg.TableRecord(
                {
                    "scorer": f"{scorer} by {short(judge)}, {metric.replace('_', ' ')}",
                    **{name: means_of.get(control, "") for control, name in _CONTROLS.items()},
                    "spread of own": sparkline([counts.get(at, 0) for at in range(21)]),
                }
            )
        )
    return dg.MetadataValue.table(records) if records else None


def means(bins: pa.Table) -> dict[str, Fact]:
    """The same means as numbers, which the UI draws over time."""
    return {
        f"{scorer} {_CONTROLS.get(control, control)}, by {short(judge)}": round(rows[0]["mean"], 4)
        for (scorer, judge, _, control), rows in _by_control(bins).items()
    }


def _by_control(bins: pa.Table) -> dict[tuple[str, str, str, str], list[dict[str, Any]]]:
    """Rows with a score by scorer, judge, metric and control, own explanations first."""
    found: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for row in bins.to_pylist():
        if row["score_from"] is not None:
            key = (row["scorer"], row["judge"], row["metric"], row["control"])
            found.setdefault(key, []).append(row)
    order = sorted(found, key=lambda key: (*key[:3], key[3] != "none", key[3]))
    return {key: found[key] for key in order}
