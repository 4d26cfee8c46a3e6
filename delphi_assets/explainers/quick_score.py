"""A quick score of a text: detection on a few train windows that its prompt did not show.

In: a latent's record of train windows, then a text. Out: the record without some windows, and a
`QuickScore` of each text on those.

1. Windows are held out of the prompt by a hash of seed, latent and window: `quick_windows` in which
   the latent fires, at most half of them, and as many in which it is silent; where the prompt shows
   silent windows, at most half of those too. Test windows play no part.
2. The judge is the scorer `detection` with the explainer's model. It is asked one question a text,
   about all windows held out.
3. The score is balanced accuracy: the mean of the shares of firing and of silent windows that the
   judge tells rightly. There is none where its answer cannot be read, or one kind is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from delphi_assets.explainers.explainer import Ask, AskedExplainer
from delphi_assets.explainers.terms import Terms
from delphi_assets.reading.records import Example, LatentRecord
from delphi_assets.scorers import registry
from delphi_assets.scorers.work import scorer as scorers
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import order_of
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.settings import ScoreSettings


class QuickScore(NamedTuple):
    """Balanced accuracy of one text, the completion it comes from, and what went wrong."""

    score: float | None
    request: str | None
    failure: str | None


@dataclass(frozen=True)
class HeldOut:
    """A latent's windows, parted into those for the prompt and those for the quick score."""

    shown: LatentRecord
    judged: LatentRecord
    """The windows held out, as test windows."""


def hold_out(record: LatentRecord, explainer: AskedExplainer, terms: Terms) -> HeldOut:
    """Part the record's windows for `explainer`; see above."""
    active, silent = record.train, record.train_non_activating
    most_silent = len(silent)
    if explainer.needs_non_activating(terms.settings):
        most_silent //= 2
    judged = [
        *_first(active, len(active) // 2, record.latent, terms),
        *_first(silent, most_silent, record.latent, terms),
    ]
    kept = {example.example for example in judged}
    return HeldOut(
        LatentRecord(record.latent, [e for e in record.examples if e.example not in kept]),
        LatentRecord(record.latent, [replace(example, split="test") for example in judged]),
    )


def _first(examples: Sequence[Example], most: int, latent: int, terms: Terms) -> list[Example]:
    """Up to `quick_windows` examples, at most `most`, in the order of a hash."""
    ordered = sorted(
        examples, key=lambda one: order_of(terms.seed, latent, "held out", one.position)
    )
    return ordered[: min(terms.settings.quick_windows, most)]


async def quick_score(text: str, judged: LatentRecord, terms: Terms, ask: Ask) -> QuickScore:
    """The quick score of a text on the windows of `judged`."""
    if not (judged.test and judged.non_activating):
        return QuickScore(None, None, None)
    detection = _detection(terms)
    judge = detection.judge
    assert isinstance(judge, scorers.Asked)
    settings = terms.settings
    explained = Explained(
        judged.latent, "quick", settings.candidates_by, settings.explainer_model, None, text
    )
    items = detection.items(judged, explained)
    reply = await ask(
        replace(judge.request(explained, items), role="explainer"),
        lambda completion: judge.read(completion, items),
        _failure,
    )
    right = [
        (item.truth, answer.prediction == item.truth)
        for item, answer in zip(items, reply.result, strict=True)
        if answer.failure is None
    ]
    return QuickScore(_balanced_accuracy(right), reply.completion.request, _failure(reply.result))


def _failure(answers: Sequence[scorers.Answer]) -> str | None:
    return next((answer.failure for answer in answers if answer.failure is not None), None)


def _balanced_accuracy(right: Sequence[tuple[bool, bool]]) -> float | None:
    """Of (truth, told rightly); None where one truth has no answer."""
    shares = []
    for truth in (True, False):
        told = [is_right for is_truth, is_right in right if is_truth == truth]
        if not told:
            return None
        shares.append(sum(told) / len(told))
    return sum(shares) / 2


def _detection(terms: Terms) -> scorers.Scorer[Any]:
    settings = ScoreSettings(
        scorers=("detection",),
        scorer_model=terms.settings.explainer_model,
        num_examples_per_scorer_prompt=2 * terms.settings.quick_windows,
    )
    scoring = Scoring(
        terms.profile,
        terms.lake,
        terms.hookpoint,
        terms.selection,
        settings,
        terms.prompts.version,
    )
    return registry.make("detection", scoring)
