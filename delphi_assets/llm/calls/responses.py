"""From LiteLLM's response object to a row of `completions`, by way of a plain `Reading`.

1. Texts are cleaned of what cannot be stored and of secrets that the server echoed.
2. Counts of tokens that are missing, or cannot be, are estimated from the characters, so that a
   budget holds with any server; so is a cost that was made from them.
"""

import json
import math
from typing import Any, NamedTuple

from delphi_assets.ground.foreign_text import clean_text
from delphi_assets.ground.secrets import Scrubber
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.counts import cost_of, count_of
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.tokens import guess, guess_text, price

LONGEST_REASON = 100
"""Characters of a reason to stop; known ones are single words."""
HIGHEST_LOGPROB = 0.01


class Reading(NamedTuple):
    """What a response says; see `schema.COMPLETIONS` for what the fields mean."""

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


def read_response(response: Any, scrub: Scrubber) -> Reading:
    """What a response says; one without choices is an empty answer."""
    choice = response.choices[0] if response.choices else None
    message = getattr(choice, "message", None)
    refusal = _refusal(message)
    usage = getattr(response, "usage", None)
    details = getattr(usage, "prompt_tokens_details", None)
    answer = getattr(message, "content", None) or refusal
    return Reading(
        answer=None if answer is None else scrub.answer(answer),
        logprobs=_logprobs(choice, scrub),
        finish_reason="refusal" if refusal else _finish_reason(choice, scrub),
        prompt_tokens=count_of(getattr(usage, "prompt_tokens", None)),
        cached_tokens=count_of(getattr(details, "cached_tokens", None)),
        completion_tokens=count_of(getattr(usage, "completion_tokens", None)),
        # LiteLLM gives 0 for a model whose price it does not know.
        cost=cost_of(getattr(response, "_hidden_params", {}).get("response_cost")),
    )


def _refusal(message: Any) -> str | None:
    """The refusal that some providers send in a field of its own."""
    fields = getattr(message, "provider_specific_fields", None) or {}
    return getattr(message, "refusal", None) or fields.get("refusal")


def _finish_reason(choice: Any, scrub: Scrubber) -> str | None:
    reason = getattr(choice, "finish_reason", None)
    return None if reason is None else scrub(str(reason))[:LONGEST_REASON]


def _logprobs(choice: Any, scrub: Scrubber) -> str | None:
    """JSON list of {token, top: [[token, logprob], ...]}, the chosen token among `top`.

    None when the tokens together hold a secret: no part of it may stay.
    """
    content = getattr(getattr(choice, "logprobs", None), "content", None)
    if not content:
        return None
    if scrub.answer(text := clean_text("".join(token.token for token in content))) != text:
        return None
    rows = []
    for token in content:
        top = {other.token: other.logprob for other in token.top_logprobs or ()}
        top.setdefault(token.token, token.logprob)
        pairs = [[name, value] for name, value in top.items() if _is_logprob(value)]
        rows.append({"token": token.token, "top": pairs})
    # At once: each look for secrets reads the environment.
    return scrub.answer(json.dumps(rows, ensure_ascii=False))


def _is_logprob(value: float) -> bool:
    """Whether it is a number that can be one; rounding may lead a little above 0."""
    return -math.inf < value <= HIGHEST_LOGPROB
