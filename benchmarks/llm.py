"""What the LLM layer costs beside the calls themselves.

    python -m benchmarks llm [--parts throughput memory resume] [--model openai/same]
        [--processes 2] [--calls 3200] [--memory-calls 100000] [--stored 100000]

A server in a process of its own answers every call alike. A prompt has about 7,000 characters, the
larger part of it the same each time; 64 calls are open at a time.

1. `throughput`: the server answers after a fixed 200 ms. Calls a second by the client in one
   process, by the client with `--processes` further ones, and by LiteLLM alone with the same
   arguments, as shares of the ideal (64 / 0.2 s = 320 a second), each the best of `--rounds`; the
   least CPU time a call of each, with all its processes, and of the server. The three alternate,
   as other work on the machine slows all. Client and server share the machine's processors: see
   `processors`.
2. `memory`: the server answers at once. Resident memory after a tenth of the calls and at the end,
   MiB, of the client's process and of the others together.
3. `resume`: seconds until a client on a table of so many answers has its first one from there,
   LiteLLM being imported.

Reads /proc, so it needs Linux.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.parts.memory import peak, resident
from benchmarks.parts.record import Measured, Numbers, in_unit, of
from delphi_assets.ground.secrets import endpoint
from delphi_assets.lake.lake import Lake
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.calls.completions import Completion, CompletionLog
from delphi_assets.llm.calls.litellm_calls import arguments as litellm_arguments
from delphi_assets.llm.calls.litellm_calls import close_clients, import_litellm, served
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.settings import LLMSettings

LATENCY, CONCURRENT, RUN = 0.2, 64, "benchmark"
IDEAL = CONCURRENT / LATENCY
PARTS = ("throughput", "memory", "resume")
INSTRUCTIONS = "Judge whether each excerpt fits the description. " * 100


class Server(NamedTuple):
    """The server of a measurement."""

    url: str
    pid: int


class Pace(NamedTuple):
    """What a round of calls took."""

    calls_per_second: float
    share_of_ideal: float
    cpu_ms_per_call: float
    """Of all processes that make calls."""
    parent_cpu_ms_per_call: float
    server_cpu_ms_per_call: float

    @property
    def numbers(self) -> Numbers:
        """With their units."""
        return {
            **in_unit("calls/s", pace=self.calls_per_second),
            **in_unit("of the ideal", share=self.share_of_ideal),
            **in_unit(
                "ms of CPU a call",
                all_processes=self.cpu_ms_per_call,
                parent=self.parent_cpu_ms_per_call,
                server=self.server_cpu_ms_per_call,
            ),
        }


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured, and how many calls."""
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--model", default="openai/same")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--calls", type=int, default=3_200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-calls", type=int, default=100_000)
    parser.add_argument("--stored", type=int, default=100_000)


def measure(given: argparse.Namespace) -> Measured:
    """Each part that is asked for."""
    parts = {"throughput": throughput, "memory": memory, "resume": resume}
    numbers: Numbers = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in given.parts:
            numbers |= of(part, parts[part](Path(folder), given))
    return Measured(numbers)


