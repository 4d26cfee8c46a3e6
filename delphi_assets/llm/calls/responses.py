"""From what a transport was answered to a row of `completions`: a `Reply`, then a `Reading`.

1. Texts are cleaned of what cannot be stored and of secrets that the server echoed.
2. Counts of tokens that are missing, or cannot be, are estimated from the characters, so that a
   budget holds with any server; so is a cost that was made from them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from delphi_assets.ground.foreign_text import clean_text
from delphi_assets.ground.secrets import Scrubber
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.counts import cost_of, count_of
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.tokens import guess, guess_text, price

LONGEST_REASON = 100
"""Characters of a reason to stop; known ones are single words."""
HIGHEST_LOGPROB = 0.01


class TokenLogprobs(NamedTuple):
    """A token of an answer, and how likely it was among others."""

    token: str
    logprob: float
    top: Mapping[str, float] = MappingProxyType({})
    """Logarithms of probabilities, by token; the chosen one need not be among them."""


class Reply(NamedTuple):
    """What a server said to a request, as it came: nothing in it needs to make sense."""

    answer: str | None
    """None, or empty, for a reply without one."""
    finish_reason: str | None = None
    """`refusal` where the answer is one that the server marked as such."""
    prompt_tokens: object = None
    cached_tokens: object = None
    """Of the prompt, read from the provider's cache."""
    completion_tokens: object = None
    """Counts; estimated where they are none."""
    cost: object = None
    """US dollars; by LiteLLM's table of prices where it is none, and that knows the model."""
    logprobs: Sequence[TokenLogprobs] = ()


class Reading(NamedTuple):
    """What a reply says, fit to be stored; see `schema.COMPLETIONS` for what the fields mean."""

    answer: str | None
    logprobs: str | None
    finish_reason: str | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    cost: float | None

    def row(self, request: Request, seconds: float, attempts: int) -> Completion:
        """The row of `completions`, for a request that took so long and so many attempts."""
        counted = bool(self.prompt_tokens) and bool(self.completion_tokens or not self.answer)
        estimated = self if counted else self._estimated(request)
        return Completion(
            request=request.hash,
            role=request.role,
            model=request.model,
            messages=request.messages_json,
            latency=seconds,
            attempts=attempts,
            error=None,
            **estimated._asdict(),
        )

    def _estimated(self, request: Request) -> "Reading":
        """The same with tokens where the server gave none, and their cost where that is known."""
        prompt = self.prompt_tokens or guess(request)
        completion = self.completion_tokens or guess_text(self.answer or "")
        known = price(request.model)
        return self._replace(
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost=None if known is None else known.of(prompt, completion),
        )


def read_reply(reply: Reply, scrub: Scrubber) -> Reading:
    """What a reply says, fit to be stored."""
    return Reading(
        answer=None if reply.answer is None else scrub.answer(reply.answer),
        logprobs=_logprobs(reply.logprobs, scrub),
        finish_reason=_finish_reason(reply.finish_reason, scrub),
        prompt_tokens=count_of(reply.prompt_tokens),
        cached_tokens=count_of(reply.cached_tokens),
        completion_tokens=count_of(reply.completion_tokens),
        cost=cost_of(reply.cost),
    )


def _finish_reason(reason: object, scrub: Scrubber) -> str | None:
    return None if reason is None else scrub(str(reason))[:LONGEST_REASON]


def _logprobs(tokens: Sequence[TokenLogprobs], scrub: Scrubber) -> str | None:
    """JSON list of {token, top: [[token, logprob], ...]}, the chosen token among `top`.

    None when the tokens together hold a secret: no part of it may stay.
    """
    if not tokens:
        return None
    if scrub.answer(text := clean_text("".join(one.token for one in tokens))) != text:
        return None
    rows = []
    for one in tokens:
        top = {**one.top}
        top.setdefault(one.token, one.logprob)
        pairs = [[name, value] for name, value in top.items() if _is_logprob(value)]
        rows.append({"token": one.token, "top": pairs})
    # At once: each look for secrets reads the environment.
    return scrub.answer(json.dumps(rows, ensure_ascii=False))


def _is_logprob(value: float) -> bool:
    """Whether it is a number that can be one; rounding may lead a little above 0."""
    return -math.inf < value <= HIGHEST_LOGPROB
