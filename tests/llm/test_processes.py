"""Calls from processes of their own: as from this one, and nothing hangs when one is killed."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from delphi_assets.errors import DelphiAssetsError
from delphi_assets.ground.secrets import Scrubber
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.calls import attempts, processes
from delphi_assets.llm.calls.failures import Diagnosis, diagnose, told
from delphi_assets.llm.calls.processes import Processes
from delphi_assets.llm.calls.responses import Reading
from delphi_assets.llm.calls.sending import Called, Calls, Sender
from tests.parts.asking import MODEL, ask, complete, made, settings_of, stored
from tests.parts.family import runs
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

TIMEOUT = 30.0
"""Seconds; the first call of a process loads half of LiteLLM."""

MOST = 2**20
"""Bytes of a reply."""


def started(parent: int) -> list[int]:
    """The processes for calls that `parent` has now, zombies left out."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                command = (path / "cmdline").read_text(encoding="utf-8")
            except OSError:
                continue
            if fields[1] == str(parent) and fields[0] != "Z" and processes.__name__ in command:
                found.append(int(path.name))
    return found


def wait_until_gone(pids: list[int]) -> None:
    """Fails when one of the processes is still there after a minute."""
    end = time.monotonic() + 60
    while left := [pid for pid in pids if runs(pid)]:
        assert time.monotonic() < end, f"{left} still there"
        time.sleep(0.05)


PROMPTS = {
    "fine": Reply("fine", logprobs=[("yes", {"yes": -0.1, "no": -2.5})]),
    "busy": Reply(status=429, headers={"Retry-After": "7"}),
    "broken": Reply(status=500),
    "dropped": Reply(drop=True),
    "refused": Reply(text=None, refusal="I won't"),
    "key": Reply(status=401),
}


def test_a_call_ends_as_from_this_process_and_no_secret_is_in_the_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key-1234")
    piped: list[bytes] = []
    pack, unpack = processes._message, processes._received

    def packed(content: object) -> bytes:
        piped.append(pack(content))
        return piped[-1]

    async def received(reader: asyncio.StreamReader) -> object:
        content = await unpack(reader)
        piped.append(pack(content))
        return content

    monkeypatch.setattr(processes, "_message", packed)
    monkeypatch.setattr(processes, "_received", received)

    def answer(asked: Asked) -> Reply:
        reply = PROMPTS[asked.prompt]
        return replace(reply, error=f"{asked.headers} http://joe:hunter22@host/v1")

    async def outcome(sender: Sender, prompt: str) -> Reading | tuple[str, Diagnosis]:
        try:
            return await sender.send(ask(prompt))
        except Exception as error:  # noqa: BLE001
            return scrub(told(error)), diagnose(error)

    async def outcomes(sender: Sender) -> list[Reading | tuple[str, Diagnosis]]:
        await sender.ready()
        return [await outcome(sender, prompt) for prompt in PROMPTS]

    async def both() -> None:
        url = server.url.replace("http://", "http://joe:hunter22@")
        called = Called(MODEL, url, TIMEOUT, MOST)
        async with Calls(called) as calls:
            here = await outcomes(calls)
        async with Processes(1, called) as there:
            assert await outcomes(there) == here
        assert [one if isinstance(one, Reading) else one[1].code for one in here[1:4]] == [
            "rate_limit",
            "server_error",
            "connection",
        ]

    scrub = Scrubber(("hunter22", "am9lOmh1bnRlcjIy"))
    with FaultServer(answer) as server:
        loop.run(both())
        assert [asked.prompt for asked in server.asked] == [*PROMPTS] * 2
        keys = {asked.headers.get("authorization") for asked in server.asked}
        assert keys == {"Basic am9lOmh1bnRlcjIy"}
    assert b"AuthenticationError" in b"".join(piped)
    for secret in (b"planted-key-1234", b"hunter22", b"am9lOmh1bnRlcjIy"):
        assert secret not in b"".join(piped)
    assert started(os.getpid()) == []


