"""One event loop a stage, and a bounded number of jobs in it.

`run` gives a coroutine an event loop in a thread of its own, so that it works the same in a script
and in a notebook, which has a loop already, and so that both can be interrupted.
`for_each` works through jobs with a fixed number of workers, so that memory does not grow with the
number of jobs; the first error stops the others and is raised.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from delphi_assets.ground.interrupts import terminable

Job = TypeVar("Job")
Result = TypeVar("Result")

DRAWING = 0.01
"""Seconds after which no further job is drawn at once."""
AT_ONCE = 10.0
"""Seconds in which a second interrupt is the first one, sent again."""


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The coroutine's result, from a fresh event loop.

    Whatever interrupts the caller meanwhile, SIGTERM too, cancels the coroutine, and is raised once
    the coroutine has put away what it had.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)

    def work() -> Result:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.get_loop().run_until_complete(task)

    with terminable(), ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        try:
            return done.result()
        except BaseException:
            # The loop is closed when the coroutine ended on its own, or just now.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
            _put_away(done)
            raise


def _put_away(done: Future[Result]) -> None:
    """Wait for the end of a coroutine; an interrupt that is sent again at once does not end that.

    A scheduler tells every process of a job, and Dagster tells those that it has started.
    """
    end = time.monotonic() + AT_ONCE
    while not done.done():
        try:
            wait([done])
        except BaseException:
            if time.monotonic() > end:
                raise


async def for_each(
    jobs: Iterable[Job], work: Callable[[Job], Awaitable[None]], workers: int
) -> None:
    """Await `work(job)` for every job, `workers` at a time.

    Jobs are drawn as workers get free, in a thread, as drawing may take long; up to `workers` at
    once where it does not, as a thread may wait for a busy event loop longer than it works.
    """
    source, turn = iter(jobs), asyncio.Lock()
    drawn: deque[Job] = deque()

    def draw() -> None:
        end = time.monotonic() + DRAWING
        for job in islice(source, workers):
            drawn.append(job)
            if time.monotonic() > end:
                return

    async def worker() -> None:
        while True:
            async with turn:
                if not drawn:
                    await asyncio.to_thread(draw)
                if not drawn:
                    return
                job = drawn.popleft()
            await work(job)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise _first(errors) from None


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
