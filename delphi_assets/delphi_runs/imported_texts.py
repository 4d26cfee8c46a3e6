"""Explanations and scores of a checked Delphi run, as the tables explanations and predictions.

In: a `Source`. Out: rows in both tables, as far as they are not there. Rows are `texts`'; files
are read and rows written a few hundred files at a time.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa
from tqdm import tqdm

from delphi_assets.database import connect, query
from delphi_assets.delphi_runs import texts
from delphi_assets.delphi_runs.layout import LatentFile
from delphi_assets.delphi_runs.source import Source
from delphi_assets.lake import Lake
from delphi_assets.llm.rows import Row
from delphi_assets.schema import EXPLANATIONS, PREDICTIONS, Table

_FILES_AT_ONCE = 512


class TextCounts(NamedTuple):
    """How many imported rows the lake has."""

    explanations: int
    failed_explanations: int
    predictions: int


def write_texts(lake: Lake, source: Source, run: str) -> TextCounts:
    """Write explanations and predictions that are not there; returns how many there are of each."""
    parts = [
        _Hookpoint(lake, source, run, held.cached.hookpoint).write() for held in source.hookpoints
    ]
    return TextCounts(*(sum(counts) for counts in zip(*parts, strict=True)))


class _Hookpoint(NamedTuple):
    """One hookpoint's texts on their way into the lake."""

    lake: Lake
    source: Source
    run: str
    hookpoint: str

    def write(self) -> TextCounts:
        explained = self._write_explanations()
        predictions = sum(
            self._write_predictions(scorer, explained) for scorer in self.source.delphi.scores
        )
        failed = sum(
            row["failure"] is not None and row["selection"] == texts.DELPHI
            for row in self._stored("explanations/outcomes")
        )
        return TextCounts(len(explained), failed, predictions)

    def _write_explanations(self) -> dict[int, str]:
        """Write the explanations that are not there; returns the ids of all, by latent."""
        there = {row["explanation_id"] for row in self._stored("explanations/outcomes")}
        model, explained = self.source.model, {}
        for files in self._some(self.source.delphi.explanations, "explanations"):
            rows: list[Row] = []
            for file in files:
                text = texts.read_explanation(file)
                identity = texts.explanation_id(self.run, file, text, model)
                explained[file.latent] = identity
                if identity not in there:
                    rows.append(texts.explanation_row(identity, file, text, model))
            self._append(EXPLANATIONS, rows)
        return explained

    def _write_predictions(self, scorer: str, explained: dict[int, str]) -> int:
        """Write the scorer's answers that are not there; returns how many there are in all."""
        model, count = self.source.model, 0
        settled = self._stored("predictions/settled", selection=texts.DELPHI, model=model)
        there = {row["explanation_id"] for row in settled if row["scorer"] == scorer}
        for files in self._some(self.source.delphi.scores[scorer], scorer):
            rows: list[Row] = []
            for file in files:
                answers, identity = texts.read_answers(file), explained[file.latent]
                count += len(answers)
                if identity not in there:
                    rows += texts.prediction_rows(identity, file, scorer, model, answers)
            self._append(PREDICTIONS, rows)
        return count

    def _some(self, files: tuple[LatentFile, ...], what: str) -> Iterator[list[LatentFile]]:
        """The files about this hookpoint, some at a time."""
        mine = [file for file in files if file.hookpoint == self.hookpoint]
        stream = iter(tqdm(mine, desc=f"{what} {self.hookpoint}", unit="file"))
        while some := list(islice(stream, _FILES_AT_ONCE)):
            yield some

    def _stored(self, statement: str, **parameters: str) -> list[dict[str, Any]]:
        with connect(self.lake) as con:
            rows = query(con, statement, run=self.run, hookpoint=self.hookpoint, **parameters)
        found: list[dict[str, Any]] = rows.to_pylist()
        return found

    def _append(self, table: Table, rows: list[Row]) -> None:
        """Add rows; columns that a row leaves out are null."""
        keys = {"run": self.run, "hookpoint": self.hookpoint}
        self.lake.append(table, keys, pa.Table.from_pylist(rows, schema=table.arrow))