def test_calls_of_a_killed_process_are_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)
    killed = threading.Event()

    def answer(asked: Asked) -> Reply:
        killed.wait(300)
        return Reply(asked.prompt)

    async def kill_one() -> list[str | None]:
        given = settings_of(server.url, processes=2, timeout=300.0, max_concurrent=20)
        async with Client(given, MODEL, made(tmp_path), "run") as client:
            calls = [asyncio.create_task(client.complete(ask(str(i)))) for i in range(8)]
            while len(server.asked) < 8:
                await asyncio.sleep(0.05)
            first, second = started(os.getpid())
            os.kill(first, signal.SIGKILL)
            killed.set()
            answers = [(await call).answer for call in calls]
            assert (await client.complete(ask("later"))).answer == "later"
            now = started(os.getpid())
            assert len(now) == 2
            assert first not in now
            assert second in now
            return answers

    with FaultServer(answer) as server:
        assert loop.run(kill_one()) == [str(number) for number in range(8)]
        assert len(server.asked) == 8 + 4 + 1, "half of the calls were the killed process's"
    assert sorted(row["attempts"] for row in stored(tmp_path)) == [1] * 5 + [2] * 4  # type: ignore[type-var]
    assert started(os.getpid()) == []


@pytest.mark.parametrize(
    ("python", "told"), [("/bin/false", "code 1 when it was started"), ("/none", "No such file")]
)
def test_a_process_that_cannot_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str, told: str
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    with pytest.raises(DelphiAssetsError, match=rf"{told}.*llm\.processes = 1"):
        complete(tmp_path, "http://127.0.0.1:9/v1", ["x"], processes=2)


def test_one_that_hangs_as_it_starts_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, told = tmp_path / "python", tmp_path / "pid"
    hanging.write_text(f"#!/bin/sh\necho $$ > {told}\nexec sleep 1000\n", encoding="ascii")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))

    async def leave() -> None:
        async with Client(given, MODEL, made(tmp_path), "run") as client:
            asking = asyncio.create_task(client.complete(ask("x")))
            while not (told.exists() and told.read_text(encoding="ascii")):
                await asyncio.sleep(0.05)
        assert asking.cancelled() or await asyncio.wait([asking])

    given = settings_of("http://127.0.0.1:9/v1", processes=2, timeout=0.2)
    loop.run(asyncio.wait_for(leave(), 30))
    wait_until_gone([int(told.read_text(encoding="ascii"))])


STAGE = """
import sys
import threading
from pathlib import Path
from tests.parts.asking import complete
complete(Path(sys.argv[1]), sys.argv[2], ["a", "b", "c"], processes=2, timeout=300.0)
"""


def test_who_is_interrupted_waits_for_the_calls_that_are_paid_for(tmp_path: Path) -> None:
    interrupted = threading.Event()

    def answer(asked: Asked) -> Reply:
        interrupted.wait(300)
        return Reply("paid", delay=1.0)

    with FaultServer(answer) as server:
        with running(STAGE, str(tmp_path), server.url) as stage:
            while len(server.asked) < 3:
                time.sleep(0.05)
            pids = started(stage.pid)
            assert len(pids) == 2
            # As a terminal does it: to the process group of what runs in the foreground.
            os.killpg(stage.pid, signal.SIGINT)
            interrupted.set()
            assert stage.wait(300) != 0
        wait_until_gone(pids)
    assert [row["answer"] for row in stored(tmp_path)] == ["paid"] * 3


STARTED = """
import asyncio
from delphi_assets.llm.calls.processes import Processes
from delphi_assets.llm.calls.sending import Called
async def main():
    called = Called("openai/tiny", "http://127.0.0.1:9/v1", 30.0, 2**20)
    async with Processes(1, called) as processes:
        await processes.ready()
        print("ready", flush=True)
        await asyncio.sleep(1000)
asyncio.run(main())
"""


def test_processes_end_with_a_parent_that_is_killed() -> None:
    with running(STARTED) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        pids = started(parent.pid)
        assert len(pids) == 1
        parent.kill()
    wait_until_gone(pids)


@contextmanager
def running(code: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A process of its own group that runs `code`; killed at the end, if it is still there."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        process_group=0,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
