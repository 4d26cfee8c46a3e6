"""Answers to a question as rows of the table predictions."""

from collections.abc import Sequence
from datetime import UTC, datetime

from delphi_assets.errors import DataError
from delphi_assets.lake.growing_tables import Row
from delphi_assets.scorers.work.questions import Question
from delphi_assets.scorers.work.scorer import Answer
from delphi_assets.scorers.work.settled import key_of


def rows_of(
    question: Question, answers: Sequence[Answer], selection: str, request: str | None = None
) -> list[Row]:
    """Rows of the items that need one; `request` is the completion that the answers came from.

    Raises `DataError` when there is not one answer an item, or one activation a token.
    """
    name = question.task.scorer.name
    if len(answers) != len(question.items):
        raise DataError(
            f"the scorer {name!r} gave {len(answers)} answers to "
            f"{len(question.items)} items; expected one an item, in their order. Mend its judge."
        )
    for item, answer in zip(question.items, answers, strict=True):
        if answer.simulated is not None and len(answer.simulated) != len(item.str_tokens):
            raise DataError(
                f"the scorer {name!r} gave {len(answer.simulated)} activations to a window of "
                f"{len(item.str_tokens)} tokens; expected one a token, in their order. Mend its "
                "judge."
            )
    prompts = question.task.scorer.prompts
    version = prompts.version if prompts else None
    identity, now = key_of(question.task)._asdict(), datetime.now(UTC)
    return [
        {
            **identity,
            "selection": selection,
            "example": item.example,
            "variant": item.variant,
            "truth": item.truth,
            "quantile": item.quantile,
            "chance": item.chance,
            "prediction": answer.prediction,
            "probability": answer.probability,
            "value": answer.value,
            "simulated": answer.simulated,
            "failure": answer.failure,
            "request": request,
            "prompt_version": version,
            "written_at": now,
        }
        for item, answer, is_missing in zip(question.items, answers, question.missing, strict=True)
        if is_missing
    ]
