"""Explanations and predictions of a run, as Delphi's text files.

In: the tables explanations, predictions and examples of a hookpoint. Out: `explanations` and
`scores/<scorer>`, a file a latent.

1. An explanation is a file, a failure of the explainer Delphi's sentence for one. Delphi's layout
   has room for one explanation of a latent, so of several one kind must be chosen (`Chosen`).
   Those that differ in nothing to choose by, as after a change of prompt or a second import, are
   one kind: the one written last is exported.
2. A score file lists the windows that its explanation was judged on; of several ways to ask one
   judge, the answers to the last. Windows that are not in the lake, as an import's, are written
   without tokens.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from delphi_assets.delphi_runs.layout import UNPARSED
from delphi_assets.errors import SettingError
from delphi_assets.lake.database import query

_LATENTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Chosen:
    """Which explanations and judges to export; None where there is nothing to choose from."""

    selection: str | None = None
    explainer: str | None = None
    explainer_model: str | None = None
    scorer_model: str | None = None


@dataclass(frozen=True)
class HookpointTexts:
    """One hookpoint's texts; `folder` is that of the whole run."""

    con: duckdb.DuckDBPyConnection
    run: str
    hookpoint: str
    num_latents: int
    folder: Path
    chosen: Chosen

    def write_explanations(self) -> set[str]:
        """Write explanation files; returns the ids of what they hold.

        Raises `SettingError` when a latent has several to choose from.
        """
        rows = query(
            self.con,
            "delphi/explanations",
            run=self.run,
            hookpoint=self.hookpoint,
            selection=self.chosen.selection,
            explainer=self.chosen.explainer,
            explainer_model=self.chosen.explainer_model,
        ).to_pylist()
        folder, ids = self.folder / "explanations", set()
        for latent, group in groupby(rows, key=lambda row: int(row["latent"])):
            held = list(group)
            self._only_one(held, ("selection", "explainer", "explainer_model"))
            (row,) = held
            text = UNPARSED if row["explanation"] is None else row["explanation"]
            _write_json(folder / self._name(latent), text)
            ids.add(row["explanation_id"])
        return ids

    def write_scores(self, ids: set[str]) -> int:
        """Write score files of these explanations; returns the predictions in them.

        Raises `SettingError` when an explanation has several judges to choose from.
        """
        written = 0
        for row in self._latent_scores():
            mine = [item for item in row if item["explanation_id"] in ids]
            if not mine:
                continue
            self._only_one(mine, ("judge",))
            path = self.folder / "scores" / mine[0]["scorer"] / self._name(mine[0]["latent"])
            _write_json(path, [_item(item) for item in mine])
            written += len(mine)
        return written

    def _latent_scores(self) -> Iterator[list[dict[str, Any]]]:
        """Predictions of a latent by a scorer, one latent and scorer after the other."""
        for first in range(0, self.num_latents, _LATENTS_AT_ONCE):
            rows = query(
                self.con,
                "delphi/predictions",
                run=self.run,
                hookpoint=self.hookpoint,
                first=first,
                last=first + _LATENTS_AT_ONCE,
                judge=self.chosen.scorer_model,
            ).to_pylist()
            for _, group in groupby(rows, key=lambda row: (row["latent"], row["scorer"])):
                yield list(group)

    def _only_one(self, rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
        """Refuse rows of a latent that differ in what makes them: Delphi has one file for all."""
        kinds = sorted({tuple(str(row[name]) for name in names) for row in rows})
        if len(kinds) > 1:
            shown = "; ".join(
                ", ".join(f"{name} = {value!r}" for name, value in zip(names, kind, strict=True))
                for kind in kinds
            )
            raise SettingError(
                f"latent {rows[0]['latent']} of {self.hookpoint!r} has {len(kinds)} answers to "
                f"choose from, but Delphi's layout has room for one: {shown}. Choose with "
                "--selection, --explainer, --explainer-model or --scorer-model."
            )

    def _name(self, latent: int) -> str:
        return f"{self.hookpoint}_latent{latent}.txt"


def _item(row: dict[str, Any]) -> dict[str, Any]:
    """A window as Delphi's score files hold it."""
    truth, prediction, quantile = row["truth"], row["prediction"], row["quantile"]
    return {
        "str_tokens": row["str_tokens"] or [],
        "activations": row["activations"] or [],
        "distance": quantile if truth and quantile is not None else -1,
        "activating": truth,
        "prediction": prediction,
        "probability": row["probability"],
        "correct": None if prediction is None else prediction == truth,
    }


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
