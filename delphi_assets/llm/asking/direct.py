"""Questions sent one by one: bounded in number, rate and budget.

In: a `Request`. Out: its `Completion`, or the row of its failure, stored.
At most `max_concurrent` calls are open. A call that waits for its turn or to be retried keeps its
place, so a server that says "slow down" is sent less.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from delphi_assets.llm.calls.attempts import Attempts
from delphi_assets.llm.calls.completions import Completion, failed, spent
from delphi_assets.llm.calls.rates import Rates
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.sending import Sender
from delphi_assets.llm.calls.tokens import guess
from delphi_assets.llm.money.budget import Budget
from delphi_assets.settings import LLMSettings


class Direct:
    """Asks one model; `seed` gives the jitter of retries, `keep` stores a completion."""

    def __init__(  # noqa: PLR0917 - what a call goes through, in order
        self,
        settings: LLMSettings,
        sender: Sender,
        budget: Budget,
        attempts: Attempts,
        seed: str,
        keep: Callable[[Completion], Awaitable[Completion]],
    ) -> None:
        self._sender, self._budget, self._attempts, self._seed = sender, budget, attempts, seed
        self._keep = keep
        self._places = asyncio.Semaphore(settings.max_concurrent)
        self._rates = Rates(settings.requests_per_minute, settings.tokens_per_minute)

    async def ask(self, request: Request) -> Completion:
        """Raises what stops the stage: a refused key or model, the end of a budget."""
        async with self._places:
            aside = await self._budget.reserve(request)
            completion = None
            try:
                completion = await self._call(request)
            finally:
                await self._budget.settle(aside, completion)
        return await self._keep(completion)

    async def _call(self, request: Request) -> Completion:
        guessed = guess(request)
        await self._sender.ready()
        attempted = await self._attempts.make(
            lambda: self._sender.send(request),
            random.Random(f"{self._seed}|{request.hash}"),
            lambda: self._rates.take(guessed),
        )
        if attempted.failure is not None:
            code, message = attempted.failure
            return failed(request, code, message, attempted.seconds, attempted.attempts)
        assert attempted.result is not None
        completion = attempted.result.row(request, attempted.seconds, attempted.attempts)
        if used := spent(completion).tokens:
            self._rates.settle(guessed, used)
        return completion
