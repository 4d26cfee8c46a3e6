"""Cards: what a judge's answers about planted latents come to, a row of the table judges a way.

In: a bench whose questions were asked, and what was said of the strong LLM's windows. Out: rows.

Of a list that came with log-probabilities there are two cards, one that ranks windows by them and
one by yes and no: the second is that of a profile without `log_prob`, whose answers are the same.

Best for the money is, of the ways of a scorer whose AUROC is not below the lower end of the best
one's interval, the one that costs least a window: in dollars where prices are known, else in
seconds. Of equal ones the one with the higher AUROC.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from delphi_assets.lake import compaction, database
from delphi_assets.lake.growing_tables import Row
from delphi_assets.lake.schema import JUDGES
from delphi_assets.runs.calibration.planted_windows import Bench
from delphi_assets.runs.calibration.ways import Way
from delphi_assets.scorers.work.explained import unexplained

_NOT_COMPARED: Row = {
    column.name: 0 if column.name == "n_strong" else None
    for column in JUDGES.columns
    if column.name.removeprefix("n_").startswith("strong")
}
"""Columns that tell of the strong LLM, where it was not asked about."""


def card(bench: Bench, scorer: str, asked: Way, described: Way) -> Row | None:
    """The card of one way, from answers that were asked for in this one or another.

    None where nothing was asked.
    """
    judge, of_way = bench.scorer(scorer, asked), bench.scorer(scorer, described)
    with database.connect(bench.lake, up_to_date=False) as con:
        [told] = database.query(
            con,
            "judges/card",
            **bench.keys,
            selection=bench.selection,
            scorer=judge.name,
            judge=judge.judge.model,
            judge_hash=judge.hash_for(unexplained(0)),
            by_log_prob=described.log_prob,
        ).to_pylist()
    if not told["n_answers"]:
        return None
    return {
        "planted_run": bench.run,
        "scorer": judge.name,
        "judge": judge.judge.model,
        "judge_hash": of_way.hash_for(unexplained(0)),
        "answer": described.answer,
        "n_windows_asked": described.size,
        "log_prob": described.log_prob,
        **told,
        **_NOT_COMPARED,
        "selection": bench.selection,
        "written_at": datetime.now(UTC),
        "generation": None,
    }


def with_agreement(told: Row, agreed: Mapping[bool, Mapping[str, Any]]) -> Row:
    """A card with what is known of the strong LLM, by whether log-probabilities count."""
    return {**told, **agreed.get(bool(told["log_prob"]), {})}


def best_of(cards: Sequence[Row]) -> Row | None:
    """Of the cards of one scorer, that of the way that is best for the money."""
    known = [one for one in cards if one["auroc"] is not None and one["auroc_low"] is not None]
    if not known:
        return None
    least = _number(max(known, key=lambda one: _number(one, "auroc")), "auroc_low")
    return min((one for one in known if _number(one, "auroc") >= least), key=_cost)


def _cost(one: Row) -> tuple[float, float, float]:
    """Dollars, then seconds a window; then the AUROC, the highest first."""
    names = ("dollars", "seconds", "auroc", "n_answers")
    dollars, seconds, auroc, n = (_number(one, name) for name in names)
    return dollars / n, 0.0 if dollars else seconds / n, -auroc


def _number(one: Row, name: str) -> float:
    """A column; 0 for null."""
    return float(str(one[name] or 0))


def write_cards(bench: Bench, run: str, cards: Sequence[Row]) -> list[Row]:
    """Store the cards under the run whose judge it is; returns them, the best ones marked."""
    best = [
        best_of([one for one in cards if one["scorer"] == scorer])
        for scorer in dict.fromkeys(one["scorer"] for one in cards)
    ]
    marked = [{**one, "best": any(one is other for other in best)} for one in cards]
    bench.lake.append(JUDGES, {"run": run}, JUDGES.from_rows(marked))
    compaction.compact(bench.lake, JUDGES, {"run": run}, compaction.MANY_AT_REST)
    return marked
