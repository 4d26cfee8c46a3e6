"""Many waiting callers, one operation at a time: group commit.

In: items handed over by coroutines. Out: each caller continues when the operation that carried its
item is done.

1. A caller puts its item in the line and waits.
2. One worker takes everything in the line and runs the operation on it once, in a thread.
3. All callers of that group continue with their results, or with the operation's error.

While an operation runs, the line grows, so groups get larger exactly when operations are slow. With
a `pause` the worker rests so long after each operation: fewer and larger groups.
"""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """Runs `operation(items)`, which returns a result an item, in groups. Use with `async with`."""

    def __init__(
        self, operation: Callable[[Sequence[Item]], Sequence[Result]], pause: float = 0.0
    ) -> None:
        self._operation, self._pause = operation, pause
        self._line: list[tuple[Item, asyncio.Future[Result]]] = []
        self._arrived = asyncio.Event()
        self._closing = False
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish what is in the line, also when the stage is being stopped."""
        self._closing = True
        self._arrived.set()
        if self._worker is not None:
            await asyncio.shield(self._worker)

    async def submit(self, item: Item) -> Result:
        """The operation's result for `item`, once the group that carries it is done."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._line.append((item, future))
        self._arrived.set()
        return await future

    async def _work(self) -> None:
        while self._line or not self._closing:
            await self._arrived.wait()
            self._arrived.clear()
            group, self._line = self._line, []
            if group:
                await self._run(group)
                await asyncio.sleep(0 if self._closing else self._pause)

    async def _run(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        futures = [future for _, future in group]
        try:
            results = await asyncio.to_thread(self._operation, [item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - each waiting caller raises it
            for future in futures:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)
