"""The list of latents: columns of numbers and texts, a file for `PIECE` latents each.

In: what is known of latents, range by range (`described`). Out, for a piece:

    numbers/<piece>        latents, densities, activations, states; columns of scores with floors;
                           labels that are numbers
    tokens/<piece>         top tokens; labels that are texts
    texts/<set>/<piece>    one explanation a latent

A *set* is the explanations by one explainer and model from one selection: the list shows one set at
a time. Of several explanations of a latent in a set (another prompt) the last one is shown, with
its scores. A *column* is one scorer and judge, asked in one way, of one set; scorers that judge
without an explanation are columns of every set of their selection. Of the labels that users gave,
the `_LABELS` that most latents have are columns.

Files hold plain lists with an entry a latent; a column that few latents have lists which (`at`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import duckdb

from delphi_assets.explorer.described import LatentRows, Row
from delphi_assets.explorer.site_folder import HookpointPlace
from delphi_assets.lake.database import query
from delphi_assets.reading.in_words import in_words
from delphi_assets.reading.label_columns import LabelColumn, LabelColumns
from delphi_assets.reading.rendering import visible

STATES = ("dead", "rare", "waiting", "failed", "explained", "scored")
"""How far a latent got, see `sql/explorer/latents.sql`."""

_TOP_TOKENS = 5
_LABELS = 20
_NUMBERS = ("latent", "token_density", "strongest_activation")
_KINDS = ("own", "shuffled", "empty")
_NO_EXPLAINER = "none"


class Set(NamedTuple):
    """Explanations by one explainer and model from one selection."""

    selection: str
    explainer: str
    explainer_model: str
    n_latents: int


class ScoreColumn(NamedTuple):
    """Scores of a set by one scorer and judge, asked in one way; `metric` is what is shown."""

    set: int
    scorer: str
    judge: str
    judge_hash: str
    metric: str | None


_Held = dict[int, Row]
"""Rows by the place of their latent in the piece."""


class Listing:
    """The list of latents of a place, as it is gathered; pieces are forgotten once given."""

    def __init__(self, con: duckdb.DuckDBPyConnection, place: HookpointPlace) -> None:
        sets = query(con, "explorer/sets", **place._asdict()).to_pylist()
        self.sets = [Set(**row) for row in sets]
        self.columns = list(_columns(self.sets, query(con, "explorer/scorers").to_pylist()))
        self.labels = _most_common(LabelColumns(con, *place).columns)
        self.states: Counter[str] = Counter()
        self._start()

    @property
    def n_latents(self) -> int:
        """Latents in the list so far."""
        return self.states.total()

    def add(self, described: LatentRows) -> None:
        """Take in the next latents."""
        for row in described.latents:
            at = len(self._rows)
            self._rows.append(row)
            self.states[row["state"]] += 1
            explanations = described.explanations.get(row["latent"], [])
            for explanation in explanations:
                if explanation["shown"]:
                    self._texts[self._set_of(explanation)][at] = explanation
            shown = {one["explanation_id"] for one in explanations if one["shown"]}
            for score in described.scores.get(row["latent"], []):
                if score["explainer"] == _NO_EXPLAINER or score["explanation_id"] in shown:
                    for number in self._columns_of(score):
                        self._scores[number][at] = score
            for label in described.labels.get(row["latent"], []):
                self._labels[label["source"], label["name"]][at] = label

    def files(self, piece: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Keys and contents of a piece's files; the next piece starts empty."""
        n_rows = len(self._rows)
        columns = [_scores(self._scores[number], n_rows) for number in range(len(self.columns))]
        numbers = {name: [row[name] for row in self._rows] for name in _NUMBERS}
        states = [STATES.index(row["state"]) for row in self._rows]
        labels = {
            are_numbers: [
                _labels(self._labels[one.source, one.name], n_rows, are_numbers)
                for one in self.labels
                if one.are_numbers is are_numbers
            ]
            for are_numbers in (True, False)
        }
        shown = {"states": states, "columns": columns, "labels": labels[True]}
        yield f"numbers/{piece}", {**numbers, **shown}
        tokens = [list(map(visible, (row["top_tokens"] or [])[:_TOP_TOKENS])) for row in self._rows]
        yield f"tokens/{piece}", {"tokens": tokens, "labels": labels[False]}
        for number in range(len(self.sets)):
            yield f"texts/{number}/{piece}", _texts(self._texts[number], n_rows)
        self._start()

    def _start(self) -> None:
        self._rows: list[Row] = []
        self._texts: dict[int, _Held] = defaultdict(dict)
        self._scores: dict[int, _Held] = defaultdict(dict)
        self._labels: dict[tuple[str, str], _Held] = defaultdict(dict)

    def _set_of(self, explanation: Row) -> int:
        wanted = tuple(explanation[name] for name in Set._fields[:3])
        return next(number for number, one in enumerate(self.sets) if one[:3] == wanted)

    def _columns_of(self, score: Row) -> Iterator[int]:
        """Columns that show a score: one, or without an explanation one of every set."""
        asked = (score["scorer"], score["judge"], score["judge_hash"])
        for number, column in enumerate(self.columns):
            if column[1:4] == asked and _is_of(score, self.sets[column.set]):
                yield number


def one_line(text: str) -> str:
    """A text of several lines on one; characters that would move or turn it are shown."""
    return "; ".join(visible(line) for line in text.splitlines() if line.strip())


def _columns(sets: list[Set], scorers: list[Row]) -> Iterator[ScoreColumn]:
    for number, of in enumerate(sets):
        for row in scorers:
            if _is_of(row, of):
                yield ScoreColumn(
                    number, row["scorer"], row["judge"], row["judge_hash"], row["metric"]
                )


def _is_of(score: Row, of: Set) -> bool:
    """Whether a score belongs to a set: its own, or judged without an explanation."""
    return bool(
        score["selection"] == of.selection
        and (
            (score["explainer"], score["explainer_model"]) == (of.explainer, of.explainer_model)
            or score["explainer"] == _NO_EXPLAINER
        )
    )


def _at(held: _Held, n_rows: int) -> list[int] | None:
    return None if len(held) == n_rows else list(held)


def _scores(held: _Held, n_rows: int) -> Mapping[str, Any]:
    kinds = {kind: [row[kind] for row in held.values()] for kind in _KINDS}
    return {"at": _at(held, n_rows)} | {
        kind: values for kind, values in kinds.items() if any(one is not None for one in values)
    }


def _most_common(labels: list[LabelColumn]) -> list[LabelColumn]:
    """The labels that most latents have, in order of source and name."""
    kept = set(sorted(labels, key=lambda one: (-one.n_latents, one))[:_LABELS])
    return [one for one in labels if one in kept]


def _labels(held: _Held, n_rows: int, are_numbers: bool) -> Mapping[str, Any]:
    values = [
        _whole(one["number"]) if are_numbers else one_line(one["value"]) for one in held.values()
    ]
    return {"at": _at(held, n_rows), "values": values}


def _whole(number: float) -> float | int:
    """A number, whole where it is: the number of a cluster keeps all its digits."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _texts(held: _Held, n_rows: int) -> Mapping[str, Any]:
    texts = [in_words(one["explanation"] or one["failure"] or "") for one in held.values()]
    failed = [at for at, one in held.items() if one["explanation"] is None]
    return {"at": _at(held, n_rows), "texts": list(map(one_line, texts)), "failed": failed}
