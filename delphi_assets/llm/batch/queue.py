"""Questions that go through the provider's batch endpoint: half price, an answer within a day.

In: a `Request`. Out: its `Completion`, stored.

1. Questions gather until there are `llm.batch_size`, or none has come for GATHERING seconds.
2. They are stored in the lake, submitted, and the batch's id is stored too (`llm.batch.store`).
3. Every `llm.batch_poll` seconds the batch is looked at. When it has ended, all its answers are
   stored, those too that nobody waits for any more; then the batch is forgotten.
4. A batch that cannot be dealt with, for whatever reason, stops the stage; it stays stored.
5. A run that starts finds the batches of an earlier one and follows them. Whoever asks one of their
   questions waits for them; nothing is submitted twice.
6. A question whose answer a provider lost is a failure that the next run asks about once more. Lost
   again, it is final.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from delphi_assets.errors import DataError, DelphiAssetsError, ServerError
from delphi_assets.ground.secrets import Scrubber
from delphi_assets.llm.batch.server import BatchServer, GoneError
from delphi_assets.llm.batch.store import BatchStore, Pending
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion, CompletionLog, Spent
from delphi_assets.llm.calls.outages import Stop
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.money.budget import Budget
from delphi_assets.settings import LLMSettings

GATHERING = 5.0
"""Seconds without a question after which a batch is submitted though it is not full."""

log = logging.getLogger(__name__)


class Batched:
    """Use with `async with`. `keep` stores a completion, once for each question."""

    def __init__(  # noqa: PLR0917 - what a question goes through, in order
        self,
        settings: LLMSettings,
        budget: Budget,
        store: BatchStore,
        server: BatchServer,
        stop: Stop,
        stored: CompletionLog,
        keep: Callable[[Completion], Awaitable[Completion]],
        scrub: Scrubber,
    ) -> None:
        self._settings, self._budget = settings, budget
        self._store, self._server, self._stop, self._keep = store, server, stop, keep
        self._stored, self._scrub = stored, scrub
        self._gathered: list[Request] = []
        self._aside: dict[str, Spent] = {}
        """What is set aside for each question that is gathered or submitted."""
        self._waiting: dict[str, asyncio.Future[Completion]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._submitting: set[asyncio.Task[None]] = set()
        self._following: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Batched":
        for stored in await asyncio.to_thread(self._store.read):
            pending = self._unanswered(stored)
            if not pending.requests:
                self._store.remove(pending)
                continue
            for request in pending.requests:
                if request.hash not in self._aside:
                    self._aside[request.hash] = self._budget.paid(request)
            self._start(self._following, self._resume(pending), pending.requests)
        return self

    def _unanswered(self, pending: Pending) -> Pending:
        """Without what was answered in another way before the batch was submitted."""
        if pending.batch is not None:
            return pending
        asked = pending.requests
        return pending._replace(
            requests=tuple(one for one in asked if not self._stored.answered(one.hash))
        )

    async def __aexit__(self, *error: object) -> None:
        """Leave to the next run what is submitted, or stored and only half submitted."""
        if self._timer is not None:
            self._timer.cancel()
        if self._submitting:
            await asyncio.wait(self._submitting)
        following = list(self._following)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        for future in self._waiting.values():
            future.cancel()

    async def ask(self, request: Request) -> Completion:
        """Raises what stops the stage: a refused key or model, the end of a budget."""
        waiting: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting[request.hash] = waiting
        if request.hash not in self._aside:
            self._aside[request.hash] = await self._budget.reserve(request)
            self._stop.check()
            self._gather(request)
        return await waiting

    def _gather(self, request: Request) -> None:
        self._gathered.append(request)
        if self._timer is not None:
            self._timer.cancel()
        if len(self._gathered) >= self._settings.batch_size:
            self._submit()
        else:
            self._timer = asyncio.get_running_loop().call_later(GATHERING, self._submit)

    def _submit(self) -> None:
        requests, self._gathered = self._gathered, []
        if requests:
            self._start(self._submitting, self._submitted(requests), requests)

    async def _submitted(self, requests: list[Request]) -> None:
        pending = self._store.draft(requests)
        with self._store.submitting(pending):
            await asyncio.to_thread(self._store.write, pending)
            pending = await self._sent(pending)
        self._start(self._following, self._collected(pending), pending.requests)

    async def _resume(self, pending: Pending) -> None:
        while pending.batch is None:
            with self._store.submitting(pending) as mine:
                if mine:
                    pending = await self._found_or_sent(self._store.with_id(pending))
                    break
            await self._stop.rest(self._settings.batch_poll)
            self._stop.check()
        await self._collected(pending)

    async def _found_or_sent(self, pending: Pending) -> Pending:
        if pending.batch is not None:
            return pending
        batch = await self._server.find(pending)
        if batch is None:
            return await self._sent(pending)
        return await asyncio.to_thread(self._store.submitted, pending, batch)

    async def _sent(self, pending: Pending) -> Pending:
        batch = await self._server.submit(pending)
        return await asyncio.to_thread(self._store.submitted, pending, batch)

    async def _collected(self, pending: Pending) -> None:
        try:
            completions = self._once_more(await self._completions(pending))
        except GoneError as error:
            raise ServerError(self._gone(pending, error)) from None
        completions = await asyncio.gather(*[self._keep(one) for one in completions])
        await asyncio.to_thread(self._store.remove, pending)
        for completion in completions:
            # Two processes may have submitted the same question.
            aside = self._aside.pop(completion.request, Spent())
            await self._budget.settle(aside, completion)
            waiting = self._waiting.pop(completion.request, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(completion)

    async def _completions(self, pending: Pending) -> list[Completion]:
        assert pending.batch is not None
        while (ended := await self._server.ended(pending.batch)) is None:
            await self._stop.rest(self._settings.batch_poll)
            self._stop.check()
        return await self._server.completions(pending, ended)

    def _once_more(self, completions: Sequence[Completion]) -> list[Completion]:
        """Lost answers that were lost before are not asked for again."""
        told = []
        for completion in completions:
            if completion.failure == failures.LOST and self._stored.lost(completion.request):
                error = str(completion.error).replace(failures.LOST, failures.LOST_AGAIN, 1)
                error += " It is not asked again; change llm.max_tokens to ask all the same."
                told.append(replace(completion, error=error))
            else:
                told.append(completion)
        lost = [one for one in told if one.failure in {failures.LOST, failures.LOST_AGAIN}]
        if lost:
            log.warning("%d questions have no answer. The first: %s", len(lost), lost[0].error)
        return told

    def _gone(self, pending: Pending, error: GoneError) -> str:
        return (
            f"the provider does not have batch {pending.batch!r} of {len(pending.requests)} "
            f"questions, or its answers ({error}). If key, account or llm.api_base have changed "
            "since it was submitted, restore them and start again: its answers are collected then. "
            "If the provider has removed it, its answers are lost, and may be paid for: delete "
            f"{self._store.location(pending)} and start again, which asks its questions anew."
        )

    def _start(
        self,
        tasks: "set[asyncio.Task[None]]",
        work: Awaitable[None],
        requests: "list[Request] | tuple[Request, ...]",
    ) -> None:
        """Do `work` beside the others; those who wait for its questions are told when it fails."""

        async def told() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whoever waits would wait for ever
                reason = self._told(error)
                self._stop.give(reason)
                for request in requests:
                    waiting = self._waiting.pop(request.hash, None)
                    if waiting is not None and not waiting.done():
                        waiting.set_exception(type(reason)(str(reason)))

        task = asyncio.create_task(told())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _told(self, error: Exception) -> DelphiAssetsError:
        if isinstance(error, DelphiAssetsError):
            return error
        return DataError(
            f"a batch could not be dealt with: {type(error).__name__}: "
            f"{self._scrub(str(error))[:500]} - what was submitted is stored in batches/ of the "
            "lake; start again to continue."
        )
