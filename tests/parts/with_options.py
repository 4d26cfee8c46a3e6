"""Scorers with options of their own, right and wrong ones."""

from typing import Any

from pydantic import Field, model_validator

from delphi_assets.scorers.detection import detection
from delphi_assets.scorers.work.scorer import Scorer
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.settings import Options


class Picky(Options):
    """Options of `picky`."""

    least: int = Field(1, ge=0, description="letters of a word")
    words: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _words_are_long_enough(self) -> "Picky":
        if any(len(word) > 9 for word in self.words):
            raise ValueError("expected words of at most 9 letters")
        return self


class Needing(Options):
    """Options of `needing`."""

    what: str = Field(description="what it needs")


def picky(scoring: Scoring, options: Picky) -> Scorer[Any]:
    """Takes options that have defaults."""
    return detection(scoring)


def needing(scoring: Scoring, options: Needing) -> Scorer[Any]:
    """Takes an option that has to be given."""
    return detection(scoring)


# The missing annotation is the fault that is to be found.
def untyped(scoring: Scoring, options) -> Scorer[Any]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Does not say which options it takes."""
    return detection(scoring)


def nothing(scoring: Scoring) -> None:
    """Is no scorer."""
