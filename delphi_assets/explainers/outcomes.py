"""What is stored of a hookpoint's explanations, and which rows would be news.

In: the table explanations, an explainer and its terms. Out: which latents have a text, which
questions failed for good, and rows for candidates, without those that are there already.

An `explanation_id` is the hash of all that makes an explanation what it is: latent, selection,
explainer, model, prompt, the settings that count (`Explainer.made_by`), and which candidate it is.
Where the text counts (`Explainer.text_counts`), its hash is part of that, unless a row without it
failed or has the same text, as rows from before it was: so its answers are not paid for again.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from delphi_assets.explainers import registry
from delphi_assets.explainers.explainer import Candidate, Explainer
from delphi_assets.explainers.routes import ROUTES, Routed
from delphi_assets.explainers.terms import Terms
from delphi_assets.lake import database
from delphi_assets.lake.growing_tables import Row
from delphi_assets.latent_ranges import Latents
from delphi_assets.llm.calls import failures


class Outcome(NamedTuple):
    """What is stored for an explanation."""

    latent: int
    selection: str
    failure: str | None
    request: str | None
    quick_score: float | None
    chosen: bool
    text_hash: str | None
    no_pattern: bool
    generation: int
    routed_for: str | None
    """The explainer in whose place a route made it; None where none did."""
    route: str | None

    @property
    def has_text(self) -> bool:
        """Whether there is a text for the scorers."""
        return self.chosen and self.failure is None


class Outcomes:
    """The stored explanations of a hookpoint, as `explainer` sees them under `terms`."""

    def __init__(self, explainer: Explainer, terms: Terms) -> None:
        self._explainer, self._terms = explainer, terms
        self._stored = self._read()

    def __len__(self) -> int:
        """Explanations of the hookpoint, by whatever explainer."""
        return len(self._stored)

    @property
    def of_selection(self) -> list[Outcome]:
        """Those of the selection, by whatever explainer."""
        return [one for one in self._stored.values() if one.selection == self._terms.selection]

    def wanted(self, explainable: Sequence[int], latents: Latents) -> list[int]:
        """Of the latents that can be explained those that `latents` picks by what is stored."""
        if latents.failed:
            return [one for one in explainable if self.is_tried(one) and not self.has_text(one)]
        if latents.next is not None:
            return [one for one in explainable if not self.is_tried(one)][: latents.next]
        return list(explainable)

    def has_text(self, latent: int) -> bool:
        """Whether this explainer's text for the latent is there."""
        return any(outcome.has_text for outcome in self._of(latent))

    def is_routed(self, latent: int) -> bool:
        """Whether it has a label that a route made, by the settings."""
        return latent in self._by_route

    def says_none(self, latent: int) -> bool:
        """Whether this explainer's text for the latent says that there is no clear pattern."""
        return any(outcome.has_text and outcome.no_pattern for outcome in self._of(latent))

    def is_tried(self, latent: int) -> bool:
        """Whether a text, or a reason why there is none, is there."""
        return any(True for _ in self._of(latent))

    def is_settled(self, latent: int) -> bool:
        """Whether there is an outcome of every candidate that asking the same cannot change."""
        found = list(self._of(latent))
        return len(found) == len(self._numbers) and not any(
            one.failure in failures.OPEN for one in found
        )

    @cached_property
    def final(self) -> dict[str, str]:
        """Failures that asking again cannot mend, by request."""
        return {
            one.request: one.failure
            for one in self._stored.values()
            if one.request and one.failure and one.failure not in failures.OPEN
        }

    def news(self, latent: int, candidates: Sequence[Candidate]) -> list[Row]:
        """Rows of the candidates that say something else than is stored.

        Where the text counts, also of one that is stored and was written before another text.
        """
        if self._explainer.text_counts:
            (candidate,) = candidates
            return self._news_of_text(latent, candidate)
        return [
            self._row(identity, latent, candidate)
            for candidate in candidates
            if _differs(
                self._stored.get(identity := self._identity(latent, candidate.number)), candidate
            )
        ]

    def _news_of_text(self, latent: int, candidate: Candidate) -> list[Row]:
        text, texts = candidate.explanation.text, [one for one in self._of(latent) if one.has_text]
        if text is None and texts:
            # A text stays although there is none any more, as a success stays before a failure.
            return []
        identity = self._identity(latent, None, text and _hash(text))
        stored = self._stored.get(identity)
        is_last = stored and stored.generation == max(one.generation for one in texts or [stored])
        return (
            []
            if is_last and not _differs(stored, candidate)
            else [self._row(identity, latent, candidate)]
        )

    def _read(self) -> dict[str, Outcome]:
        with database.connect(self._terms.lake, up_to_date=False) as con:
            rows = database.query(con, "explanations/outcomes", **self._terms.keys).to_pylist()
        return {row.pop("explanation_id"): Outcome(**row) for row in rows}

    @cached_property
    def _numbers(self) -> tuple[int | None, ...]:
        return tuple(self._explainer.candidates(self._terms.settings))

    @cached_property
    def _model(self) -> str:
        settings = self._terms.settings
        return settings.explainer_model if self._explainer.needs_model else settings.explainer

    @cached_property
    def _prompt_hash(self) -> str:
        return self._explainer.prompt_hash(self._terms)

    @property
    def _prompt_version(self) -> int | None:
        return self._terms.prompts.version if self._explainer.needs_model else None

    @cached_property
    def _made_by(self) -> dict[str, object]:
        settings = self._terms.settings
        told = registry.options_told(settings.explainer, settings.options)
        return {
            "run": self._terms.run,
            "hookpoint": self._terms.hookpoint,
            "selection": self._terms.selection,
            "explainer": self._terms.settings.explainer,
            "model": self._model,
            "prompt": self._prompt_hash,
            **({"options": told} if told else {}),
            **self._explainer.made_by(self._terms),
        }

    def _identity(self, latent: int, number: int | None, text_hash: str | None = None) -> str:
        which: dict[str, object] = {} if number is None else {"candidate": number}
        if text_hash is not None and not self._is_of(self._identity(latent, number), text_hash):
            which["text"] = text_hash
        made_by = json.dumps({**self._made_by, "latent": latent, **which}, sort_keys=True)
        return _hash(made_by)[:32]

    def _is_of(self, identity: str, text_hash: str) -> bool:
        """Whether what is stored under an identity has this text, or failed to have one."""
        stored = self._stored.get(identity)
        return stored is not None and stored.text_hash in (None, text_hash)

    def _of(self, latent: int) -> Iterator[Outcome]:
        """What is stored of the latent by this explainer under these terms."""
        identities = [self._identity(latent, number) for number in self._numbers]
        for other in self._with_text.get(latent, ()):
            if other == self._identity(latent, None, self._stored[other].text_hash):
                identities.append(other)
        identities += self._by_route.get(latent, ())
        for identity in dict.fromkeys(identities):
            if (outcome := self._stored.get(identity)) is not None:
                yield outcome

    @cached_property
    def _with_text(self) -> dict[int, list[str]]:
        """Where the text counts: identities of texts by latent, by whatever explainer."""
        found: dict[int, list[str]] = defaultdict(list)
        for identity, one in self._stored.items() if self._explainer.text_counts else ():
            if one.text_hash is not None:
                found[one.latent].append(identity)
        return found

    @cached_property
    def _by_route(self) -> dict[int, list[str]]:
        """Identities by latent of what a route of the settings made in the explainer's place."""
        settings, found = self._terms.settings, defaultdict[int, list[str]](list)
        for identity, one in self._stored.items() if self._explainer.needs_model else ():
            mine = (settings.explainer, self._terms.selection)
            if one.route in settings.routes and (one.routed_for, one.selection) == mine:
                found[one.latent].append(identity)
        return found

    def routed_row(self, latent: int, routed: Routed) -> Row:
        """The row of a label that a route made."""
        identity = json.dumps(
            {**self._terms.keys, **self._of_route(latent, routed)}, sort_keys=True
        )
        return {
            **self._of_route(latent, routed),
            "explanation_id": _hash(identity)[:32],
            "chosen": True,
            "reason": routed.reason,
            "n_shown": routed.n_shown,
            "written_at": datetime.now(UTC),
        }

    def _of_route(self, latent: int, routed: Routed) -> Row:
        return {
            "latent": latent,
            "selection": self._terms.selection,
            "explainer": self._terms.settings.explainer,
            "explainer_model": ROUTES,
            "explanation": routed.text,
            "prompt_hash": ROUTES,
            "route": routed.route,
        }

    def _row(self, identity: str, latent: int, candidate: Candidate) -> Row:
        text, failure = candidate.explanation
        completion = candidate.completion
        return {
            "explanation_id": identity,
            "latent": latent,
            "selection": self._terms.selection,
            "explainer": self._terms.settings.explainer,
            "explainer_model": self._model,
            "candidate": candidate.number,
            "quick_score": candidate.quick_score,
            "chosen": candidate.chosen,
            "explanation": text,
            "failure": failure,
            "prompt_hash": self._prompt_hash,
            "request": completion and completion.request,
            "quick_request": candidate.quick_request,
            "n_shown": candidate.n_examples,
            "prompt_tokens": completion and completion.prompt_tokens,
            "completion_tokens": completion and completion.completion_tokens,
            "cost": completion and completion.cost,
            "latency": completion and completion.latency,
            "prompt_version": self._prompt_version,
            "route": None,
            "reason": None,
            "written_at": datetime.now(UTC),
        }


def _hash(text: str) -> str:
    # What cannot be stored, half characters, becomes the row of its failure later.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _differs(stored: Outcome | None, candidate: Candidate) -> bool:
    if stored is None:
        return True
    return (stored.failure, stored.request, stored.quick_score, stored.chosen) != (
        candidate.explanation.failure,
        candidate.completion and candidate.completion.request,
        candidate.quick_score,
        candidate.chosen,
    )
