"""From LiteLLM's response object to a row of `completions`, by way of a plain `Reading`."""

import json
from typing import Any, NamedTuple

from delphi_assets.llm.completions import Completion
from delphi_assets.llm.requests import Request


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
        return Completion(
            request=request.hash,
            role=request.role,
            model=request.model,
            messages=request.messages_json,
            latency=seconds,
            attempts=attempts,
            error=None,
            **self._asdict(),
        )


def read_response(response: Any) -> Reading:
    """What a response says; one without choices is an empty answer."""
    choice = response.choices[0] if response.choices else None
    message = getattr(choice, "message", None)
    refusal = _refusal(message)
    usage = getattr(response, "usage", None)
    details = getattr(usage, "prompt_tokens_details", None)
    cost = getattr(response, "_hidden_params", {}).get("response_cost")
    return Reading(
        answer=getattr(message, "content", None) or refusal,
        logprobs=_logprobs(choice),
        finish_reason="refusal" if refusal else getattr(choice, "finish_reason", None),
        prompt_tokens=getattr(usage, "prompt_tokens", None),
        cached_tokens=getattr(details, "cached_tokens", None),
        completion_tokens=getattr(usage, "completion_tokens", None),
        # LiteLLM gives 0 for a model whose price it does not know.
        cost=cost or None,
    )


def _refusal(message: Any) -> str | None:
    """The refusal that some providers send in a field of its own."""
    fields = getattr(message, "provider_specific_fields", None) or {}
    return getattr(message, "refusal", None) or fields.get("refusal")


def _logprobs(choice: Any) -> str | None:
    """JSON list of {token, top: [[token, logprob], ...]}, the chosen token among `top`."""
    content = getattr(getattr(choice, "logprobs", None), "content", None)
    if not content:
        return None
    rows = []
    for token in content:
        top = {other.token: other.logprob for other in token.top_logprobs or ()}
        top.setdefault(token.token, token.logprob)
        rows.append({"token": token.token, "top": [list(pair) for pair in top.items()]})
    return json.dumps(rows, ensure_ascii=False)
