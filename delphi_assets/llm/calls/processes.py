"""Calls from processes of their own, for when LiteLLM keeps a whole processor busy.

In: `Request`s, sent through a pipe. Out: a `Reading` or an error each, through another.

1. The first call starts `llm.processes` processes; each opens the transport, and says so.
2. A request goes to the process with the fewest open calls.
3. A process that ends takes its open calls along: what came of them is not known, as with a lost
   connection, and they are tried again. The next call starts it anew.

What decides or stores (places, rates, budgets, retries, rows) stays in the parent. No key goes
through a pipe: a process has its parent's environment, and the base URL, which may hold a password,
in the variable API_BASE; errors are scrubbed where they are raised. A process ends with its parent,
however that ends, because its pipe does. Neither the terminal's Ctrl-C nor SIGTERM, which a
scheduler sends to all processes of a job, ends it, so that the parent can wait for the calls that
are paid for.
"""

import asyncio
import gc
import os
import pickle
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from delphi_assets.errors import DelphiAssetsError
from delphi_assets.ground.secrets import ScrubbedLogs, Scrubber, endpoint
from delphi_assets.llm.calls.failures import DiagnosedError, diagnose, told
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.responses import Reading
from delphi_assets.llm.calls.sending import Called, Calls

API_BASE = "DELPHI_ASSETS_PROCESS_API_BASE"
"""Environment variable of a process: where its calls go."""
LENGTH = 4
"""Bytes before a message that say how long it is."""


class Call(NamedTuple):
    """A call to make."""

    number: int
    request: Request


class CallOutcome(NamedTuple):
    """What came of a call."""

    number: int
    result: Reading | DiagnosedError | DelphiAssetsError


class Processes:
    """`n` processes that call one model. Use with `async with`, in one event loop."""

    def __init__(self, n: int, called: Called) -> None:
        # A process finds the modules that its parent finds.
        place = {"PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)}
        if called.api_base is not None:
            place[API_BASE] = called.api_base
        called = called._replace(api_base=None)
        self._processes = [_Process(called, os.environ | place) for _ in range(n)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.gather(*[process.end() for process in self._processes])

    async def ready(self) -> None:
        """Start the processes that are not there; raises `DelphiAssetsError` when one cannot be."""
        await asyncio.gather(*[process.ready() for process in self._processes])

    async def send(self, request: Request) -> Reading:
        """One attempt, by the process with the fewest open calls.

        Raises `DiagnosedError` for a call that failed, `ConnectionError` when its process ended,
        and a `DelphiAssetsError` that stops the stage.
        """
        return await min(self._processes, key=lambda process: process.n_open).send(request)


class _Process:
    """One process as its parent sees it."""

    def __init__(self, called: Called, environment: Mapping[str, str]) -> None:
        self._called, self._environment = called, environment
        self._numbers = count()
        self._open: dict[int, asyncio.Future[Reading]] = {}
        self._starting: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def n_open(self) -> int:
        """Calls that it is making."""
        return len(self._open)

    async def ready(self) -> asyncio.subprocess.Process:
        """The process, once it can be sent questions; all who wait share one start."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        return await asyncio.shield(self._starting)

    async def send(self, request: Request) -> Reading:
        """One attempt."""
        process = await self.ready()
        number = next(self._numbers)
        answer: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        assert process.stdin is not None
        process.stdin.write(_message(Call(number, request)))
        try:
            return await answer
        finally:
            self._open.pop(number, None)

    async def end(self) -> None:
        """Kill the process: nothing that it still does is of use."""
        starting = self._starting
        if starting is None:
            return
        # One that hangs as it starts would be waited for for ever.
        starting.cancel()
        await asyncio.wait([starting])
        if not starting.cancelled() and starting.exception() is None:
            with suppress(ProcessLookupError):
                starting.result().kill()
        if self._listening is not None:
            await self._listening

    async def _start(self) -> asyncio.subprocess.Process:
        command = sys.executable, "-P", "-c", f"from {__name__} import main; main()"
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=self._environment,
                process_group=0,
            )
        except OSError as error:
            raise DelphiAssetsError(
                f"{command[0]} cannot be started as a process for LLM calls: {error}; with "
                "llm.processes = 1 there is none."
            ) from None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(_message(self._called))
        try:
            await _received(process.stdout)
        except EOFError:
            raise DelphiAssetsError(
                f"a process for LLM calls ended with code {await process.wait()} when it was "
                "started; what it printed says why. With llm.processes = 1 there is none."
            ) from None
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        self._listening = asyncio.create_task(self._listen(process, process.stdout))
        return process

    async def _listen(
        self, process: asyncio.subprocess.Process, outcomes: asyncio.StreamReader
    ) -> None:
        with suppress(EOFError, OSError):
            while True:
                number, result = await _received(outcomes)
                answer = self._open.get(number)
                if answer is None or answer.done():
                    continue
                if isinstance(result, BaseException):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)
        self._starting = None
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the process of this call has ended"))
        await process.wait()


def main() -> None:
    """Make calls until standard input ends."""
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.SIG_IGN)
    # What a library prints must not get between the messages.
    outcomes = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asyncio.run(_work(outcomes))


async def _work(outcomes: BinaryIO) -> None:
    questions = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(questions), sys.stdin
    )
    called: Called = await _received(questions)
    api_base = os.environ.pop(API_BASE, None)
    scrub = Scrubber(endpoint(api_base).secrets)
    answered = count()

    def say(message: object) -> None:
        outcomes.write(_message(message))
        outcomes.flush()

    async def answer(question: Call) -> None:
        result: Reading | DiagnosedError | DelphiAssetsError
        try:
            async with asyncio.timeout(called.timeout):
                result = await calls.send(question.request)
        except DelphiAssetsError as error:
            result = type(error)(scrub(str(error)))
        # Whatever it is, the parent waits for it.
        except Exception as error:  # noqa: BLE001
            result = DiagnosedError(scrub(told(error)), diagnose(error))
        say(CallOutcome(question.number, result))
        if next(answered) == 0:
            # What LiteLLM has loaded stays: looking through it halts all calls for 0.1 s and more.
            gc.freeze()

    answering = set()
    async with Calls(called._replace(api_base=api_base)) as calls:
        say(called)
        with ScrubbedLogs(scrub), suppress(EOFError):
            while True:
                task = asyncio.create_task(answer(await _received(questions)))
                answering.add(task)
                task.add_done_callback(answering.discard)


def _message(content: object) -> bytes:
    data = pickle.dumps(content)
    return len(data).to_bytes(LENGTH, "big") + data


async def _received(reader: asyncio.StreamReader) -> Any:
    """The next message; raises `EOFError` when there is none."""
    length = int.from_bytes(await reader.readexactly(LENGTH), "big")
    return pickle.loads(await reader.readexactly(length))
