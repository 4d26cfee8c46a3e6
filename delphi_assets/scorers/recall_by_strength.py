"""Recall by strength: of the windows in which latents fire, how many are found in each rank bin?

In: a connection, a run and a hookpoint. Out: a `RecallCurve` for each explainer, scorer, judge and
control, over all latents that were judged.

1. Shares of right answers by rank bin come from `analysis/right_answers_by_quantile`.
2. Of windows in which the latent fires, a right answer is one that was found; of the others, a
   wrong one is one that is claimed.
3. Scorers that pick one of several, or give a number, find no windows: they have no curve.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import duckdb

from delphi_assets.lake.database import query

_SUBJECT = (
    "selection", "explainer", "explainer_model", "scorer", "judge", "judge_hash", "control",
)  # fmt: skip


class Found(NamedTuple):
    """What was found of a rank bin; the interval, of 95%, is null with one latent."""

    quantile: int
    """0 the strongest."""
    share: float
    low: float | None
    high: float | None


class RecallCurve(NamedTuple):
    """What explanations find at each strength."""

    selection: str
    explainer: str
    explainer_model: str
    scorer: str
    judge: str
    judge_hash: str
    control: str
    n_latents: int
    found: tuple[Found, ...]
    """By rank bin, the strongest first."""
    claimed: float | None
    """Share of the false items that are claimed, such as silent windows; null without any."""


def recall_curves(con: duckdb.DuckDBPyConnection, run: str, hookpoint: str) -> list[RecallCurve]:
    """The curves of a hookpoint, in the order of their first seven fields."""
    rows = query(con, "analysis/right_answers_by_quantile", run=run, hookpoint=hookpoint)
    subject = itemgetter(*_SUBJECT)
    said = [row for row in rows.to_pylist() if row["chance"] is None and row["n_answers"]]
    by_subject = groupby(sorted(said, key=subject), key=subject)
    return [curve for _, of in by_subject if (curve := _curve(list(of))).found]


def _curve(rows: list[Mapping[str, Any]]) -> RecallCurve:
    bins = [row for row in rows if row["truth"] and row["quantile"] is not None]
    found = (
        Found(row["quantile"], row["share_right"], row["share_right_low"], row["share_right_high"])
        for row in sorted(bins, key=itemgetter("quantile"))
    )
    n_latents = max((row["n_latents"] for row in bins), default=0)
    claimed = _claimed(row for row in rows if not row["truth"])
    about: dict[str, Any] = {name: rows[0][name] for name in _SUBJECT}
    return RecallCurve(**about, n_latents=n_latents, found=tuple(found), claimed=claimed)


def _claimed(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """Over all bins: false marks in windows in which the latent fires have a rank bin too."""
    counted = [(row["n_answers"], 1 - row["share_right"]) for row in rows]
    answers = sum(n for n, _ in counted)
    return sum(n * wrong for n, wrong in counted) / answers if answers else None
