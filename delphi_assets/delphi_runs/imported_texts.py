"""Explanations and scores of a checked Delphi run, as the tables explanations and predictions.

In: a `Source`. Out: rows in both tables, as far as they are not there. Rows are `texts`'; files
are read and rows written a few hundred files at a time.

1. Answers that the lake has on these explanations must be those of the files (`check_texts`).
2. An explanation is written unless it is the last one of its latent: a text that was changed and
   changed back becomes the last again.
3. A score file is written unless the lake has answers of its scorer on the explanation.
4. What there is then is counted in the lake, of each latent its last explanation.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from delphi_assets.delphi_runs import texts
from delphi_assets.delphi_runs.layout import LatentFile
from delphi_assets.delphi_runs.source import Source
from delphi_assets.errors import ConflictError
from delphi_assets.ground.batches import batches
from delphi_assets.ground.progress import with_bar
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.growing_tables import Row
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import EXPLANATIONS, PREDICTIONS, Table
from delphi_assets.lake.score_keeping import keep_up

_FILES_AT_ONCE = 512


class TextCounts(NamedTuple):
    """How many imported rows the lake has."""

    explanations: int
    failed_explanations: int
    predictions: int


def check_texts(lake: Lake, source: Source, run: str) -> None:
    """Raise `ConflictError` naming a score file whose answers are not those in the lake."""
    if lake.exists(PREDICTIONS.name):
        for held in source.hookpoints:
            _Hookpoint(lake, source, run, held.cached.hookpoint).check()


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

    def check(self) -> None:
        explained = {
            file.latent: self._identity(file, texts.read_explanation(file))
            for files in self._some(self.source.delphi.explanations, "compare explanations")
            for file in files
        }
        for scorer, scores in self.source.delphi.scores.items():
            for files in self._some(scores, f"compare {scorer}"):
                stored = self._answers(scorer, files)
                for file in files:
                    there = stored.get(explained[file.latent])
                    if there is not None and there != texts.read_answers(file):
                        raise ConflictError(
                            f"{file.path} holds other answers than run {self.run!r} of the lake "
                            f"({len(there)} there); import them under another name (--run), or "
                            "restore the file."
                        )

    def write(self) -> TextCounts:
        explained = self._write_explanations()
        for scorer in self.source.delphi.scores:
            self._write_predictions(scorer, explained)
        keep_up(self.lake, self.run, self.hookpoint)
        last = self._last_explanations()
        failed = sum(row["failure"] is not None for row in last.values())
        counts = self._stored("delphi/imported_counts")
        predictions = sum(row["n_answers"] for row in counts if row["explanation_id"] in last)
        return TextCounts(len(last), failed, predictions)

    def _write_explanations(self) -> dict[int, str]:
        """Write the explanations that are not there; returns the ids of all, by latent."""
        there, explained = self._last_explanations(), {}
        for files in self._some(self.source.delphi.explanations, "explanations"):
            rows: list[Row] = []
            for file in files:
                text = texts.read_explanation(file)
                identity = explained[file.latent] = self._identity(file, text)
                if identity not in there:
                    rows.append(texts.explanation_row(identity, file, text, self.source.model))
            self._append(EXPLANATIONS, rows)
        return explained

    def _write_predictions(self, scorer: str, explained: dict[int, str]) -> None:
        """Write the scorer's answers that are not there."""
        counts = self._stored("delphi/imported_counts")
        there = {row["explanation_id"] for row in counts if row["scorer"] == scorer}
        for files in self._some(self.source.delphi.scores[scorer], scorer):
            rows: list[Row] = []
            for file in files:
                identity = explained[file.latent]
                if identity not in there:
                    answers, model = texts.read_answers(file), self.source.model
                    rows += texts.prediction_rows(identity, file, scorer, model, answers)
            self._append(PREDICTIONS, rows)

    def _identity(self, file: LatentFile, text: str) -> str:
        return texts.explanation_id(self.run, file, text, self.source.model)

    def _last_explanations(self) -> dict[str, dict[str, Any]]:
        """The last imported explanation of every latent, by its id."""
        made_by = {
            "selection": texts.DELPHI,
            "explainer": texts.DELPHI,
            "explainer_model": self.source.model,
        }
        rows = self._stored("delphi/explanations", **made_by)
        return {row["explanation_id"]: row for row in rows}

    def _answers(self, scorer: str, files: list[LatentFile]) -> dict[str, list[texts.DelphiAnswer]]:
        """The scorer's answers in the lake about the latents of `files`, by explanation."""
        latents = {"first": files[0].latent, "last": files[-1].latent + 1}
        found: dict[str, list[texts.DelphiAnswer]] = {}
        for row in self._stored("delphi/imported_answers", scorer=scorer, **latents):
            answer = texts.DelphiAnswer(
                row["truth"], row["prediction"], row["probability"], row["quantile"]
            )
            found.setdefault(row["explanation_id"], []).append(answer)
        return found

    def _some(self, files: tuple[LatentFile, ...], what: str) -> Iterator[list[LatentFile]]:
        """The files about this hookpoint, some at a time, in order of latent."""
        mine = [file for file in files if file.hookpoint == self.hookpoint]
        yield from batches(
            with_bar(mine, desc=f"{what} {self.hookpoint}", unit="file"), _FILES_AT_ONCE
        )

    def _stored(self, statement: str, **parameters: str | int) -> list[dict[str, Any]]:
        with connect(self.lake) as con:
            rows = query(con, statement, run=self.run, hookpoint=self.hookpoint, **parameters)
        found: list[dict[str, Any]] = rows.to_pylist()
        return found

    def _append(self, table: Table, rows: list[Row]) -> None:
        """Add rows; columns that a row leaves out are null."""
        keys = {"run": self.run, "hookpoint": self.hookpoint}
        self.lake.append(table, keys, pa.Table.from_pylist(rows, schema=table.arrow))
