"""What is asked of an LLM, and the hash that names it.

In: a prompt and sampling parameters. Out: a `Request` whose `hash` changes with everything that
changes the answer, and with nothing else.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from delphi_assets.ground.foreign_text import clean_text


class Message(NamedTuple):
    """One turn of the prompt; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Request:
    """One question to one model."""

    role: str
    """Who asks: explainer or the name of a scorer. Not part of the hash."""
    model: str
    """LiteLLM model string. The server behind it (`api_base`) is not part of the hash: give two
    different models two names."""
    messages: tuple[Message, ...]
    temperature: float
    max_tokens: int
    logprobs: bool = False
    schema: str | None = None
    """JSON schema, as JSON text, that the server shall hold the answer to."""
    sample: int | None = None
    """Which of several answers to one question, at a temperature above 0; the server's seed."""
    identity: str | None = None
    """What tells the model from another one of its name, where that is known (`Transport`)."""

    def __post_init__(self) -> None:
        """Half characters can neither be sent nor stored."""
        clean = tuple(Message(*map(clean_text, message)) for message in self.messages)
        object.__setattr__(self, "messages", clean)

    @cached_property
    def hash(self) -> str:
        """sha256, in hex, of everything that changes the answer."""
        asked: dict[str, object] = {
            "model": self.model,
            "messages": self.messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "logprobs": self.logprobs,
            "schema": self.schema,
        }
        if self.sample is not None:
            asked["sample"] = self.sample
        if self.identity is not None:
            asked["identity"] = self.identity
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    @property
    def messages_json(self) -> str:
        """The prompt as JSON: a list of {role, content}."""
        return json.dumps([message._asdict() for message in self.messages], ensure_ascii=False)
