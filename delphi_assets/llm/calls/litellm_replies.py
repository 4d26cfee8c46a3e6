"""What LiteLLM's response object says, as a plain `Reply`.

In: a `ModelResponse`, whatever its provider has left out of it. Out: a `Reply`.
"""

from typing import Any

from delphi_assets.llm.calls.responses import Reply, TokenLogprobs


def reply_of(response: Any) -> Reply:
    """What a response says; one without choices is an empty answer."""
    choice = response.choices[0] if response.choices else None
    message = getattr(choice, "message", None)
    refusal = _refusal(message)
    usage = getattr(response, "usage", None)
    details = getattr(usage, "prompt_tokens_details", None)
    return Reply(
        answer=getattr(message, "content", None) or refusal,
        finish_reason="refusal" if refusal else getattr(choice, "finish_reason", None),
        prompt_tokens=getattr(usage, "prompt_tokens", None),
        cached_tokens=getattr(details, "cached_tokens", None),
        completion_tokens=getattr(usage, "completion_tokens", None),
        # LiteLLM gives 0 for a model whose price it does not know.
        cost=getattr(response, "_hidden_params", {}).get("response_cost"),
        logprobs=_logprobs(choice),
    )


def _refusal(message: Any) -> str | None:
    """The refusal that some providers send in a field of its own."""
    fields = getattr(message, "provider_specific_fields", None) or {}
    return getattr(message, "refusal", None) or fields.get("refusal")


def _logprobs(choice: Any) -> list[TokenLogprobs]:
    content = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    return [
        TokenLogprobs(
            one.token,
            one.logprob,
            {other.token: other.logprob for other in one.top_logprobs or ()},
        )
        for one in content
    ]
