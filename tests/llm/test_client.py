"""Calling LLMs: every fault ends in a row, nothing is paid twice, no secret gets out."""

import asyncio
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from delphi_assets.errors import DelphiAssetsError, SettingError
from delphi_assets.ground.secrets import MASK, Endpoint, Scrubber, endpoint
from delphi_assets.lake.group_commit import GroupCommit
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.calls import attempts, failures
from delphi_assets.llm.calls.litellm_calls import import_litellm, messages
from delphi_assets.llm.calls.outages import Stop
from delphi_assets.llm.calls.requests import Message
from delphi_assets.settings import LLMSettings
from tests.parts.asking import MODEL, ask, complete, made, stored
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)


def test_the_hash_names_what_changes_the_answer() -> None:
    one = ask("a")
    assert one.hash == ask("a", role="other").hash
    changes: list[dict[str, object]] = [
        {"model": "openai/other"},
        {"messages": (Message("system", "a"),)},
        {"temperature": 0.5},
        {"max_tokens": 11},
        {"logprobs": True},
        {"schema": "{}"},
    ]
    assert len({one.hash, *(ask("a", **change).hash for change in changes)}) == 7


FAULTS: dict[str, tuple[Reply, str | None, int]] = {
    "fine": (Reply("fine"), None, 1),
    "busy": (Reply(status=429), "rate_limit", 2),
    "broken": (Reply(status=500), "server_error", 2),
    "away": (Reply(status=503), "server_error", 2),
    "dropped": (Reply(drop=True), "connection", 2),
    "cut": (Reply(cut=True), "server_error", 2),
    "late": (Reply(status=408), "timeout", 2),
    "slow": (Reply(delay=4.0), "timeout", 2),
    "bad": (Reply(status=400), "rejected", 1),
    "odd": (Reply(status=422), "rejected", 1),
    "empty": (Reply(text=None), None, 1),
    "refused": (Reply(text=None, refusal="I won't"), None, 1),
}


def test_every_fault_ends_in_a_row(tmp_path: Path) -> None:
    with FaultServer(lambda asked: FAULTS[asked.prompt][0]) as server:
        # The first call of a process loads half of LiteLLM: not a thing to time.
        complete(tmp_path / "warm", server.url, ["fine"], timeout=60.0)
        server.asked.clear()
        completions = complete(
            tmp_path, server.url, list(FAULTS), max_retries=1, timeout=2.0, max_concurrent=20
        )
        sent = Counter(asked.prompt for asked in server.asked)
    for prompt, completion in zip(FAULTS, completions, strict=True):
        _, failure, attempts = FAULTS[prompt]
        assert (completion.failure, completion.attempts) == (failure, attempts), prompt
        assert sent[prompt] == attempts, "LiteLLM retried on its own"
    rows = stored(tmp_path)
    assert len(rows) == len(FAULTS)
    by_answer = {row["answer"]: row for row in rows if row["error"] is None}
    assert set(by_answer) == {"fine", None, "I won't"}
    fine = by_answer["fine"]
    assert (fine["prompt_tokens"], fine["cached_tokens"], fine["completion_tokens"]) == (10, 4, 2)
    assert fine["cost"] is None
    assert by_answer["I won't"]["finish_reason"] == "refusal"


