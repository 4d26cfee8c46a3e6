"""One call in this process: a `Request` goes to its server, and its `Reading` comes back.

Calls start one after the other, GAP seconds apart. LiteLLM computes for about as long before it
sends a request. An event loop works on all calls in turns, so that those which start together are
sent together, when the last of them is through; their answers come together, and so on: the server
waits while the processor works, and the other way round.
"""

import asyncio
from typing import Protocol

from delphi_assets.ground.secrets import Scrubber, endpoint
from delphi_assets.llm.calls.litellm_calls import arguments, import_litellm, served
from delphi_assets.llm.calls.replies import bounded
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.responses import Reading, read_response

GAP = 0.002


class Sender(Protocol):
    """What makes calls, here or in other processes."""

    async def ready(self) -> None:
        """Returns when calls can be made; what this takes is not counted as a call's time."""

    async def send(self, request: Request) -> Reading:
        """One attempt. Raises what LiteLLM or the connection raises, or a `DiagnosedError`."""


class Calls:
    """Calls of one model from this process; `timeout` in seconds, `most` bytes of a reply."""

    def __init__(self, model: str, api_base: str | None, timeout: float, most: int) -> None:
        self._provider, self._endpoint = served(model).provider, endpoint(api_base)
        self._scrub, self._most = Scrubber(self._endpoint.secrets), most
        self._timeout, self._litellm = timeout, import_litellm()
        self._turn = asyncio.Lock()

    async def ready(self) -> None:
        """Returns at once."""

    async def send(self, request: Request) -> Reading:
        """One attempt; raises what LiteLLM raises."""
        async with self._turn:
            await asyncio.sleep(GAP)
        given = arguments(request, self._provider, self._endpoint, self._timeout)
        with bounded(self._most):
            response = await self._litellm.acompletion(**given)
        return read_response(response, self._scrub)