@contextmanager
def server(seconds: float) -> Iterator[Server]:
    """A server that answers after so many seconds, there for as long as the `with` block."""
    command = [sys.executable, "-m", "benchmarks.parts.llm_server", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield Server(f"http://127.0.0.1:{port}/v1", process.pid)
        finally:
            process.kill()


def question(model: str, number: int) -> Request:
    """A question that differs from all others."""
    asked = f"Description: number {number}\n\n" + "Excerpt: some words of a text\n" * 70
    messages = (Message("system", INSTRUCTIONS), Message("user", asked))
    return Request("detection", model, messages, temperature=0.0, max_tokens=100)


def throughput(folder: Path, asked: argparse.Namespace) -> Numbers:
    """The client's pace beside LiteLLM's own."""
    model, calls = asked.model, asked.calls
    several = f"client with {asked.processes} processes"
    paces: dict[str, list[Pace]] = {"client": [], several: [], "LiteLLM alone": []}
    with server(LATENCY) as at:
        for number in range(asked.rounds):
            for name, processes in (("client", 1), (several, asked.processes)):
                root = folder / f"{name} {number}"
                paces[name].append(loop.run(by_client(root, at, model, calls, processes)))
            paces["LiteLLM alone"].append(loop.run(by_litellm(at, model, calls)))
    cpu = {name: min(pace.cpu_ms_per_call for pace in rounds) for name, rounds in paces.items()}
    best: Numbers = {}
    for name, rounds in paces.items():
        best |= of(name, max(rounds).numbers)
    return {
        **in_unit("calls/s", ideal=IDEAL),
        **best,
        **of("least", in_unit("ms of CPU a call", **cpu)),
        **in_unit("ms of CPU a call", over_litellm=round(cpu["client"] - cpu["LiteLLM alone"], 2)),
    }


async def by_client(root: Path, at: Server, model: str, calls: int, processes: int) -> Pace:
    """Calls as a stage makes them."""
    async with Client(settings(at.url, processes), model, lake(root), RUN) as client:

        async def ask(number: int) -> None:
            await client.complete(question(model, number))

        await loop.for_each(range(2 * CONCURRENT), ask, client.workers)
        return await paced(ask, calls, client.workers, at)


async def by_litellm(at: Server, model: str, calls: int) -> Pace:
    """The same calls without this library."""
    litellm, provider = import_litellm(), served(model).provider

    async def ask(number: int) -> None:
        asked = question(model, number)
        await litellm.acompletion(**litellm_arguments(asked, provider, endpoint(at.url), 60.0))

    await loop.for_each(range(2 * CONCURRENT), ask, CONCURRENT)
    try:
        return await paced(ask, calls, CONCURRENT, at)
    finally:
        await close_clients(litellm)


async def paced(
    ask: Callable[[int], Awaitable[None]], calls: int, workers: int, at: Server
) -> Pace:
    """What asking takes, connections and processes being there."""
    numbers = range(2 * CONCURRENT, 2 * CONCURRENT + calls)
    start, own, others, serving = time.perf_counter(), time.process_time(), helping(at), cpu(at.pid)
    await loop.for_each(numbers, ask, workers)
    pace, own = calls / (time.perf_counter() - start), time.process_time() - own
    total = own + helping(at) - others
    return Pace(
        calls_per_second=round(pace, 1),
        share_of_ideal=round(pace / IDEAL, 3),
        cpu_ms_per_call=round(1000 * total / calls, 2),
        parent_cpu_ms_per_call=round(1000 * own / calls, 2),
        server_cpu_ms_per_call=round(1000 * (cpu(at.pid) - serving) / calls, 2),
    )


def helping(at: Server) -> float:
    """CPU seconds so far of the client's further processes."""
    return sum(cpu(pid) for pid in children(at))


def children(at: Server) -> list[int]:
    """The processes that this one has started, but for the server."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if pid != at.pid and status(pid)[1:2] == [str(os.getpid())]]


def cpu(pid: int) -> float:
    """CPU seconds so far of a process and all its threads."""
    return sum(map(int, status(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


def status(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat behind the name, see proc(5); none for one that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def memory(folder: Path, asked: argparse.Namespace) -> Numbers:
    """Resident memory early and late."""
    model, calls = asked.model, asked.memory_calls

    async def main(at: Server) -> list[tuple[float, float]]:
        levels, to = [], settings(at.url, asked.processes)
        async with Client(to, model, lake(folder / "memory"), RUN) as client:

            async def ask(number: int) -> None:
                await client.complete(question(model, number))

            for start, end in ((0, calls // 10), (calls // 10, calls)):
                await loop.for_each(range(start, end), ask, client.workers)
                others = sum(resident(pid) for pid in children(at))
                levels.append((resident(os.getpid()), others))
        return levels

    with server(0.0) as at:
        (early, early_others), (late, late_others) = loop.run(main(at))
    a_call = (late - early) * 2**20 / max(1, calls - calls // 10)
    return {
        **in_unit(
            "MiB",
            after_a_tenth=round(early, 1),
            at_the_end=round(late, 1),
            peak=round(peak(), 1),
            of_the_others_after_a_tenth=round(early_others, 1),
            of_the_others_at_the_end=round(late_others, 1),
        ),
        **in_unit("bytes", a_call=round(a_call)),
    }


def resume(folder: Path, asked: argparse.Namespace) -> Numbers:
    """Time to the first stored answer, of a table as a long run leaves it."""
    filled, model, stored = lake(folder / "resume"), asked.model, asked.stored

    async def fill() -> None:
        async with CompletionLog(filled, RUN) as log:

            async def append(number: int) -> None:
                await log.append(answered(model, number))

            await loop.for_each(range(stored), append, 2 * CONCURRENT)

    loop.run(fill())

    async def first() -> float:
        start = time.perf_counter()
        to = settings("http://127.0.0.1:9/v1")
        async with Client(to, model, filled, RUN) as client:
            assert (await client.complete(question(model, stored // 2))).answer is not None
            return time.perf_counter() - start

    import_litellm()
    files = len(list((folder / "resume" / "completions").rglob("*.parquet")))
    seconds = round(loop.run(first()), 2)
    return {**in_unit("files", files=files), **in_unit("s", first_answer=seconds)}


def answered(model: str, number: int) -> Completion:
    """The row of a question's answer."""
    request = question(model, number)
    return Completion(
        request=request.hash,
        role=request.role,
        model=request.model,
        messages=request.messages_json,
        answer='{"answers": [1, 0, 1, 0, 1]}',
        logprobs=None,
        finish_reason="stop",
        prompt_tokens=1_700,
        cached_tokens=None,
        completion_tokens=12,
        cost=None,
        latency=0.2,
        attempts=1,
        error=None,
    )


def settings(url: str, processes: int = 1) -> LLMSettings:
    """Settings of every client here."""
    return LLMSettings(api_base=url, max_concurrent=CONCURRENT, processes=processes)


def lake(root: Path) -> Lake:
    """An empty lake."""
    made = Lake(root)
    made.initialize()
    return made
