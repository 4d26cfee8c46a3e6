"""The best of k: an explainer is asked k times for the same latent, and the best text is chosen.

In: the train windows of a latent, activating and not. Out: k candidates, each with its text or
failure and its `quick_score`, one of them chosen.

1. Some windows are held out (`quick_score`); the explainer `candidates_by` makes its question of
   the others.
2. The question is asked k times at `candidate_temperature`, each time as another sample, so that
   each answer is stored and paid for on its own.
3. Every text gets a quick score on the windows held out.
4. The highest score is chosen, of equal ones the first; a text without a score comes last. Nothing
   is chosen while a question waits for an answer that the next run may get (a time-out, a busy
   server), so that the choice does not depend on the order of answers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeGuard

from delphi_assets.explainers import registry
from delphi_assets.explainers.answers import ReadExplanation
from delphi_assets.explainers.explainer import Ask, AskedExplainer, Candidate, Explainer
from delphi_assets.explainers.quick_score import QuickScore, hold_out, quick_score
from delphi_assets.explainers.terms import Terms
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.reading.records import LatentRecord
from delphi_assets.settings import ExplainSettings


class BestOfKExplainer(AskedExplainer):
    """See above."""

    def needs_non_activating(self, settings: ExplainSettings) -> bool:
        """The quick score does."""
        return True

    def problem(self, settings: ExplainSettings) -> str | None:
        """The candidates have to come from an LLM."""
        if _writes_candidates(registry.make(settings.candidates_by, settings.options)):
            return None
        return (
            f"explain.candidates_by = {settings.candidates_by!r} does not ask an LLM for one "
            "explanation; expected an explainer such as 'default' or 'contrastive'"
        )

    def candidates(self, settings: ExplainSettings) -> Sequence[int | None]:
        """As many as asked for."""
        return range(settings.k)

    def messages(self, record: LatentRecord, terms: Terms) -> tuple[Message, ...]:
        """What the explainer shows of the windows that are not held out."""
        return self.request(record, terms).messages

    def request(self, record: LatentRecord, terms: Terms) -> Request:
        """The question, as the first candidate's sample."""
        by = _asked(terms.settings)
        shown = hold_out(record, by, terms).shown
        request = by.request(shown, terms.by(terms.settings.candidates_by))
        return replace(request, temperature=terms.settings.candidate_temperature, sample=0)

    def prompt_hash(self, terms: Terms) -> str:
        """That of the explainer that writes the candidates."""
        return _asked(terms.settings).prompt_hash(terms.by(terms.settings.candidates_by))

    def made_by(self, terms: Terms) -> Mapping[str, object]:
        """Who writes the candidates, how many there are, and what the choice hangs on."""
        settings = terms.settings
        made_by = _asked(settings).made_by(terms.by(settings.candidates_by))
        told = registry.options_told(settings.candidates_by, settings.options)
        return {
            **made_by,
            "candidates_by": settings.candidates_by,
            **({"candidates_options": told} if told else {}),
            "candidate_temperature": settings.candidate_temperature,
            "k": settings.k,
            "quick_windows": settings.quick_windows,
            "seed": terms.seed,
        }

    async def explain(self, record: LatentRecord, terms: Terms, ask: Ask) -> Sequence[Candidate]:
        """k candidates, in order."""
        by, question = _asked(terms.settings), self.request(record, terms)
        held_out = hold_out(record, by, terms)

        async def make(number: int) -> _Made:
            sample = replace(question, sample=number)
            reply = await ask(sample, by.read, ReadExplanation.failure_of)
            text, score = reply.result.text, QuickScore(None, None, None)
            if text is not None:
                score = await quick_score(text, held_out.judged, terms, ask)
            return _Made(reply.result, reply.completion, score)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(make(number)) for number in range(terms.settings.k)]
        made = [task.result() for task in tasks]
        best = _best(made)
        return [
            Candidate(
                explanation=one.explanation,
                n_examples=len(held_out.shown.train),
                completion=one.completion,
                number=number,
                quick_score=one.quick.score,
                quick_request=one.quick.request,
                chosen=number == best,
            )
            for number, one in enumerate(made)
        ]


class _Made(NamedTuple):
    """A candidate before the choice."""

    explanation: ReadExplanation
    completion: Completion
    quick: QuickScore

    @property
    def waits(self) -> bool:
        """Whether the next run may get what is missing."""
        return not {self.explanation.failure, self.quick.failure}.isdisjoint(failures.RETRYABLE)


def _best(made: Sequence[_Made]) -> int | None:
    """Number of the best text; None without a text, or while one waits."""
    with_text = [number for number, one in enumerate(made) if one.explanation.text is not None]
    if not with_text or any(one.waits for one in made):
        return None

    def rank(number: int) -> float:
        score = made[number].quick.score
        return -1.0 if score is None else score

    return max(with_text, key=rank)


def _writes_candidates(explainer: Explainer) -> TypeGuard[AskedExplainer]:
    return isinstance(explainer, AskedExplainer) and not isinstance(explainer, BestOfKExplainer)


def _asked(settings: ExplainSettings) -> AskedExplainer:
    """The explainer that writes the candidates."""
    found = registry.make(settings.candidates_by, settings.options)
    assert _writes_candidates(found), "other settings are refused"
    return found


BEST_OF_K = BestOfKExplainer()
