"""Texts that a computed explainer makes, written as they are made.

In: an explainer and records of latents. Out: rows of the table explanations, `CHUNK` latents a
file; a latent without a text is a row too, and named in the log.
"""

import logging
from collections.abc import Callable, Iterable

from delphi_assets.explainers.answers import ReadExplanation
from delphi_assets.explainers.explainer import Candidate, ComputedExplainer, NoTextError
from delphi_assets.explainers.outcomes import Outcomes
from delphi_assets.explainers.terms import Terms
from delphi_assets.ground.batches import batches
from delphi_assets.ground.progress import Bar
from delphi_assets.ground.shown_values import few
from delphi_assets.lake.growing_tables import fitted
from delphi_assets.lake.schema import EXPLANATIONS
from delphi_assets.llm.calls import failures
from delphi_assets.reading.records import LatentRecord

CHUNK = 64
"""Latents whose explanations share a file."""

log = logging.getLogger(__name__)


def compute(
    explainer: ComputedExplainer,
    terms: Terms,
    outcomes: Outcomes,
    records: Iterable[LatentRecord],
    bar: Bar,
) -> int:
    """Make and write the texts of latents; returns the number of rows that were news.

    Raises what the explainer raises; what it made before is written.
    """
    text_of, written = explainer.open(terms), 0
    lacking: dict[int, str] = {}
    for chunk in batches(records, CHUNK):
        made: dict[int, Candidate] = {}
        try:
            for record in chunk:
                made[record.latent] = _computed(record, text_of, lacking)
        finally:
            written += _write(terms, outcomes, made)
        bar.fail(sum(candidate.explanation.text is None for candidate in made.values()))
        bar.update(len(chunk))
    if lacking:
        log.warning(
            "explainer %r has no text for %s (%s)",
            terms.settings.explainer,
            few("latent", list(lacking)),
            next(iter(lacking.values())),
        )
    return written


def _computed(
    record: LatentRecord, text_of: Callable[[LatentRecord], str], lacking: dict[int, str]
) -> Candidate:
    """The candidate of a latent; one without a text is added to `lacking` with the reason."""
    try:
        text = text_of(record)
    except NoTextError as error:
        lacking[record.latent] = str(error)
        explanation = ReadExplanation(None, failures.NO_TEXT)
    else:
        is_empty = not text.strip()
        explanation = ReadExplanation(
            None if is_empty else text, failures.EMPTY if is_empty else None
        )
    return Candidate(explanation, len(record.train))


def _write(terms: Terms, outcomes: Outcomes, made: dict[int, Candidate]) -> int:
    rows = [row for latent, one in made.items() for row in outcomes.news(latent, [one])]
    terms.lake.append(EXPLANATIONS, terms.keys, fitted(EXPLANATIONS, rows).arrow)
    return len(rows)
