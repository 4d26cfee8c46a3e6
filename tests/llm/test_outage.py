"""A server that stays down, errors that LiteLLM lets through, a client that cannot be entered."""

import asyncio
import logging
import random
import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from delphi_assets.errors import DelphiAssetsError, ServerError, SettingError
from delphi_assets.ground.secrets import ScrubbedLogs, Scrubber
from delphi_assets.lake import database
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.batch import queue
from delphi_assets.llm.calls import attempts
from delphi_assets.llm.calls.attempts import Attempted, Attempts
from delphi_assets.llm.calls.failures import Diagnosis, diagnose
from delphi_assets.llm.calls.outages import Stop
from tests.parts.asking import MODEL, ask, complete, made, settings_of, stored
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

PROMPTS = [str(number) for number in range(40)]


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.01)


@pytest.mark.parametrize("concurrent", [1, 4])
def test_a_server_that_stays_broken_stops_the_stage(tmp_path: Path, concurrent: int) -> None:
    """Ten answers, then nothing but 503: five questions fail, and those open with the last."""

    def answer(asked: Asked) -> Reply:
        return Reply(asked.prompt) if int(asked.prompt) < 10 else Reply(status=503)

    settings: dict[str, Any] = {
        "max_retries": 1,
        "max_concurrent": concurrent,
        "max_failures_in_a_row": 5,
    }
    with FaultServer(answer) as server:
        complete(tmp_path, server.url, PROMPTS[:10], **settings)
        with pytest.raises(
            ServerError,
            match=r"5 questions in a row .*//127\.0\.0\.1.* \(tries: 2\) with 'server_e",
        ):
            complete(tmp_path, server.url, PROMPTS, **settings)
        # A place is free while the row of a failure is written: as many again may have been sent.
        assert len(server.asked) <= 10 + 2 * (5 + 2 * concurrent)
    rows = stored(tmp_path)
    errors = [row["error"] for row in rows if row["error"] is not None]
    assert len(rows) == 10 + len(errors)
    assert 5 <= len(errors) < 5 + 2 * concurrent, "calls that were open may fail as well"
    assert all(str(error).startswith("server_error: ") for error in errors)
    with FaultServer(lambda asked: Reply(asked.prompt)) as server:
        found = complete(tmp_path, server.url, PROMPTS, **settings)
        assert sorted(int(asked.prompt) for asked in server.asked) == list(range(10, 40))
    assert [one.answer for one in found] == PROMPTS


