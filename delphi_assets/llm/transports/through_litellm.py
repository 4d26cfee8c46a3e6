"""Models reached through LiteLLM, whoever serves them.

In: a `Request`. Out: a `Reply`.

Calls start one after the other, GAP seconds apart. LiteLLM computes for about as long before it
sends a request. An event loop works on all calls in turns, so that those which start together are
sent together, when the last of them is through; their answers come together, and so on: the server
waits while the processor works, and the other way round.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from delphi_assets.llm.batch.server import check_provider
from delphi_assets.llm.calls.litellm_calls import (
    arguments,
    close_clients,
    import_litellm,
    keys_of,
    served,
)
from delphi_assets.llm.calls.litellm_replies import reply_of
from delphi_assets.llm.calls.replies import bounded
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.responses import Reply
from delphi_assets.llm.calls.transport import Line, Send, Transport
from delphi_assets.llm.transports.provider_keys import check_address
from delphi_assets.settings import LLMSettings

GAP = 0.002


class LiteLLM(Transport):
    """LiteLLM's providers; errors of a call are LiteLLM's own."""

    def check(self, setting: str, model: str, settings: LLMSettings) -> None:
        """Refuses a model without address or key, and batches where the provider has none."""
        check_address(settings, setting, model)
        if settings.batch:
            check_provider(model)

    def server(self, model: str) -> str:
        """The provider."""
        return served(model).provider

    def suspects(self, model: str) -> str:
        """The model's name, and the variable of its key."""
        return f"the name of the model and the environment variable {keys_of(model)}"

    @asynccontextmanager
    async def open(self, line: Line) -> AsyncIterator[Send]:
        """Closes LiteLLM's clients at the end."""
        litellm, provider, turn = import_litellm(), served(line.model).provider, asyncio.Lock()

        async def send(request: Request) -> Reply:
            async with turn:
                await asyncio.sleep(GAP)
            given = arguments(request, provider, line.endpoint, line.timeout)
            with bounded(line.most):
                response = await litellm.acompletion(**given)
            return reply_of(response)

        try:
            yield send
        finally:
            await close_clients(litellm)
