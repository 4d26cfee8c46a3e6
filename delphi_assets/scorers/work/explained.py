"""Explanations as scorers see them, read from the table explanations."""

from typing import NamedTuple

from delphi_assets.caching.published import check_fires
from delphi_assets.errors import NotReadyError
from delphi_assets.scorers.work.scoring import Scoring

NO_EXPLANATION = "none"
"""The `explanation_id`, explainer and model of what is judged without an explanation."""


class Explained(NamedTuple):
    """A stored explanation, or an empty text in its place."""

    latent: int
    explanation_id: str
    explainer: str
    explainer_model: str
    prompt_hash: str | None
    explanation: str


def unexplained(latent: int) -> Explained:
    """In place of an explanation: for scorers that need none, and for the control `empty`."""
    return Explained(latent, NO_EXPLANATION, NO_EXPLANATION, NO_EXPLANATION, None, "")


def stored_explanations(scoring: Scoring, explainer: str) -> list[Explained]:
    """The stored explanations with a text, by `explainer` or by "all", in order of latent.

    The explainer "none" writes none of its own: all that is stored is meant.

    Raises `NotReadyError` when there are none, `DataError` where no latent fires.
    """
    named = None if explainer in ("all", "none") else explainer
    rows = scoring.query("predictions/explanations", explainer=named)
    if rows:
        return [Explained(**row) for row in rows]  # type: ignore[arg-type]
    by = f" by the explainer {named!r}" if named else ""
    reasons = scoring.query("predictions/failed_explanations", explainer=named)
    if not reasons:
        check_fires(scoring.hookpoint, scoring.lake.manifests("activations", **scoring.keys))
        raise NotReadyError(
            f"there is no explanation{by} of {scoring.where}; materialize the asset "
            "'explanations' first."
        )
    counts = [int(str(row["n_failed"])) for row in reasons]
    raise NotReadyError(
        f"all {sum(counts)} explanations{by} of {scoring.where} failed, {counts[0]} of them for "
        f"the reason {reasons[0]['failure']!r}; expected at least one with a text. Remove the "
        "cause (the table completions holds the answers) and materialize the asset 'explanations' "
        "again."
    )
