"""Asks LLMs, through LiteLLM or another transport, and stores every answer before it is used.

In: `Request`s. Out: `Completion`s, each of which is on disk when the caller gets it.

1. Two identical requests in flight share one call; a stored answer is taken from the table.
2. Others are sent one by one (`llm.asking.direct`) or, with `llm.batch`, through the provider's
   batch endpoint (`llm.batch.queue`): tried again where that may help (`llm.calls.attempts`),
   within the budgets (`llm.money.budget`), for as long as the server answers at all
   (`llm.calls.outages`).
3. A stage that stops, whatever the reason, sends nothing more, but waits for the calls that are
   open and stores their answers: they are paid for. A batch that is submitted is not waited for:
   the next run collects it.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from delphi_assets.errors import BudgetError, DelphiAssetsError, ServerError, SettingError
from delphi_assets.ground.secrets import Endpoint, ScrubbedLogs, Scrubber, endpoint
from delphi_assets.ground.stage import Fact
from delphi_assets.lake.lake import Lake
from delphi_assets.llm.asking.direct import Direct
from delphi_assets.llm.batch.queue import Batched
from delphi_assets.llm.batch.server import BatchServer
from delphi_assets.llm.batch.store import BatchStore
from delphi_assets.llm.calls.attempts import Attempts
from delphi_assets.llm.calls.completions import Completion, CompletionLog, Spent
from delphi_assets.llm.calls.litellm_calls import close_clients, import_litellm
from delphi_assets.llm.calls.outages import Outage, Stop
from delphi_assets.llm.calls.processes import Processes
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.sending import Called, Calls, Sender
from delphi_assets.llm.calls.tokens import Price, price
from delphi_assets.llm.calls.transport import transport_of
from delphi_assets.llm.money.budget import FREE, Budget, most
from delphi_assets.llm.money.ledger import Ledger
from delphi_assets.settings import LLMSettings


@dataclass
class Usage:
    """What the calls of one client came to."""

    sent: int = 0
    """HTTP requests, retries among them."""
    answered: int = 0
    failed: int = 0
    reused: int = 0
    """Answers taken from the table."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """US dollars, as far as prices are known."""

    def facts(self) -> dict[str, Fact]:
        """The counts under the names a `StageReport` shows."""
        return {
            "requests_sent": self.sent,
            "calls_answered": self.answered,
            "calls_failed": self.failed,
            "answers_reused": self.reused,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost": round(self.cost, 6),
        }

    def add(self, completion: Completion) -> None:
        """Count a call that was just made."""
        self.answered += completion.error is None
        self.failed += completion.error is not None
        self.prompt_tokens += completion.prompt_tokens or 0
        self.completion_tokens += completion.completion_tokens or 0
        self.cost += completion.cost or 0.0


class Client:
    """Asks one model for one run. Use with `async with`, in one event loop.

    `left` says what the stage has left to do, for the message at the end of a budget; `owner` names
    the stage and its hookpoint, whose batches are followed, without it those of all. Entering
    raises `SettingError` when no transport reaches the model, it has no batch endpoint for it, or
    the price that a budget in dollars needs is not known.
    """

    def __init__(  # noqa: PLR0917 - the stages' contract
        self,
        settings: LLMSettings,
        model: str,
        lake: Lake,
        run: str,
        seed: int = 0,
        left: Callable[[], str] | None = None,
        owner: str | None = None,
    ) -> None:
        self._settings, self._model = settings.of(model), model
        self._lake, self._run, self._seed = lake, run, seed
        self._left = left
        self._open: dict[str, asyncio.Task[Completion]] = {}
        self._stop = Stop()
        self._log = CompletionLog(lake, run)
        self._batches = BatchStore(lake, run, model, owner)
        self._stack = AsyncExitStack()
        self._usage = Usage()
        self._asking: Direct | Batched

    @property
    def workers(self) -> int:
        """Questions that a stage should have open at a time."""
        return self._settings.workers

    @property
    def repairs(self) -> bool:
        """Whether answers that do not parse are asked for once more."""
        return self._settings.repair

    @property
    def usage(self) -> Usage:
        """What the calls so far came to."""
        self._usage.sent = self._attempts.sent
        return self._usage

    async def __aenter__(self) -> Self:
        self._transport = transport_of(self._settings, self._model)
        if (most_open := self._transport.most_open) is not None:
            fewer = {"max_concurrent": min(most_open, self._settings.max_concurrent)}
            self._settings = self._settings.model_copy(update=fewer)
        place = endpoint(self._settings.api_base)
        scrub = Scrubber(place.secrets)
        server = scrub(place.url or self._transport.server(self._model))
        self._outage = Outage(self._settings.max_failures_in_a_row, self._model, server)
        self._attempts = Attempts(self._settings, self._model, self._stop, scrub)
        async with AsyncExitStack() as stack:
            stack.enter_context(ScrubbedLogs(scrub))
            ledger = stack.enter_context(Ledger(self._lake, self._run, self._settings.batch))
            await stack.enter_async_context(self._log)
            self._budget = Budget(self._settings, self._model, ledger, self._stop)
            stack.callback(self._budget.tell)
            ledger.begin(self._log.spent, self._under_way())
            if self._settings.batch:
                self._asking = await self._batched(stack, place, scrub)
            else:
                self._asking = await self._direct(stack)
            self._stack = stack.pop_all()
        return self

    def _under_way(self) -> Spent:
        """What batches of the run that are on their way may come to.

        Others that join later have budgets that these count for, though this client may have none.
        """
        total, prices = Spent(), dict[str, Price]()
        for pending in self._batches.read(of_others=True):
            for request in pending.requests:
                if pending.batch is not None or not self._log.answered(request.hash):
                    if (model := request.model) not in prices:
                        prices[model] = price(model, batch=True) or FREE
                    total = total.plus(most(request, prices[model]))
        return total

    async def _batched(self, stack: AsyncExitStack, place: Endpoint, scrub: Scrubber) -> Batched:
        self._transport.check("model", self._model, self._settings)
        stack.push_async_callback(close_clients, import_litellm())
        stack.push_async_callback(self._finish_open)
        return await stack.enter_async_context(
            Batched(
                self._settings,
                self._budget,
                self._batches,
                BatchServer(self._settings, self._model, place, self._attempts, scrub),
                self._stop,
                self._log,
                self._keep,
                scrub,
            )
        )

    async def _direct(self, stack: AsyncExitStack) -> Direct:
        store = self._batches
        if under_way := [one for one in await asyncio.to_thread(store.read) if one.batch]:
            raise SettingError(
                f"llm.batch = false, but {len(under_way)} batches of this run are under way, whose "
                "questions would be paid for twice; expected llm.batch = true until their answers "
                f"are stored. To ask all the same, delete {list(map(store.location, under_way))}."
            )
        sender, seed = await self._sender(stack), f"{self._seed}|{self._run}"
        stack.push_async_callback(self._finish_open)
        return Direct(self._settings, sender, self._budget, self._attempts, seed, self._keep)

    async def _sender(self, stack: AsyncExitStack) -> Sender:
        """What makes the calls that are not part of a batch."""
        called = Called.of(self._settings, self._model)
        if self._settings.processes == 1:
            return await stack.enter_async_context(Calls(called))
        processes = Processes(self._settings.processes, called)
        return await stack.enter_async_context(processes)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.give(DelphiAssetsError("the stage was stopped; start it again to continue."))
        await self._budget.wake()
        await self._stack.aclose()

    async def complete(self, request: Request) -> Completion:
        """The answer to `request`, or the row of its failure; both are on disk.

        Raises `SettingError` when the key or the model name is refused, `BudgetError` when the call
        could exceed a budget, `ServerError` when the server stays down or has lost a batch.
        """
        task = self._open.get(request.hash)
        if task is None:
            task = asyncio.create_task(self._answer(request))
            self._open[request.hash] = task
            task.add_done_callback(lambda done: self._forget(request.hash, done))
        return await asyncio.shield(task)

    def _forget(self, request: str, task: asyncio.Task[Completion]) -> None:
        self._open.pop(request, None)
        if not task.cancelled():
            # Looked at here, so that asyncio does not complain when the caller was stopped.
            task.exception()

    async def _answer(self, request: Request) -> Completion:
        stored = await self._log.find(request)
        if stored is not None:
            self._usage.reused += 1
            return stored
        self._stop.check()
        try:
            if not self._attempts.sent:
                self._transport.check("model", self._model, self._settings)
            completion = await self._asking.ask(request)
            if not self._settings.batch:
                self._outage.count(completion)
        except DelphiAssetsError as error:
            self._stop.give(self._told(error))
            self._stop.check()
            raise
        return completion

    def _told(self, error: DelphiAssetsError) -> DelphiAssetsError:
        if isinstance(error, BudgetError | ServerError) and self._left is not None:
            return type(error)(f"{error} Left to do: {self._left()}.")
        return error

    async def _keep(self, completion: Completion) -> Completion:
        """The completion as it is stored."""
        if self._log.answered(completion.request):
            # A batch whose answers an earlier process had stored when it was killed.
            return completion
        stored = await self._log.append(completion)
        self._usage.add(stored)
        return stored

    async def _finish_open(self) -> None:
        """Wait for the calls that are open, no longer than the time-out of a request."""
        if tasks := list(self._open.values()):
            _, late = await asyncio.wait(tasks, timeout=self._settings.timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
