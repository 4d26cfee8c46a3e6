"""What exports read: the latents of a hookpoint, a range at a time, with their best explanations.

In: a lake, a run and a hookpoint, and by what the best explanation is chosen. Out: Arrow tables of
`sql/exports/`, explanations as a person reads them (`reading.in_words`). Memory is that of a range,
whatever the number of latents.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

import duckdb
import pyarrow as pa

from delphi_assets.errors import NotReadyError, SettingError
from delphi_assets.lake.database import Parameter, connect, execute, query
from delphi_assets.lake.lake import Lake
from delphi_assets.queries.parameters import completed
from delphi_assets.reading.in_words import in_words
from delphi_assets.reading.label_columns import LabelColumns

METRICS = ("balanced_accuracy", "mass_explained", "auroc", "auprc", "f1", "accuracy", "correlation")
"""Scores that can decide which explanation is the best: the higher the better."""


@dataclass(frozen=True)
class Best:
    """By what a latent's best explanation is chosen; see `sql/exports/best_explanations.sql`."""

    scorer: str = "detection"
    """Scorer whose score decides."""
    metric: str = "balanced_accuracy"
    """Score that decides, the highest wins: one of `METRICS`."""
    scorer_model: str | None = None
    """Judge whose score counts where several judged; None: the first by name."""
    selection: str | None = None
    """Only explanations of this selection; None: of all."""
    explainer: str | None = None
    """Only explanations of this explainer; None: of all."""
    explainer_model: str | None = None
    """Only explanations of this model; None: of all."""


class LatentBatch(NamedTuple):
    """Latents of a batch, half open."""

    number: int
    first: int
    last: int


class ScorerMetric(NamedTuple):
    """A scorer and the metric by which it is read."""

    scorer: str
    metric: str


class ExportedHookpoint:
    """One hookpoint, opened for reading, closed by `with`."""

    def __init__(
        self, lake: Lake, run: str | None, hookpoint: str | None, best: Best | None = None
    ) -> None:
        """`run` and `hookpoint` may be None where the lake holds one.

        Raises `SettingError` for an unknown or missing name, metric, or scorer, `NotReadyError`
        before latents were described.
        """
        self.best = best or Best()
        if self.best.metric not in METRICS:
            raise SettingError(
                f"metric {self.best.metric!r}; expected one of {', '.join(METRICS)}."
            )
        self.con: duckdb.DuckDBPyConnection = connect(lake)
        given = {"run": run, "hookpoint": hookpoint}
        named = {name: value for name, value in given.items() if value is not None}
        place = completed(self.con, frozenset(given), named)
        self.run, self.hookpoint = str(place["run"]), str(place["hookpoint"])
        self._place: dict[str, Parameter] = {"run": self.run, "hookpoint": self.hookpoint}
        (extent,) = query(self.con, "exports/extent", **self._place).to_pylist()
        self.num_latents: int = extent["num_latents"]
        self.described_at: datetime | None = extent["written_at"]
        if not self.num_latents:
            raise NotReadyError(
                f"{lake!r} holds no latents of run {self.run!r} at {self.hookpoint!r}; materialize "
                "the asset 'latents' first."
            )
        self.scorers = [
            ScorerMetric(**row)
            for row in query(self.con, "exports/scorers", **self._place).to_pylist()
        ]
        self._labels = LabelColumns(self.con, self.run, self.hookpoint)
        self._check_scorer()
        execute(self.con, "exports/best_explanations")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.con.close()

    def ranges(self, size: int) -> Iterator[LatentBatch]:
        """All latents, `size` at a time."""
        for number, first in enumerate(range(0, self.num_latents, size)):
            yield LatentBatch(number, first, min(first + size, self.num_latents))

    def latents(self, of: LatentBatch) -> pa.Table:
        """What is known of latents, with their best explanations: `sql/exports/latents.sql`."""
        return _readable(self._rows("latents", of, **vars(self.best)))

    def explanations(self, of: LatentBatch) -> pa.Table:
        """Their best explanations: `sql/exports/explanations.sql`."""
        return _readable(self._rows("explanations", of, **vars(self.best)))

    def scores(self, of: LatentBatch) -> pa.Table:
        """The scores of these, a row a scorer: `sql/exports/scores.sql`."""
        return self._rows(
            "scores",
            of,
            **vars(self.best),
            scorers=[scorer.scorer for scorer in self.scorers],
            metrics=[scorer.metric for scorer in self.scorers],
        )

    def with_labels(self, rows: pa.Table, of: LatentBatch) -> pa.Table:
        """Rows of latents of a range with what users said of them, as `source.name`."""
        return self._labels.beside(rows, of.first, of.last)

    def features(self, of: LatentBatch) -> pa.Table:
        """Statistics and neighbours of latents: `sql/exports/features.sql`."""
        return self._rows("features", of)

    def windows(self, of: LatentBatch, selection: str) -> pa.Table:
        """Windows in which latents fire: `sql/exports/windows.sql`."""
        return self._rows("windows", of, selection=selection)

    def _rows(self, name: str, of: LatentBatch, **parameters: Any) -> pa.Table:
        return query(
            self.con,
            f"exports/{name}",
            **self._place,
            first=of.first,
            last=of.last,
            **parameters,
        )

    def _check_scorer(self) -> None:
        there = [scorer.scorer for scorer in self.scorers]
        if there and self.best.scorer not in there:
            raise SettingError(
                f"nothing at {self.hookpoint!r} was judged by {self.best.scorer!r}; expected one "
                f"of {there}, to say which explanation of a latent is its best."
            )


def _readable(rows: pa.Table) -> pa.Table:
    """Rows with their explanations as a person reads them."""
    place = rows.schema.get_field_index("explanation")
    texts = [text and in_words(text) for text in rows["explanation"].to_pylist()]
    return rows.set_column(place, "explanation", pa.array(texts, pa.string()))
