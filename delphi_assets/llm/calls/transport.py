"""A way to reach models, as an object that a name stands for.

In: a `Request` for a model. Out: its `Reply`, or an error that says what became of the call.

A `Transport` sends, once, and nothing else: what is asked, how often, within which budget, and what
is stored before it is used is decided above it. It is the one that `llm.transport` names, or that
the model's name begins with, `<transport>/<model>`; LiteLLM's for all other names.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, TypeAlias

from delphi_assets.errors import SettingError
from delphi_assets.ground.registries import TRANSPORTS
from delphi_assets.ground.secrets import Endpoint
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.responses import Reply
from delphi_assets.settings import LLMSettings
from delphi_assets.settings.options import made

LITELLM = "litellm"


class Line(NamedTuple):
    """A model, and how it is called."""

    model: str
    """Its whole name, with the transport's if it begins with that."""
    endpoint: Endpoint
    """`llm.api_base`, the password taken out."""
    timeout: float
    """Seconds that a call may take."""
    most: int
    """Bytes that a reply may have, as it is sent and unpacked."""


Send: TypeAlias = Callable[[Request], Awaitable[Reply]]
"""One attempt. Raises a `CallError`, or what its HTTP client or the event loop raises."""


class Transport(ABC):
    """A way to reach models."""

    @property
    def most_open(self) -> int | None:
        """Calls that can be open at a time, whatever `llm.max_concurrent` says; None for any."""
        return None

    def check(self, setting: str, model: str, settings: LLMSettings) -> None:
        """Refuse the model of a setting where it cannot be asked as `settings` say.

        Asks nobody. Raises `SettingError`.
        """
        if settings.batch:
            raise SettingError(
                f"llm.batch = true with {setting} = {model!r}, whose transport "
                f"{transport_name(settings, model)!r} has no batch endpoint; expected llm.batch = "
                "false."
            )

    def server(self, model: str) -> str:
        """What the model's server is called where no address says it.

        Raises `SettingError` for a model that cannot be reached by any settings.
        """
        return model.partition("/")[0]

    def identity(self, model: str) -> str | None:
        """What tells the model's answers from those of another one that had its name; None where
        nobody can know. Asks nobody. Raises `SettingError` for a model that is not there.
        """
        return None

    def suspects(self, model: str) -> str:
        """What to check when the server refuses the key or the model."""
        return "the name of the model, and the key that its server takes"

    @abstractmethod
    def open(self, line: Line) -> AbstractAsyncContextManager[Send]:
        """What sends requests for a model, opened once in a process and event loop."""


def transport_name(settings: LLMSettings, model: str) -> str:
    """The transport of a model by `settings`, which are the model's own."""
    if settings.transport is not None:
        return settings.transport
    prefix, slash, _ = model.partition("/")
    return prefix if slash and prefix in TRANSPORTS.known() else LITELLM


def identity_of(llm: LLMSettings, model: str) -> str | None:
    """The transport's `identity` of a model."""
    return transport_of(llm.of(model), model).identity(model)


def transport_of(settings: LLMSettings, model: str) -> Transport:
    """The transport of a model; raises `SettingError` for what is none, or for its options."""
    name = transport_name(settings, model)
    return made(TRANSPORTS, Transport, "llm.options", settings.options, name)