def nobody() -> str:
    """An address of this machine where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("model", [MODEL, "hosted_vllm/tiny"])
@pytest.mark.parametrize("more", [{}, {"processes": 2}, {"max_retries": 0}, {"batch": True}])
def test_a_server_that_is_not_there_is_told_at_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, more: dict[str, object]
) -> None:
    monkeypatch.setattr(queue, "GATHERING", 0.1)
    place = nobody()
    with pytest.raises(
        ServerError, match=rf"'{model}' cannot be reached .*llm\.api_base = .*"
    ) as told:
        complete(tmp_path, f"http://user:planted-word@{place}/v1", PROMPTS, model=model, **more)
    assert place in str(told.value)
    assert "planted-word" not in str(told.value)
    assert not stored(tmp_path), "no question has failed"


def test_a_name_that_nobody_knows_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"cannot be reached \(nobody\.invalid:80: "):
        complete(tmp_path, "http://nobody.invalid/v1", PROMPTS)


def test_a_server_that_does_not_speak_tls_is_told(tmp_path: Path) -> None:
    with (
        FaultServer(lambda asked: Reply()) as server,
        pytest.raises(ServerError, match=r"cannot be reached \(127\.0\.0\.1:\d+: .*SSL"),
    ):
        complete(tmp_path, server.url.replace("http:", "https:"), PROMPTS)


def test_a_server_that_goes_away_later_is_waited_for(tmp_path: Path) -> None:
    """Its questions fail after all their tries, and are rows."""
    server = FaultServer(lambda asked: Reply(asked.prompt, headers={"Connection": "close"}))

    async def main() -> None:
        settings = settings_of(server.url, max_failures_in_a_row=3, max_retries=1)
        async with Client(settings, MODEL, made(tmp_path), "run") as client:
            with server:
                await client.complete(ask("0"))
            await asyncio.gather(*[client.complete(ask(prompt)) for prompt in PROMPTS[1:]])

    with pytest.raises(ServerError, match="3 questions in a row"):
        loop.run(main())
    errors = [str(row["error"]) for row in stored(tmp_path) if row["error"] is not None]
    assert {error.partition(":")[0] for error in errors} == {"connection"}


@pytest.mark.parametrize("model", ["openai_like/tiny", "vllm/tiny"])
def test_what_litellm_cannot_call_is_told_at_the_first_call(tmp_path: Path, model: str) -> None:
    with pytest.raises(SettingError, match=f"'{model}'"):
        complete(tmp_path, f"http://{nobody()}/v1", PROMPTS, model=model, max_retries=5)
    assert not stored(tmp_path)


def test_a_missing_package_that_was_done_without_stops_nothing() -> None:
    """It stands among the causes of whatever is raised meanwhile."""

    def ask_without_it(wrapped: Callable[[ImportError], Exception]) -> None:
        try:
            import_module("no_package_of_this_name")
        except ImportError as error:
            raise wrapped(error) from None

    with pytest.raises(TimeoutError) as raised:
        ask_without_it(lambda _: TimeoutError("the server did not answer"))
    assert diagnose(raised.value) == Diagnosis("timeout", True, False, None)
    with pytest.raises(RuntimeError) as raised_by_it:
        ask_without_it(lambda error: RuntimeError(f"APIConnectionError: {error}"))
    assert diagnose(raised_by_it.value).fatal


@pytest.mark.parametrize("between", [Reply(), Reply(status=400)])
def test_an_answer_between_failures_says_that_the_server_is_there(
    tmp_path: Path, between: Reply
) -> None:
    """Also an answer that refuses the question: every third one, so two fail in a row."""

    def answer(asked: Asked) -> Reply:
        return between if int(asked.prompt) % 3 == 2 else Reply(status=500)

    settings: dict[str, Any] = {"max_retries": 0, "max_concurrent": 1}
    with FaultServer(answer) as server:
        complete(tmp_path, server.url, PROMPTS, max_failures_in_a_row=3, **settings)
        assert len(server.asked) == 40
        with pytest.raises(ServerError, match="2 questions in a row"):
            complete(tmp_path, server.url, PROMPTS, max_failures_in_a_row=2, **settings)


def test_the_error_says_what_is_left(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        settings = settings_of(url, max_retries=0, max_failures_in_a_row=1)
        lake = made(tmp_path)
        async with Client(settings, MODEL, lake, "run", left=lambda: "5 of 9 latents") as client:
            await client.complete(ask("x"))

    with (
        FaultServer(lambda asked: Reply(status=500)) as server,
        pytest.raises(ServerError, match="Left to do: 5 of 9 latents"),
    ):
        loop.run(main(server.url))


def attempted(error: Exception) -> Attempted[None]:
    """What a call that raises `error` comes to, after one that reached the server."""

    async def reach() -> None:
        pass

    async def call() -> None:
        raise error

    async def main() -> Attempted[None]:
        tries = Attempts(settings_of("http://x"), MODEL, Stop(), Scrubber())
        await tries.make(reach, random.Random(0))
        return await tries.make(call, random.Random(0))

    return loop.run(main())


@pytest.mark.parametrize(
    ("error", "code", "tries"),
    [
        (httpx.ConnectError("refused"), "connection", 3),
        (httpx.RemoteProtocolError("cut"), "connection", 3),
        (httpx.ReadTimeout("late"), "timeout", 3),
        (httpx.PoolTimeout("busy"), "timeout", 3),
        (aiohttp.ServerDisconnectedError(), "connection", 3),
        (aiohttp.ClientPayloadError("cut"), "server_error", 3),
        (ConnectionResetError(), "connection", 3),
        (EOFError("cut"), "server_error", 3),
        (RuntimeError("session is closed"), "server_error", 3),
    ],
)
def test_whatever_a_call_raises_becomes_a_failure(error: Exception, code: str, tries: int) -> None:
    found = attempted(error)
    assert found.failure is not None
    assert (found.failure.code, found.attempts) == (code, tries)
    assert type(error).__name__ in found.failure.message


def test_an_error_of_this_library_is_raised_as_it_is() -> None:
    with pytest.raises(SettingError, match="no endpoint"):
        attempted(SettingError("no endpoint"))


async def enter(client: Client) -> None:
    async with client:
        pass


def fails(*arguments: object) -> None:
    raise DelphiAssetsError("planted")


def half_entered(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(f"delphi_assets.llm.asking.client.{name}", fails)


@pytest.mark.parametrize("name", ["Budget", "Batched", "Direct", "BatchStore"])
def test_a_client_that_cannot_be_entered_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    opened: list[object] = []
    connect: Callable[..., object] = database.connect

    def watched(*arguments: object, **settings: object) -> object:
        opened.append(connect(*arguments, **settings))
        return opened[-1]

    lake = made(tmp_path)
    monkeypatch.setattr(database, "connect", watched)
    settings = settings_of("http://127.0.0.1:9", batch=name == "Batched")
    before = [list(logging.getLogger(each).filters) for each in ScrubbedLogs.NAMES]
    with monkeypatch.context() as broken:
        half_entered(broken, name)
        with pytest.raises(DelphiAssetsError, match="planted"):
            loop.run(enter(Client(settings, MODEL, lake, "run")))
    assert [list(logging.getLogger(each).filters) for each in ScrubbedLogs.NAMES] == before
    for con in opened:
        with pytest.raises(Exception, match=r"[Cc]losed"):
            con.execute("select 1")  # type: ignore[attr-defined]


def test_a_client_that_is_never_entered_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = made(tmp_path)
    monkeypatch.setattr(database, "connect", fails)
    Client(settings_of("http://127.0.0.1:9"), MODEL, lake, "run")


def test_an_outage_waits_for_no_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions that are between two tries are given up at once, without a row."""
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 50.0)

    def answer(asked: Asked) -> Reply:
        again = asked.prompt == "busy"
        return Reply(status=503, headers={"Retry-After": "0" if again else "700"})

    async def main(url: str) -> float:
        settings = settings_of(url, max_failures_in_a_row=1)
        async with Client(settings, MODEL, made(tmp_path), "run") as client:
            busy = asyncio.create_task(client.complete(ask("busy")))
            await asyncio.sleep(0.3)
            start = asyncio.get_running_loop().time()
            for call in (client.complete(ask("down")), busy):
                with pytest.raises(ServerError):
                    await call
            return asyncio.get_running_loop().time() - start

    with FaultServer(answer) as server:
        assert loop.run(main(server.url)) < 15
    assert len(stored(tmp_path)) == 1
