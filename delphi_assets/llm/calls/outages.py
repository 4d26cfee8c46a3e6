"""Whether the calls of a stage go on: one flag, which every call looks at before it is sent.

An `Outage` finds a reason to stop: a server that stays down.
"""

import asyncio
from contextlib import suppress

from delphi_assets.errors import DelphiAssetsError, ServerError
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion


class Stop:
    """The first reason to stop is the one that every caller is told."""

    def __init__(self) -> None:
        self._error: DelphiAssetsError | None = None
        self._given = asyncio.Event()

    def give(self, error: DelphiAssetsError) -> None:
        """Stop for this reason, unless there was one before."""
        self._error = self._error or error
        self._given.set()

    def check(self) -> None:
        """Raise the reason, if there is one."""
        if self._error is not None:
            # The reason holds what a server said, scrubbed; its cause and context may hold keys.
            raise type(self._error)(str(self._error)) from None

    async def rest(self, seconds: float) -> None:
        """Wait, but no longer than until the stage stops."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._given.wait(), seconds)


class Outage:
    """Counts the questions in a row whose every try was lost or broken on the way."""

    def __init__(self, limit: int, model: str, server: str) -> None:
        self._limit, self._model, self._server = limit, model, server
        self._failed = 0

    def count(self, completion: Completion) -> None:
        """Raises `ServerError` when it is the last failure of so many; its row is stored."""
        if completion.failure not in failures.RETRYABLE:
            self._failed = 0
            return
        self._failed += 1
        if self._failed >= self._limit:
            raise ServerError(
                f"{self._failed} questions in a row to model = {self._model!r} failed at "
                f"{self._server}, the last one (tries: {completion.attempts}) with "
                f"{completion.error!r}. Answers that arrived are stored, and the next run asks "
                "again what failed: see that the server answers, and start again. If it does, and "
                f"only these questions fail, raise llm.max_failures_in_a_row = {self._limit}."
            )
