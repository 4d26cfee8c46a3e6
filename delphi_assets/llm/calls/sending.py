"""One call in this process: a `Request` goes through a transport, and its `Reading` comes back."""

from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from delphi_assets.errors import SettingError
from delphi_assets.ground.registries import TRANSPORTS
from delphi_assets.ground.secrets import Scrubber, endpoint
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.responses import Reading, Reply, read_reply
from delphi_assets.llm.calls.tokens import price
from delphi_assets.llm.calls.transport import LITELLM, Line, Transport, transport_name
from delphi_assets.settings import LLMSettings
from delphi_assets.settings.options import made


class Called(NamedTuple):
    """Whom calls go to, and how."""

    model: str
    api_base: str | None
    timeout: float
    """Seconds that a call may take."""
    most: int
    """Bytes of a reply."""
    transport: str = LITELLM
    options: dict[str, Any] | None = None
    """Of the transport; None for those it declares."""

    @classmethod
    def of(cls, settings: LLMSettings, model: str) -> Self:
        """As the model's own settings have it."""
        name = transport_name(settings, model)
        return cls(
            model,
            settings.api_base,
            settings.timeout,
            settings.max_reply_bytes,
            name,
            settings.options.get(name),
        )


class Sender(Protocol):
    """What makes calls, here or in other processes."""

    async def ready(self) -> None:
        """Returns when calls can be made; what this takes is not counted as a call's time."""

    async def send(self, request: Request) -> Reading:
        """One attempt. Raises what the transport raises, or a `DiagnosedError`."""


class Calls:
    """Calls from this process. Use with `async with`, in one event loop.

    Raises `SettingError` for what is no transport, and what that raises when it is opened.
    """

    def __init__(self, called: Called) -> None:
        place = endpoint(called.api_base)
        options = {called.transport: called.options} if called.options else {}
        transport = made(TRANSPORTS, Transport, "llm.options", options, called.transport)
        self._called, self._scrub = called, Scrubber(place.secrets)
        self._opened = transport.open(Line(called.model, place, called.timeout, called.most))
        self._price = price(called.model)

    async def __aenter__(self) -> Self:
        self._send = await self._opened.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._opened.__aexit__(kind, error, traceback)

    async def ready(self) -> None:
        """Returns at once."""

    async def send(self, request: Request) -> Reading:
        """One attempt; raises what the transport raises."""
        reply: object = await self._send(request)
        if not isinstance(reply, Reply):
            raise SettingError(
                f"the transport {self._called.transport!r} gave a {type(reply).__name__}; expected "
                "a Reply."
            )
        reading = read_reply(reply, self._scrub)
        if reading.cost is not None or self._price is None:
            return reading
        spent = reading.prompt_tokens or 0, reading.completion_tokens or 0
        return reading._replace(cost=self._price.of(*spent) or None)
