"""Calls LLMs through LiteLLM: bounded, retried, stored before used.

In: `Request`s. Out: `Completion`s, each of which is on disk when the caller gets it.

1. Two identical requests in flight share one call; a stored answer is taken from the table.
2. At most `max_concurrent` calls are open. A call waiting to be retried keeps its place, so a
   server that says "slow down" is sent less.
3. Time-outs, lost connections, 408, 429 and 5xx are retried after
   FIRST_PAUSE * 2**retries seconds, halved at most by jitter seeded with run and request, or as
   long as Retry-After says; other errors are the answer to this request and are not.
4. A refused key (401, 402, 403) or an unknown model (404) stops the stage: every other call would
   fail in the same way. A 403 that speaks of moderation is the answer to this request alone.
5. A stage that stops, whatever the reason, sends nothing more, but waits for the calls that are
   open and stores their answers: they are paid for.
6. Errors are scrubbed of secrets (`llm.secrets`) before they are stored, logged or raised.
"""

import asyncio
import logging
import os
import random
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, NamedTuple, NoReturn, Self

from delphi_assets.errors import SettingError
from delphi_assets.lake import Lake
from delphi_assets.llm.completions import Completion, CompletionLog, failed
from delphi_assets.llm.failures import Diagnosis, diagnose
from delphi_assets.llm.reading import read_response
from delphi_assets.llm.requests import Request
from delphi_assets.llm.secrets import ScrubbedLogs, Scrubber, endpoint
from delphi_assets.settings import LLMSettings
from delphi_assets.stage import Fact

FIRST_PAUSE = 1.0
"""Seconds until the first retry."""
LONGEST_PAUSE = 60.0
"""Seconds that backoff never exceeds."""
LONGEST_WAIT = 600.0
"""Seconds of Retry-After that are honoured; a server that asks for more has failed the call."""
TOP_LOGPROBS = 5
"""Alternatives a token that log-probabilities are asked for."""

log = logging.getLogger(__name__)


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


class _Outcome(NamedTuple):
    """One attempt: a response, or what went wrong."""

    response: Any
    error: BaseException | None
    seconds: float


