"""What the LLM layer costs beside the calls themselves.

    python -m benchmarks.llm [--calls 3000] [--memory-calls 100000] [--stored 100000]

A server in a process of its own answers every call after a fixed 200 ms; 64 calls are open at a
time. A prompt has about 7,000 characters, the larger part of it the same each time.

1. `throughput`: calls a second by the client, and by LiteLLM alone with the same arguments, as
   shares of the ideal (64 / 0.2 s = 320 a second), each the best of `--rounds`; CPU time a call of
   both. Rounds of the two alternate, as other work on the machine slows both.
2. `memory`: resident memory after a tenth of the calls and at the end, MiB.
3. `resume`: seconds until a client on a table of so many answers has its first one from there,
   LiteLLM being imported.

Prints JSON.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from delphi_assets.lake import Lake
from delphi_assets.llm import Client, Message, Request, loop
from delphi_assets.llm.completions import Completion, CompletionLog
from delphi_assets.llm.litellm_calls import arguments, close_clients, import_litellm
from delphi_assets.llm.secrets import endpoint
from delphi_assets.settings import LLMSettings

LATENCY, CONCURRENT, MODEL, RUN = 0.2, 64, "openai/same", "benchmark"
IDEAL = CONCURRENT / LATENCY
INSTRUCTIONS = "Judge whether each excerpt fits the description. " * 100


class Pace(NamedTuple):
    """What a round of calls took."""

    calls_per_second: float
    share_of_ideal: float
    cpu_ms_per_call: float


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.llm", description=__doc__)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-calls", type=int, default=100_000)
    parser.add_argument("--stored", type=int, default=100_000)
    asked = parser.parse_args(given)
    folder = Path(tempfile.mkdtemp())
    try:
        with server() as url:
            found = {
                "throughput": throughput(folder, url, asked.calls, asked.rounds),
                "memory": memory(folder, url, asked.memory_calls),
            }
        found["resume"] = resume(folder, asked.stored)
        json.dump(found, sys.stdout, indent=1)
        sys.stdout.write("\n")
    finally:
        shutil.rmtree(folder)


@contextmanager
def server() -> Iterator[str]:
    """Base URL of a server that is there for as long as the `with` block."""
    command = [sys.executable, "-m", "benchmarks.llm_server", str(LATENCY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def question(number: int) -> Request:
    """A question that differs from all others."""
    asked = f"Description: number {number}\n\n" + "Excerpt: some words of a text\n" * 70
    messages = (Message("system", INSTRUCTIONS), Message("user", asked))
    return Request("detection", MODEL, messages, temperature=0.0, max_tokens=100)


def throughput(folder: Path, url: str, calls: int, rounds: int) -> dict[str, object]:
    """The client's pace beside LiteLLM's own."""
    ours, alone = [], []
    for number in range(rounds):
        ours.append(loop.run(by_client(folder / f"lake{number}", url, calls)))
        alone.append(loop.run(by_litellm(url, calls)))
    best, best_alone = max(ours), max(alone)
    least = min(pace.cpu_ms_per_call for pace in ours)
    least_alone = min(pace.cpu_ms_per_call for pace in alone)
    return {
        "calls": calls,
        "ideal_calls_per_second": IDEAL,
        "client": best._asdict(),
        "litellm_alone": best_alone._asdict(),
        "cpu_ms_per_call_over_litellm": round(least - least_alone, 2),
        "most_calls_per_second_of_one_core": round(1000 / least, 1),
    }


async def by_client(root: Path, url: str, calls: int) -> Pace:
    """Calls as a stage makes them."""
    async with Client(settings(url), MODEL, lake(root), RUN) as client:

        async def ask(number: int) -> None:
            await client.complete(question(number))

        await loop.for_each(range(CONCURRENT), ask, client.workers)
        return await paced(ask, range(CONCURRENT, CONCURRENT + calls), client.workers)


async def by_litellm(url: str, calls: int) -> Pace:
    """The same calls without this library."""
    litellm = import_litellm()

    async def ask(number: int) -> None:
        await litellm.acompletion(**arguments(question(number), "openai", endpoint(url), 60.0))

    await loop.for_each(range(CONCURRENT), ask, CONCURRENT)
    try:
        return await paced(ask, range(CONCURRENT, CONCURRENT + calls), CONCURRENT)
    finally:
        await close_clients(litellm)


async def paced(ask: Callable[[int], Awaitable[None]], numbers: range, workers: int) -> Pace:
    """What asking takes, connections being open."""
    start, cpu = time.perf_counter(), time.process_time()
    await loop.for_each(numbers, ask, workers)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    pace = len(numbers) / seconds
    return Pace(round(pace, 1), round(pace / IDEAL, 3), round(1000 * cpu / len(numbers), 2))


def memory(folder: Path, url: str, calls: int) -> dict[str, object]:
    """Resident memory early and late."""

    async def main() -> list[float]:
        levels = []
        async with Client(settings(url), MODEL, lake(folder / "memory"), RUN) as client:

            async def ask(number: int) -> None:
                await client.complete(question(number))

            for start, end in ((0, calls // 10), (calls // 10, calls)):
                await loop.for_each(range(start, end), ask, client.workers)
                levels.append(resident())
        return levels

    early, late = loop.run(main())
    return {
        "calls": calls,
        "mib_after_a_tenth": round(early, 1),
        "mib_at_the_end": round(late, 1),
        "bytes_per_call": round((late - early) * 2**20 / max(1, calls - calls // 10)),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def resident() -> float:
    """Resident memory now, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def resume(folder: Path, stored: int) -> dict[str, object]:
    """Time to the first stored answer, of a table as a long run leaves it."""
    filled = lake(folder / "resume")

    async def fill() -> None:
        async with CompletionLog(filled, RUN) as log:

            async def append(number: int) -> None:
                await log.append(answered(number))

            await loop.for_each(range(stored), append, 2 * CONCURRENT)

    loop.run(fill())

    async def first() -> float:
        start = time.perf_counter()
        async with Client(settings("http://127.0.0.1:9/v1"), MODEL, filled, RUN) as client:
            assert (await client.complete(question(stored // 2))).answer is not None
            return time.perf_counter() - start

    import_litellm()
    files = len(list((folder / "resume" / "completions").rglob("*.parquet")))
    return {"stored": stored, "files": files, "seconds": round(loop.run(first()), 2)}


def answered(number: int) -> Completion:
    """The row of a question's answer."""
    request = question(number)
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


def settings(url: str) -> LLMSettings:
    """Settings of every client here."""
    return LLMSettings(api_base=url, max_concurrent=CONCURRENT)


def lake(root: Path) -> Lake:
    """An empty lake."""
    made = Lake(root)
    made.initialize()
    return made


if __name__ == "__main__":
    main()
