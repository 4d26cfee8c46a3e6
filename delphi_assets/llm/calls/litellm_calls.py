"""What this library tells LiteLLM: how to load, where to call, with which arguments.

In: a `Request`, the endpoint and the time-out. Out: keyword arguments of `litellm.acompletion`.
Nothing is retried by LiteLLM, and parameters that a provider does not know are dropped.
"""

import json
import os
from types import ModuleType
from typing import Any, NamedTuple

from delphi_assets.errors import SettingError
from delphi_assets.ground.secrets import Endpoint
from delphi_assets.llm.calls import replies
from delphi_assets.llm.calls.requests import Request

OPENAI_CLIENTS = ("openai", "hosted_vllm", "litellm_proxy")
"""Providers that LiteLLM calls, or sends batches to, through OpenAI's client."""
TOP_LOGPROBS = 5
"""Alternatives a token that log-probabilities are asked for."""


def import_litellm() -> Any:
    """LiteLLM, quiet and offline: it brings its own prices, prints nothing, calls no home.

    Replies are read within bounds, see `llm.calls.replies`.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    # Redacting copies every prompt for a log that goes nowhere unless somebody listens.
    litellm.turn_off_message_logging = bool(
        litellm.callbacks or litellm.success_callback or litellm.failure_callback
    )
    litellm.telemetry = False
    replies.install()
    return litellm


async def close_clients(litellm: ModuleType) -> None:
    """Close LiteLLM's HTTP clients: they belong to this event loop and must not outlive it."""
    await litellm.close_litellm_async_clients()
    litellm.in_memory_llm_clients_cache.flush_cache()


class Served(NamedTuple):
    """A model as its provider calls it."""

    name: str
    provider: str


def served(model: str) -> Served:
    """Raises `SettingError` when LiteLLM does not know the model's provider."""
    litellm = import_litellm()
    try:
        name, provider, *_ = litellm.get_llm_provider(model)
    except litellm.BadRequestError:
        raise SettingError(
            f"model = {model!r}: LiteLLM knows no such provider; expected "
            "<provider>/<model>, for example 'openrouter/anthropic/claude-3.5-sonnet', or "
            "'openai/<name>' with llm.api_base for a server of your own."
        ) from None
    return Served(name, provider)


def keys_of(model: str) -> str:
    """Names of the environment variables that the model's provider takes a key from."""
    missing = import_litellm().validate_environment(model).get("missing_keys") or []
    return " or ".join(missing) or f"{served(model).provider.upper()}_API_KEY"


def sampling(request: Request) -> dict[str, Any]:
    """What is asked besides the messages."""
    asked: dict[str, Any] = {
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "drop_params": True,
    }
    if request.logprobs:
        asked |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if request.sample is not None:
        asked["seed"] = request.sample
    if request.schema is not None:
        answer = {"name": "answer", "strict": True, "schema": json.loads(request.schema)}
        asked["response_format"] = {"type": "json_schema", "json_schema": answer}
    return asked


def address(provider: str, endpoint: Endpoint, timeout: float) -> dict[str, Any]:
    """Where a call goes and how long it may take, in seconds."""
    given: dict[str, Any] = {"timeout": timeout, "max_retries": 0}
    if endpoint.url is not None:
        given["api_base"] = endpoint.url
        if provider in OPENAI_CLIENTS:
            # A server of one's own often needs no key, but the client insists on one, and would
            # take that of OpenAI.
            known = endpoint.key or os.environ.get(f"{provider.upper()}_API_KEY")
            given["api_key"] = known or "none"
    if endpoint.authorization is not None:
        given["extra_headers"] = {"Authorization": endpoint.authorization}
    return given


def messages(request: Request, provider: str) -> list[dict[str, Any]]:
    """The prompt, in order. What all prompts of a stage share comes first, for prompt caches.

    Anthropic caches only what is marked: the last message before the question is.
    """
    given: list[dict[str, Any]] = [message._asdict() for message in request.messages]
    if provider == "anthropic" and len(given) > 1:
        marked = {"type": "text", "text": given[-2]["content"]}
        given[-2]["content"] = [{**marked, "cache_control": {"type": "ephemeral"}}]
    return given


def arguments(
    request: Request, provider: str, endpoint: Endpoint, timeout: float
) -> dict[str, Any]:
    """Keyword arguments of `litellm.acompletion`."""
    return {
        "model": request.model,
        "messages": messages(request, provider),
        "num_retries": 0,
        **sampling(request),
        **address(provider, endpoint, timeout),
    }
