"""One event loop a stage, and a bounded number of jobs in it.

`run` gives a coroutine an event loop of its own, also inside a notebook that has one already.
`for_each` works through jobs with a fixed number of workers, so that memory does not grow with the
number of jobs; the first error stops the others and is raised.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The coroutine's result, from a fresh event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


async def for_each(
    jobs: Iterable[Job], work: Callable[[Job], Awaitable[None]], workers: int
) -> None:
    """Await `work(job)` for every job, `workers` at a time; jobs are drawn as workers get free."""
    source, turn = iter(jobs), asyncio.Lock()
    done = object()

    async def worker() -> None:
        while True:
            async with turn:
                job = await asyncio.to_thread(next, source, done)
            if job is done:
                return
            await work(job)  # type: ignore[arg-type]

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