def test_a_passing_fault_is_retried(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply("at last") if asked.times_before == 2 else Reply(status=500)

    with FaultServer(answer) as server:
        [completion] = complete(tmp_path, server.url, ["x"])
    assert (completion.answer, completion.attempts, completion.error) == ("at last", 3, None)


def test_retry_after_is_a_number_or_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert failures.seconds_until(soon) == pytest.approx(90, abs=3)
    assert failures.seconds_until("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert failures.seconds_until("2.5") == 2.5
    assert failures.seconds_until("soon") is None


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    asked_at = []

    def answer(asked: Asked) -> Reply:
        asked_at.append(time.perf_counter())
        return Reply() if asked.times_before else Reply(status=429, headers={"Retry-After": "1"})

    with FaultServer(answer) as server:
        [completion] = complete(tmp_path, server.url, ["x"])
    assert completion.answer == "ok"
    first, second = asked_at
    assert second - first >= 0.99


def test_only_missing_requests_are_sent_again(tmp_path: Path) -> None:
    prompts = [str(number) for number in range(12)]

    def answer(asked: Asked) -> Reply:
        return Reply(status=400) if int(asked.prompt) % 3 == 0 else Reply(asked.prompt)

    with FaultServer(answer) as server:
        complete(tmp_path, server.url, prompts)
    with FaultServer(lambda asked: Reply(asked.prompt)) as server:
        again = complete(tmp_path, server.url, prompts)
        assert sorted(int(asked.prompt) for asked in server.asked) == [0, 3, 6, 9]
    assert [completion.answer for completion in again] == prompts
    assert all(row["error"] is None for row in stored(tmp_path))


def test_identical_requests_share_a_call_and_concurrency_is_bounded(tmp_path: Path) -> None:
    third = threading.Event()

    def answer(asked: Asked) -> Reply:
        if asked.number == 2:
            third.set()
        third.wait(300)
        return Reply(asked.prompt, delay=0.3)

    with FaultServer(answer) as server:
        completions = complete(
            tmp_path, server.url, ["a", "b", "c", "d", "e"] * 4, max_concurrent=3
        )
        assert len(server.asked) == 5
        assert server.most_open == 3
    assert len(completions) == 20


def test_answers_that_arrive_together_share_a_file(tmp_path: Path) -> None:
    with FaultServer(lambda asked: Reply(delay=0.3)) as server:
        complete(tmp_path, server.url, [str(n) for n in range(20)], max_concurrent=20)
    files = list((tmp_path / "lake" / "completions" / "run=run").glob("*.parquet"))
    assert len(files) < 20
    assert len(stored(tmp_path)) == 20


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_refused_key_or_model_stops_at_once(tmp_path: Path, status: int) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply() if asked.prompt == "0" else Reply(status=status)

    with FaultServer(answer) as server:
        complete(tmp_path, server.url, ["0"])
        with pytest.raises(SettingError, match="OPENAI_API_KEY"):
            complete(tmp_path, server.url, [str(n) for n in range(50)], max_concurrent=2)
        assert len(server.asked) <= 4
    assert [row["answer"] for row in stored(tmp_path)] == ["ok"]


@pytest.mark.parametrize("status", [400, 403])
def test_a_moderated_prompt_fails_alone(tmp_path: Path, status: int) -> None:
    words = "Your chosen model requires moderation and your input was flagged for violence"

    def answer(asked: Asked) -> Reply:
        return Reply(status=status, error=words) if asked.prompt == "1" else Reply(asked.prompt)

    with FaultServer(answer) as server:
        completions = complete(tmp_path, server.url, ["0", "1", "2"], max_concurrent=1)
        assert len(server.asked) == 3
    assert [one.failure for one in completions] == [None, "content_filter", None]


def test_an_unknown_provider_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"'nobody-knows-me'.*openrouter/"):
        complete(tmp_path, "http://127.0.0.1:9", ["x"], model="nobody-knows-me")


def test_planted_secrets_appear_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    planted = {"OPENAI_API_KEY": "planted-key-1234", "MY_SECRET": 'odd"sec/ret\\99'}
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    seen = []

    def answer(asked: Asked) -> Reply:
        seen.append(asked.headers.get("authorization", ""))
        status = {"key": 401, "bad": 400}.get(asked.prompt, 500)
        echo = f"{asked.headers} {planted} http://joe:hunter22@host/v1 sk-or-abcdef123456"
        return Reply(status=status, error=echo)

    errors = []
    with FaultServer(answer) as server:
        with_password = server.url.replace("http://", "http://joe:hunter22@")
        for url in (server.url, with_password):
            complete(tmp_path, url, ["bad", "broken"])
            with pytest.raises(DelphiAssetsError) as caught:
                complete(tmp_path, url, ["key"])
            errors.append(repr(caught.value))
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__
    assert seen[0] == "Bearer planted-key-1234", "the key must reach the server"
    assert seen[-1] == "Basic am9lOmh1bnRlcjIy"
    messages = [str(row) for row in stored(tmp_path)]
    assert any(MASK in message for message in messages)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (*planted.values(), "hunter22", "am9lOmh1bnRlcjIy", "sk-or-abcdef"):
        for text in (*errors, *messages, caplog.text):
            assert secret not in text
        assert secret.encode() not in written


def test_scrubbing_by_form() -> None:
    scrub = Scrubber()
    for text, clean in [
        ("https://user:pa@ss@host/v1", f"https://{MASK}@host/v1"),
        ("Authorization: Bearer abc.def", f"Authorization: {MASK}"),
        ("{'authorization': 'Basic YWJj'}", f"{{'authorization': '{MASK}'}}"),
        ("key sk-proj-abc***xyz refused", f"key {MASK} refused"),
        ("GET /v1?api_key=12345&x=1", f"GET /v1?api_key={MASK}&x=1"),
        ("mail joe@example.org", "mail joe@example.org"),
        ("asked for a task-list", "asked for a task-list"),
    ]:
        assert scrub(text) == clean


def test_an_endpoint_keeps_its_password_to_itself() -> None:
    split = endpoint("https://joe:p%40ss@host:8080/v1")
    assert split.url == "https://host:8080/v1"
    assert split.authorization == "Basic am9lOnBAc3M="
    assert endpoint("http://host/v1") == Endpoint("http://host/v1", None, ())


def test_group_commit_gives_each_caller_its_result_or_the_error() -> None:
    groups: list[int] = []

    def double(items: Sequence[int]) -> list[int]:
        time.sleep(0.02)
        groups.append(len(items))
        if 13 in items:
            raise OSError("disk full")
        return [2 * item for item in items]

    async def main() -> None:
        async with GroupCommit[int, int](double) as commit:
            assert await asyncio.gather(*[commit.submit(n) for n in range(10)]) == [
                2 * n for n in range(10)
            ]
            with pytest.raises(OSError, match="disk full"):
                await commit.submit(13)
            assert await commit.submit(4) == 8

    loop.run(main())
    assert len(groups) < 12


def test_a_stopped_client_still_writes_what_arrives(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(asked.prompt, delay=0.0 if asked.prompt == "quick" else 1.0)

    async def main(url: str) -> None:
        settings = LLMSettings(api_base=url)
        async with Client(settings, MODEL, made(tmp_path), "run") as client:
            quick = asyncio.create_task(client.complete(ask("quick")))
            slow = asyncio.create_task(client.complete(ask("slow")))
            await quick
            slow.cancel()
            raise KeyError

    with FaultServer(answer) as server, pytest.raises(KeyError):
        loop.run(main(server.url))
    assert {row["answer"] for row in stored(tmp_path)} == {"quick", "slow"}


def test_a_fatal_error_waits_for_the_calls_in_flight_and_sends_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six calls are open when one is refused: the answers to the other five are stored."""
    all_open, stopped, give = threading.Event(), threading.Event(), Stop.give

    def told(stop: Stop, error: DelphiAssetsError) -> None:
        give(stop, error)
        stopped.set()

    def answer(asked: Asked) -> Reply:
        if asked.prompt == "warm":
            return Reply()
        if asked.number == 5:
            all_open.set()
        refused = asked.prompt == "3"
        (all_open if refused else stopped).wait(300)
        return Reply(status=402) if refused else Reply(asked.prompt)

    prompts = [str(number) for number in range(20)]
    with FaultServer(answer) as server:
        complete(tmp_path / "warm", server.url, ["warm"])
        server.asked.clear()
        monkeypatch.setattr(Stop, "give", told)
        with pytest.raises(SettingError, match="OPENAI_API_KEY"):
            complete(tmp_path, server.url, prompts, max_concurrent=6)
        assert len(server.asked) == 6
    asked = {asked.prompt for asked in server.asked}
    assert {row["answer"] for row in stored(tmp_path)} == asked - {"3"}


def test_a_stop_does_not_wait_for_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 50.0)

    def answer(asked: Asked) -> Reply:
        return Reply(status=401, delay=0.5) if asked.prompt == "key" else Reply(status=503)

    import_litellm()
    with FaultServer(answer) as server:
        start = time.perf_counter()
        with pytest.raises(SettingError):
            complete(tmp_path, server.url, ["busy", "key"])
        assert time.perf_counter() - start < 20
        assert len(server.asked) == 2


def test_for_each_stops_at_the_first_error_and_bounds_its_workers() -> None:
    started: list[int] = []

    def work_of(limit: int) -> Callable[[int], Awaitable[None]]:
        async def work(job: int) -> None:
            started.append(job)
            await asyncio.sleep(0.01)
            if job == limit:
                raise SettingError("enough")

        return work

    with pytest.raises(SettingError, match="enough"):
        loop.run(loop.for_each(iter(range(1000)), work_of(5), 3))
    assert len(started) < 12
    started.clear()
    loop.run(loop.for_each(range(20), work_of(99), 7))
    assert sorted(started) == list(range(20))


def test_a_loop_of_its_own_also_inside_one() -> None:
    async def inner() -> int:
        return 3

    async def outer() -> int:
        return loop.run(inner())

    assert asyncio.run(outer()) == 3


def test_an_interrupt_cancels_the_coroutine_and_waits_for_it() -> None:
    """A real SIGINT in the main thread, from within a loop as in a notebook."""
    ended = []

    async def long() -> None:
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.1)
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        loop.run(long())
    assert ended == [True]


def test_anthropics_cache_is_told_what_all_prompts_share() -> None:
    """In LiteLLM's own translation: the mark is on the last worked example, not on the question."""
    litellm = import_litellm()
    turns = (
        Message("system", "instructions"),
        Message("user", "example"),
        Message("assistant", "its answer"),
        Message("user", "question"),
    )
    given = messages(ask("", messages=turns), "anthropic")
    sent = litellm.AnthropicConfig().transform_request(
        model="claude-sonnet-4-5",
        messages=given,
        optional_params={"max_tokens": 5},
        litellm_params={},
        headers={},
    )
    marked = [
        (turn["role"], block["text"])
        for turn in sent["messages"]
        for block in turn["content"]
        if "cache_control" in block
    ]
    assert marked == [("assistant", "its answer")]
    assert messages(ask("", messages=turns), "openai") == [turn._asdict() for turn in turns]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=429, error="check your plan", error_type="insufficient_quota"),
        Reply(status=400, error="Your credit balance is too low to use the API."),
    ],
)
def test_an_account_without_money_stops_the_stage(tmp_path: Path, reply: Reply) -> None:
    with FaultServer(lambda asked: reply) as server:
        with pytest.raises(SettingError, match="the server refused model"):
            complete(tmp_path, server.url, ["0", "1", "2"], max_concurrent=1)
        assert len(server.asked) == 1


def test_a_busy_server_that_speaks_of_quota_is_asked_again(tmp_path: Path) -> None:
    def busy(asked: Asked) -> Reply:
        return Reply(asked.prompt) if asked.times_before else Reply(status=429, error="quota")

    with FaultServer(busy) as server:
        [found] = complete(tmp_path, server.url, ["x"])
    assert found.answer == "x"
