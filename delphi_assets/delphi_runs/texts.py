"""Explanations and scores of a Delphi run: its text files, as rows of the lake's tables.

Delphi's files do not say who explained from which windows, so the rows' explainer, selection,
prompt and judge are all named `delphi`. A judged window is named by its place in its file: Delphi
does not store where in the corpus it lies, so the rows have no window in the table examples.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from delphi_assets.delphi_runs.layout import UNPARSED, LatentFile
from delphi_assets.errors import DataError
from delphi_assets.ground.foreign_json import parse_json
from delphi_assets.ground.foreign_text import clean_text
from delphi_assets.lake.growing_tables import Row
from delphi_assets.llm.calls import failures

DELPHI = "delphi"
"""Explainer, selection, prompt and judge of imported rows."""

LEFT_OUT = "str_tokens and activations of judged windows, distances of those not activating"
"""What score files hold that has no column to go to."""


class DelphiAnswer(NamedTuple):
    """A scorer's answer on one window; without prediction where it could not be parsed."""

    activating: bool
    prediction: bool | None
    probability: float | None
    quantile: int | None


def read_explanation(file: LatentFile) -> str:
    """The text in an explanation file, half characters replaced.

    Raises `DataError` when it is no JSON string.
    """
    text = _read(file)
    if not isinstance(text, str):
        raise DataError(f"{file.path} holds a JSON {type(text).__name__}; expected a string.")
    return clean_text(text)


def read_answers(file: LatentFile) -> list[DelphiAnswer]:
    """The answers in a score file; raises `DataError` when it is no list of Delphi's objects."""
    items = _read(file)
    if not isinstance(items, list):
        raise DataError(f"{file.path} holds a JSON {type(items).__name__}; expected a list.")
    return [_answer(file, place, item) for place, item in enumerate(items)]


def explanation_id(run: str, file: LatentFile, text: str, model: str) -> str:
    """Hash of run, latent, explainer and text: another text is another explanation."""
    made_by = [run, file.hookpoint, file.latent, DELPHI, model, text]
    return hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:32]


def explanation_row(identity: str, file: LatentFile, text: str, model: str) -> Row:
    """A row of the table explanations; a failure where Delphi could not parse the answer."""
    failed = text == UNPARSED
    return {
        "explanation_id": identity,
        "latent": file.latent,
        "selection": DELPHI,
        "explainer": DELPHI,
        "explainer_model": model,
        "chosen": True,
        "explanation": None if failed else text,
        "failure": failures.UNPARSEABLE if failed else None,
        "prompt_hash": DELPHI,
        "written_at": datetime.now(UTC),
    }


def prediction_rows(
    identity: str, file: LatentFile, scorer: str, model: str, answers: list[DelphiAnswer]
) -> list[Row]:
    """Rows of the table predictions, one an answer."""
    return [
        {
            "explanation_id": identity,
            "latent": file.latent,
            "selection": DELPHI,
            "scorer": scorer,
            "judge": model,
            "judge_hash": DELPHI,
            "control": "none",
            "example": place,
            "variant": _variant(scorer, answer),
            "truth": answer.activating,
            "prediction": answer.prediction,
            "probability": answer.probability,
            "quantile": answer.quantile,
            "failure": failures.UNPARSEABLE if answer.prediction is None else None,
            "written_at": datetime.now(UTC),
        }
        for place, answer in enumerate(answers)
    ]


def _variant(scorer: str, answer: DelphiAnswer) -> str:
    if scorer == "detection":
        return "plain"
    return "true" if answer.activating else "false"


def _read(file: LatentFile) -> Any:
    try:
        return parse_json(file.path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{file.path} is not readable JSON ({error}); restore it.") from error


def _answer(file: LatentFile, place: int, item: Any) -> DelphiAnswer:
    held = item if isinstance(item, dict) else {}
    activating, prediction = held.get("activating"), held.get("prediction")
    probability, distance = held.get("probability"), held.get("distance")
    right = (
        isinstance(activating, bool)
        and prediction in (None, False, True)
        and (probability is None or (isinstance(probability, int | float) and _share(probability)))
        and (distance is None or (isinstance(distance, int | float) and _countable(distance)))
    )
    if not right:
        raise DataError(
            f"{file.path} has item {place} with activating = {activating!r}, prediction = "
            f"{prediction!r}, probability = {probability!r}, distance = {distance!r}; expected "
            "true or false, the same or null, 0 to 1 or null, and a number of 32 bits or null."
        )
    return DelphiAnswer(
        activating=bool(activating),
        prediction=None if prediction is None else bool(prediction),
        probability=None if probability is None or prediction is None else float(probability),
        quantile=int(distance) if activating and distance is not None and distance >= 0 else None,
    )


def _share(probability: float) -> bool:
    return 0 <= probability <= 1


def _countable(distance: float) -> bool:
    """Whether the whole part fits the column quantile; that of infinity and NaN does not."""
    return -(1 << 31) <= distance < 1 << 31