class Client:
    """Asks one model for one run. Use with `async with`, in one event loop.

    Entering raises `SettingError` when LiteLLM does not know the model's provider.
    """

    def __init__(
        self, settings: LLMSettings, model: str, lake: Lake, run: str, seed: int = 0
    ) -> None:
        self._settings, self._model, self._run, self._seed = settings, model, run, seed
        self._endpoint = endpoint(settings.api_base)
        self._scrub = Scrubber(self._endpoint.secrets)
        self._places = asyncio.Semaphore(settings.max_concurrent)
        self._open: dict[str, asyncio.Task[Completion]] = {}
        self._stopped: str | None = None
        self._stopping = asyncio.Event()
        self._log = CompletionLog(lake, run)
        self._stack = AsyncExitStack()
        self.usage = Usage()

    async def __aenter__(self) -> Self:
        self._litellm = import_litellm()
        try:
            _, self._provider, *_ = self._litellm.get_llm_provider(self._model)
        except self._litellm.BadRequestError:
            raise SettingError(
                f"model = {self._model!r}: LiteLLM knows no such provider; expected "
                "<provider>/<model>, for example 'openrouter/anthropic/claude-3.5-sonnet', or "
                "'openai/<name>' with llm.api_base for a server of your own."
            ) from None
        self._stack.enter_context(ScrubbedLogs(self._scrub))
        self._stack.push_async_callback(_close_clients, self._litellm)
        await self._stack.enter_async_context(self._log)
        self._stack.push_async_callback(self._finish_open)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def complete(self, request: Request) -> Completion:
        """The answer to `request`, or the row of its failure; both are on disk.

        Raises `SettingError` when the key or the model name is refused.
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
        stored = await self._log.find(request.hash)
        if stored is not None:
            self.usage.reused += 1
            return stored
        async with self._places:
            completion = await self._ask(request)
        self.usage.add(completion)
        await self._log.append(completion)
        return completion

    async def _ask(self, request: Request) -> Completion:
        jitter = random.Random(f"{self._seed}|{self._run}|{request.hash}")
        attempt = 0
        while True:
            if self._stopped is not None:
                raise SettingError(self._stopped)
            attempt += 1
            outcome = await self._send(request)
            if outcome.error is None:
                return read_response(request, outcome.response, outcome.seconds, attempt)
            diagnosis = diagnose(outcome.error)
            message = self._scrub(f"{type(outcome.error).__name__}: {outcome.error}")
            if diagnosis.fatal:
                self._stop(request, message)
            pause = self._pause(attempt, diagnosis, jitter)
            if pause is None:
                return failed(request, diagnosis.code, message, outcome.seconds, attempt)
            log.info("%s, retry %d in %.1f s", diagnosis.code, attempt, pause)
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        """Wait until the next attempt, or until the stage stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _send(self, request: Request) -> _Outcome:
        import openai

        self.usage.sent += 1
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.timeout):
                response = await self._litellm.acompletion(**self._arguments(request))
        except (openai.OpenAIError, OSError, ValueError, TypeError, KeyError) as error:
            return _Outcome(None, error, time.perf_counter() - start)
        return _Outcome(response, None, time.perf_counter() - start)

    def _arguments(self, request: Request) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": request.model,
            "messages": [message._asdict() for message in request.messages],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "timeout": self._settings.timeout,
            "max_retries": 0,
            "num_retries": 0,
            "drop_params": True,
        }
        if request.logprobs:
            arguments |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        if request.schema is not None:
            arguments["response_format"] = _response_format(request.schema)
        if self._endpoint.url is not None:
            arguments["api_base"] = self._endpoint.url
            if self._provider == "openai" and not os.environ.get("OPENAI_API_KEY"):
                # A server of one's own often needs no key, but the client insists on one.
                arguments["api_key"] = "none"
        if self._endpoint.authorization is not None:
            arguments["extra_headers"] = {"Authorization": self._endpoint.authorization}
        return arguments

    def _pause(self, attempt: int, diagnosis: Diagnosis, jitter: random.Random) -> float | None:
        """Seconds until the next attempt; None when there is none."""
        if not diagnosis.retryable or attempt > self._settings.max_retries:
            return None
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1))
        pause *= jitter.uniform(0.5, 1)
        if diagnosis.retry_after is None:
            return pause
        if diagnosis.retry_after > LONGEST_WAIT:
            return None
        return max(pause, diagnosis.retry_after)

    def _stop(self, request: Request, message: str) -> NoReturn:
        missing = self._litellm.validate_environment(request.model).get("missing_keys") or []
        keys = " or ".join(missing) or f"{self._provider.upper()}_API_KEY"
        self._stopped = (
            f"the server refused model = {request.model!r}: {message[:500]} - check the name of "
            f"the model and the environment variable {keys}; answers that arrived are stored, and "
            "the next run continues behind them."
        )
        self._stopping.set()
        raise SettingError(self._stopped) from None

    async def _finish_open(self) -> None:
        """Wait for the calls that are open, no longer than the time-out of a request."""
        self._stopped = self._stopped or "the stage was stopped; start it again to continue."
        self._stopping.set()
        if tasks := list(self._open.values()):
            _, late = await asyncio.wait(tasks, timeout=self._settings.timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def import_litellm() -> Any:
    """LiteLLM, quiet and offline: it brings its own prices, prints nothing, calls no home."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.telemetry = False
    return litellm


def _response_format(schema: str) -> dict[str, Any]:
    import json

    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": json.loads(schema)},
    }


async def _close_clients(litellm: ModuleType) -> None:
    """Close LiteLLM's HTTP clients: they belong to this event loop and must not outlive it."""
    await litellm.close_litellm_async_clients()
    litellm.in_memory_llm_clients_cache.flush_cache()
