"""Tokens of a question before it is sent, and what they cost.

In: a `Request`, or a model string. Out: counts, and US dollars where LiteLLM's table of prices,
which comes with the package, knows the model.

Counting by a tokenizer takes about a millisecond a thousand tokens, so it is left to estimates of
a whole stage (`count`). While calls are made, a quarter of the characters is near enough (`guess`):
the server's own count corrects it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from delphi_assets.llm.calls.litellm_calls import import_litellm, served
from delphi_assets.llm.calls.requests import Request

CHARACTERS_PER_TOKEN = 4
MESSAGE_TOKENS = 4
"""Tokens that a chat template puts around a message."""


class Price(NamedTuple):
    """US dollars a token."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """US dollars for so many tokens."""
        return self.prompt * prompt_tokens + self.completion * completion_tokens


def guess(request: Request) -> int:
    """Prompt tokens, from the number of characters."""
    characters = sum(len(message.content) for message in request.messages)
    return characters // CHARACTERS_PER_TOKEN + MESSAGE_TOKENS * len(request.messages)


def guess_text(text: str) -> int:
    """Tokens of an answer, from the number of characters; rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


class Counter:
    """Counts tokens of one model's prompts; `name` says how."""

    def __init__(self, model: str) -> None:
        self._litellm, self._model = import_litellm(), model
        # For other models LiteLLM would take OpenAI's tokenizer without saying so, or download one.
        known = price(model) is not None
        self._has_tokenizer = known and served(model).provider in ("openai", "azure")
        self.name = "tokenizer" if self._has_tokenizer else "characters / 4"

    def text(self, text: str) -> int:
        """Tokens of a text."""
        if not self._has_tokenizer:
            return len(text) // CHARACTERS_PER_TOKEN
        return int(self._litellm.token_counter(model=self._model, text=text))

    def prompt(self, messages: Sequence[int]) -> int:
        """Prompt tokens of messages with so many tokens."""
        return sum(messages) + MESSAGE_TOKENS * len(messages)


def price(model: str, batch: bool = False) -> Price | None:
    """The model's price, at its provider's batch endpoint if asked for; None when unknown."""
    litellm = import_litellm()
    try:
        known = litellm.get_model_info(model)
    # LiteLLM raises a plain Exception for a model that its table does not hold.
    except Exception:  # noqa: BLE001
        return None
    prompt, completion = known.get("input_cost_per_token"), known.get("output_cost_per_token")
    if not prompt and not completion:
        return None
    if batch:
        prompt = known.get("input_cost_per_token_batches") or prompt / 2
        completion = known.get("output_cost_per_token_batches") or completion / 2
    return Price(prompt, completion)
