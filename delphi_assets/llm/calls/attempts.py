"""One call to a server, tried until it has an answer or has failed for good.

1. Time-outs, lost connections, 408, 429 and 5xx are retried after
   FIRST_PAUSE * 2**retries seconds, halved at most by seeded jitter, or as long as Retry-After
   says; other errors are final.
2. A refused key, an account without money (401, 402, 403, or said in words) or an unknown model
   (404) stops the stage: every other call would fail in the same way. A 403 that speaks of
   moderation is the answer to this request alone.
3. A server to which no connection was ever made, after FIRST_TRIES of a call, stops the stage too:
   the address is wrong, or it does not run. One that goes away later is retried.
4. Errors are scrubbed of secrets (`ground.secrets`) before they are kept, logged or raised.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from delphi_assets.errors import DelphiAssetsError, ServerError, SettingError
from delphi_assets.ground.secrets import Scrubber
from delphi_assets.llm.calls.failures import Diagnosis, diagnose, told
from delphi_assets.llm.calls.outages import Stop
from delphi_assets.llm.calls.transport import transport_of
from delphi_assets.settings import LLMSettings

FIRST_PAUSE = 1.0
"""Seconds until the first retry."""
FIRST_TRIES = 2
"""Tries of a call after which a server that nothing has reached counts as not there."""
LONGEST_PAUSE = 60.0
"""Seconds that backoff never exceeds."""
LONGEST_WAIT = 600.0
"""Seconds of Retry-After that are honoured; a server that asks for more has failed the call."""

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Failure(NamedTuple):
    """Why a call failed for good."""

    code: str
    message: str
    """Without secrets."""


class Attempted(NamedTuple, Generic[Result]):
    """What a call came to: a result or a failure."""

    result: Result | None
    failure: Failure | None
    seconds: float
    """Of the last attempt."""
    attempts: int


class Attempts:
    """Calls the server of one model."""

    def __init__(self, settings: LLMSettings, model: str, stop: Stop, scrub: Scrubber) -> None:
        self._settings, self._model = settings, model
        self._stop, self._scrub = stop, scrub
        self._reached = False
        self.sent = 0
        """Requests sent so far, retries among them."""

    async def make(
        self,
        call: Callable[[], Awaitable[Result]],
        jitter: random.Random,
        wait: Callable[[], float] = lambda: 0.0,
    ) -> Attempted[Result]:
        """Await `call()` until it succeeds or fails for good, `wait()` seconds before each time.

        Raises the reason to stop once the stage stops, and gives it when key or model is refused.
        Raises `ServerError` when nothing reaches the server.
        """
        attempt = 0
        while True:
            await self._stop.rest(wait())
            self._stop.check()
            attempt += 1
            result, error, seconds = await self._try(call)
            if error is None:
                self._reached = True
                return Attempted(result, None, seconds, attempt)
            diagnosis = diagnose(error)
            message = self._scrub(told(error))
            if diagnosis.fatal:
                self._refuse(message)
            pause = self._pause(attempt, diagnosis, jitter)
            self._reached = self._reached or diagnosis.unreachable is None
            if not self._reached and (pause is None or attempt >= FIRST_TRIES):
                raise self._absent(diagnosis)
            if pause is None:
                return Attempted(None, Failure(diagnosis.code, message), seconds, attempt)
            log.info("%s, retry %d in %.1f s", diagnosis.code, attempt, pause)
            await self._stop.rest(pause)

    async def _try(
        self, call: Callable[[], Awaitable[Result]]
    ) -> tuple[Result | None, BaseException | None, float]:
        self.sent += 1
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.timeout):
                result = await call()
        except DelphiAssetsError:
            raise
        except Exception as error:  # noqa: BLE001 - what transports raise is in no document
            return None, error, time.perf_counter() - start
        return result, None, time.perf_counter() - start

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

    def _absent(self, diagnosis: Diagnosis) -> ServerError:
        given = self._settings.api_base
        check = f"llm.api_base = {given!r}" if given else "the connection to the provider"
        return ServerError(
            self._scrub(
                f"the server of model = {self._model!r} cannot be reached ({diagnosis.unreachable})"
                f": check {check}, and that the server runs, and start again; nothing was sent."
            )
        )

    def _refuse(self, message: str) -> None:
        self._stop.give(
            SettingError(
                f"the server refused model = {self._model!r}: {message[:500]} - check "
                f"{transport_of(self._settings, self._model).suspects(self._model)}; answers that "
                "arrived are stored, and the next run continues behind them."
            )
        )
        self._stop.check()
