"""How much a judge is asked: as many latents as a number of tokens allows.

In: a bench, scorers and ways to ask, and tokens to read anew. Out: a `Plan`: descriptions of
planted latents, latents of the strong LLM's, and every question, so that it is known what they
come to.

1. What a question takes is counted as a server counts that keeps the beginning of the last prompt:
   instructions and worked examples are read once. A token of an answer counts as `WRITTEN`, which
   is what it takes on processors. A server that keeps nothing reads more; `Estimate` says how much.
2. Latents are taken in their order, each with its descriptions in every way by every scorer, until
   three quarters of the tokens are used; the strong LLM's latents share the rest.

The plan does not depend on what is answered already: asked again, it is the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, product
from typing import Any, NamedTuple, TypeAlias

from delphi_assets.errors import SettingError
from delphi_assets.ground.batches import batches
from delphi_assets.latent_ranges import Latents
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.tokens import Counter
from delphi_assets.reading.records import LatentRecord
from delphi_assets.runs.calibration.planted_windows import Bench, Description
from delphi_assets.runs.calibration.strong_llm import (
    StrongLatent,
    strong_latents,
    strong_questions,
)
from delphi_assets.runs.calibration.ways import Way
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.scorer import Asked, Scorer

TOKENS = 150_000
"""A quarter of an hour of a judge that reads 170 tokens a second."""
WRITTEN = 10
"""Tokens that are read in the time in which one is written."""
FEWEST = 3
"""Latents without which nothing has an interval."""
_OF_PLANTED = 0.75
"""Share of the tokens that planted latents have."""
_FRAME, _AN_ANSWER = 8, 2
"""Tokens of a list of answers, and of each of them."""


class Plan(NamedTuple):
    """What is asked."""

    descriptions: Sequence[Description]
    strong: Sequence[StrongLatent]
    requests: Sequence[Request]
    tokens: float
    """Tokens to read anew, those of answers as `WRITTEN`."""

    @property
    def latents(self) -> list[int]:
        """Planted latents that are asked about."""
        return sorted({one.latent for one in self.descriptions})


def plan(
    bench: Bench,
    descriptions: Sequence[Description],
    scorers: Sequence[str],
    ways: Sequence[Way],
    tokens: int,
) -> Plan:
    """What the tokens allow.

    Raises `SettingError` when they are too few for `FEWEST` planted latents.
    """
    made = [bench.scorer(name, way) for name, way in product(scorers, ways)]
    for scorer in made:
        if not isinstance(scorer.judge, Asked):
            raise SettingError(
                f"the judge {scorer.judge.model!r} of {scorer.name!r} is no LLM; expected one."
            )
    work = _Work(made)
    chosen: list[Description] = []
    for n, told in enumerate(_by_latent(descriptions)):
        latent = told[0].latent
        (record,) = bench.examples.records(Latents(((latent, latent + 1),)))
        needed = work.of([_asked(scorer, told, record) for scorer in made])
        if n >= FEWEST and work.tokens + needed.tokens > _OF_PLANTED * tokens:
            break
        work.add(needed)
        chosen += told
    if work.tokens > tokens:
        raise SettingError(
            f"--tokens {tokens} is less than the {work.tokens:,.0f} that {FEWEST} latents take in "
            f"{len(made)} ways; expected more, or fewer --scorers."
        )
    strong: list[StrongLatent] = []
    for one in strong_latents():
        needed = work.of([_asked_of_strong(scorer, one) for scorer in made])
        if work.tokens + needed.tokens > tokens:
            break
        work.add(needed)
        strong.append(one)
    return Plan(chosen, strong, work.requests, work.tokens)


_Questions: TypeAlias = Iterable[tuple[Request, int]]
"""Questions, and how many windows each is about."""


class _Needed(NamedTuple):
    """What one more latent takes."""

    requests: list[Request]
    tokens: float
    last: list[str]
    """The last prompt of each scorer and way."""


class _Work:
    """Questions so far, by every scorer in every way."""

    def __init__(self, scorers: Sequence[Scorer[Any]]) -> None:
        self._counter = Counter(scorers[0].judge.model)
        self._last = [""] * len(scorers)
        self.requests: list[Request] = []
        self.tokens = 0.0

    def of(self, asked: Sequence[_Questions]) -> _Needed:
        """What questions take, those of each scorer and way."""
        requests, tokens, last = list[Request](), 0.0, list[str]()
        for questions, before in zip(asked, self._last, strict=True):
            shown = before
            for request, n_windows in questions:
                text = "\n".join(message.content for message in request.messages)
                anew = 1 - _shared(shown, text) / max(1, len(text))
                whole = [self._counter.text(message.content) for message in request.messages]
                tokens += anew * self._counter.prompt(whole)
                tokens += WRITTEN * min(request.max_tokens, _FRAME + _AN_ANSWER * n_windows)
                shown = text
                requests.append(request)
            last.append(shown)
        return _Needed(requests, tokens, last)

    def add(self, needed: _Needed) -> None:
        """Take it into the plan."""
        self.requests += needed.requests
        self.tokens += needed.tokens
        self._last = needed.last


def _shared(one: str, other: str) -> int:
    """Characters with which both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _by_latent(descriptions: Iterable[Description]) -> Iterator[list[Description]]:
    for _, told in groupby(descriptions, key=lambda one: one.place):
        yield list(told)


def _asked(scorer: Scorer[Any], told: Sequence[Description], record: LatentRecord) -> _Questions:
    judge = scorer.judge
    assert isinstance(judge, Asked)
    for one in told:
        by = f"planted_{one.relation}"
        explained = Explained(one.latent, by, by, by, None, one.text)
        for batch in batches(scorer.items(record, explained), judge.batch_size):
            yield judge.request(explained, batch), len(batch)


def _asked_of_strong(scorer: Scorer[Any], one: StrongLatent) -> _Questions:
    judge = scorer.judge
    assert isinstance(judge, Asked)
    for question in strong_questions(scorer, [one]):
        yield judge.request(one.explained, question.items), len(question.items)
