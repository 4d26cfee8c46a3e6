"""Whether the calls of a stage go on: one flag, which every call looks at before it is sent."""

import asyncio
from contextlib import suppress

from delphi_assets.errors import DelphiAssetsError


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
