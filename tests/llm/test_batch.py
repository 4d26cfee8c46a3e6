"""The batch endpoint: nothing is submitted twice, every answer is stored, whatever happens."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from delphi_assets.errors import (
    BudgetError,
    DataError,
    DelphiAssetsError,
    ServerError,
    SettingError,
)
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.batch import queue
from delphi_assets.llm.batch.store import BatchStore, Pending
from delphi_assets.llm.calls import attempts, failures
from delphi_assets.llm.calls.litellm_calls import import_litellm
from tests.parts.asking import MODEL, ask, complete, made, settings_of, stored
from tests.parts.batch_server import BatchServer
from tests.parts.fault_server import Asked, FaultServer, Reply
from tests.parts.tiny_project import ROOT

pytestmark = pytest.mark.slow

PROMPTS = [str(number) for number in range(10)]
BATCH: dict[str, Any] = {"batch": True, "batch_size": 4, "batch_poll": 0.05}


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(queue, "GATHERING", 0.2)


def echo(asked: Asked) -> Reply:
    return Reply(asked.prompt)


def pending(root: Path) -> list[Path]:
    return list((root / "lake" / "batches").rglob("*.json"))


def test_answers_come_through_full_batches_and_a_last_one(tmp_path: Path) -> None:
    with BatchServer(echo) as server:
        completions = complete(tmp_path, server.url, PROMPTS, **BATCH)
        assert sorted(len(server.files[b.file].splitlines()) for b in server.batches.values()) == [
            2,
            4,
            4,
        ]
        again = complete(tmp_path, server.url, PROMPTS, **BATCH)
        assert len(server.batches) == 3
    assert [one.answer for one in completions] == [one.answer for one in again] == PROMPTS
    assert not pending(tmp_path)
    rows = stored(tmp_path)
    assert len(rows) == 10
    assert all(row["prompt_tokens"] == 10 and row["latency"] >= 4 for row in rows)  # type: ignore[operator]


def test_as_many_batches_are_open_as_asked_for(tmp_path: Path) -> None:
    """A stage of 20 questions, while no batch ends: two batches of four, and the rest waits."""
    asked = [str(number) for number in range(20)]

    async def stage(server: BatchServer) -> int:
        settings = settings_of(server.url, **BATCH, batches=2)
        async with Client(settings, MODEL, made(tmp_path), "run") as client:

            async def one(prompt: str) -> None:
                await client.complete(ask(prompt))

            working = asyncio.create_task(loop.for_each(asked, one, client.workers))
            while len(server.batches) < 2:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            open_batches = len(server.batches)
            server.hanging = False
            await working
        return open_batches

    with BatchServer(echo) as server:
        server.hanging = True
        assert loop.run(stage(server)) == 2
        assert len(server.batches) == 5
    assert len(stored(tmp_path)) == 20


def test_a_batch_costs_half(tmp_path: Path) -> None:
    model = "openai/gpt-4o-mini"
    with BatchServer(echo) as server:
        [half] = complete(tmp_path, server.url, ["x"], model=model, **BATCH)
    assert half.cost == pytest.approx((10 * 0.15 + 2 * 0.60) / 1e6 / 2)


FAULTS: dict[str, tuple[Reply | None, str | None]] = {
    "fine": (Reply("fine"), None),
    "busy": (Reply(status=429), "rate_limit"),
    "broken": (Reply(status=500), "server_error"),
    "bad": (Reply(status=400), "rejected"),
    "flagged": (Reply(status=400, error="your input was flagged"), "content_filter"),
    "late": (None, "timeout"),
    "empty": (Reply(text=None), None),
}


def test_every_fault_of_a_line_ends_in_a_row(tmp_path: Path) -> None:
    with BatchServer(lambda asked: FAULTS[asked.prompt][0], ends="expired") as server:
        found = complete(tmp_path, server.url, list(FAULTS), **BATCH)
    assert [one.failure for one in found] == [failure for _, failure in FAULTS.values()]
    assert len(stored(tmp_path)) == len(FAULTS)
    with BatchServer(echo) as server:
        complete(tmp_path, server.url, list(FAULTS), **BATCH)
        assert sum(server.answered.values()) == 5, "only what has no answer is asked again"


def lose_odd(asked: Asked) -> Reply:
    return Reply(asked.prompt, drop=int(asked.prompt) % 2 == 1)


@pytest.mark.parametrize("counting", [True, False])
def test_answers_that_the_provider_lost_are_asked_for_once_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, counting: bool
) -> None:
    """Four questions, of which the provider loses the second and the last, as often as asked."""
    with BatchServer(lose_odd) as server:
        server.counting = counting
        outcomes = []
        for _ in range(2):
            found = complete(tmp_path, server.url, PROMPTS[:4], **BATCH)
            outcomes.append([one.failure for one in found])
        assert sorted(server.answered.values()) == [1, 1, 2, 2]
    assert outcomes == [[None, "lost", None, "lost"], [None, "lost_again", None, "lost_again"]]
    assert "lost" in failures.OPEN
    assert "lost_again" not in failures.OPEN, "the stages do not ask again"
    assert "4 questions, the provider says, and holds 2 answers" in caplog.text
    assert "change llm.max_tokens" in str(found[1].error)


def test_questions_not_dealt_with_in_time_are_not_taken_for_lost(tmp_path: Path) -> None:
    with BatchServer(lambda asked: None if asked.prompt == "1" else echo(asked)) as server:
        server.ends = "expired"
        found = complete(tmp_path, server.url, PROMPTS[:3], **BATCH)
    assert [one.failure for one in found] == [None, "timeout", None]


@pytest.mark.parametrize("removed", ["batches", "files"])
def test_a_batch_that_the_provider_has_removed_says_what_to_do(
    tmp_path: Path, removed: str
) -> None:
    def refuse(method: str, path: str) -> int:
        return 404 if method == "GET" and path.startswith(f"/v1/{removed}/") else 200

    with BatchServer(echo) as server:
        server.refuse = refuse
        for _ in range(2):
            with pytest.raises(ServerError, match=r"does not have batch 'batch-1' of 4 .* delete"):
                complete(tmp_path, server.url, PROMPTS[:4], **BATCH)
        assert len(server.batches) == 1, "nothing is paid for twice unasked"
        [questions] = [path for path in pending(tmp_path) if "submitted" not in path.name]
        server.refuse = lambda method, path: 200
        questions.unlink()
        found = complete(tmp_path, server.url, PROMPTS[:4], **BATCH)
        assert len(server.batches) == 2
    assert [one.answer for one in found] == PROMPTS[:4]


def test_a_server_without_a_batch_endpoint_is_named(tmp_path: Path) -> None:
    with (
        BatchServer(echo, refuse=lambda method, path: 404) as server,
        pytest.raises(SettingError, match=r"no batch endpoint .* llm\.batch = false"),
    ):
        complete(tmp_path, server.url, PROMPTS[:4], **BATCH)
    with FaultServer(echo) as one_by_one:
        complete(tmp_path, one_by_one.url, PROMPTS[:4])
    with BatchServer(echo) as server:
        complete(tmp_path, server.url, PROMPTS[:4], **BATCH)
        assert not server.batches, "what was answered meanwhile is not submitted"
    assert not pending(tmp_path)


def test_batches_under_way_are_not_asked_about_one_by_one(tmp_path: Path) -> None:
    store = BatchStore(made(tmp_path), "run", MODEL)
    kept = store.draft([ask("x")])
    store.write(kept)
    store.submitted(kept, "batch-1")
    with FaultServer(echo) as server:
        with pytest.raises(SettingError, match="1 batches of this run are under way"):
            complete(tmp_path, server.url, ["x"])
        assert not server.asked


def test_batches_are_listed_only_when_one_may_have_been_created(tmp_path: Path) -> None:
    listing = ("GET", "/v1/batches")
    with BatchServer(echo) as server:
        complete(tmp_path, server.url, PROMPTS, **BATCH)
        assert listing not in server.seen
        server.refuse = once("POST", "/v1/batches", 0)
        complete(tmp_path, server.url, ["one", "two"], **BATCH)
        assert server.seen.count(listing) == 1
        assert len(server.batches) == 4


def test_a_batch_that_is_refused_fails_each_question(tmp_path: Path) -> None:
    with BatchServer(echo, ends="failed") as server:
        found = complete(tmp_path, server.url, PROMPTS[:3], **BATCH)
    assert {one.failure for one in found} == {"rejected"}
    assert "planted" in str(found[0].error)
    assert not pending(tmp_path)


def once(method: str, path: str, status: int) -> Callable[[str, str], int]:
    """Fails the first such request."""
    seen: list[str] = []

    def refuse(asked: str, at: str) -> int:
        if (asked, at) == (method, path) and not seen:
            seen.append(at)
            return status
        return 200

    return refuse


@pytest.mark.parametrize("status", [0, 429, 500])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/files"), ("POST", "/v1/batches")])
def test_a_fault_on_the_way_submits_nothing_twice(
    tmp_path: Path, method: str, path: str, status: int
) -> None:
    with BatchServer(echo, refuse=once(method, path, status)) as server:
        found = complete(tmp_path, server.url, PROMPTS[:4], **BATCH)
        assert len(server.batches) == 1
    assert [one.answer for one in found] == PROMPTS[:4]


def test_a_refused_key_stops_the_stage(tmp_path: Path) -> None:
    with (
        BatchServer(echo, refuse=lambda method, path: 401) as server,
        pytest.raises(SettingError, match="OPENAI_API_KEY"),
    ):
        complete(tmp_path, server.url, PROMPTS, **BATCH)


def test_a_provider_without_batches_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"llm\.batch = true .* expected a model of one of"):
        complete(tmp_path, "http://127.0.0.1:9", ["x"], model="openrouter/a/b", **BATCH)


def test_a_stopped_stage_leaves_its_batch_to_the_next(tmp_path: Path) -> None:
    async def give_up(url: str) -> None:
        async with Client(settings_of(url, **BATCH), MODEL, made(tmp_path), "run") as client:
            calls = [asyncio.create_task(client.complete(ask(one))) for one in PROMPTS[:4]]
            while len(pending(tmp_path)) < 2:
                await asyncio.sleep(0.02)
            for call in calls:
                call.cancel()

    with BatchServer(echo) as server:
        server.hanging = True
        import_litellm()
        start = time.perf_counter()
        loop.run(give_up(server.url))
        assert time.perf_counter() - start < 20, "nobody waits a day"
        assert len(pending(tmp_path)) == 2
        assert not stored(tmp_path)
        server.hanging, server.looks = False, 10_000
        [batch] = server.batches.values()
        batch.looks = server.looks - 1
        # Two of its questions are asked again, the others are stored all the same.
        found = complete(tmp_path, server.url, PROMPTS[:2], **BATCH)
        assert len(server.batches) == 1
    assert [one.answer for one in found] == PROMPTS[:2]
    assert len(stored(tmp_path)) == 4
    assert not pending(tmp_path)


@pytest.mark.parametrize("submitted", [True, False])
def test_a_batch_whose_id_was_not_stored_is_looked_for(tmp_path: Path, submitted: bool) -> None:
    """Killed while it was being submitted: the provider knows whether it was."""
    store = BatchStore(made(tmp_path), "run", MODEL)
    kept = store.draft([ask(one) for one in PROMPTS[:3]])
    store.write(kept)
    with BatchServer(echo) as server:
        if submitted:
            complete(tmp_path / "other", server.url, PROMPTS[:3], **BATCH)
            [batch] = server.batches.values()
            batch.metadata = {"delphi_assets": kept.name}
            for number in range(5):
                server.batches[f"later-{number}"] = type(batch)(f"later-{number}", "none", {})
        complete(tmp_path, server.url, PROMPTS[:3], **BATCH)
        assert set(server.answered.values()) == {1}
    assert len(stored(tmp_path)) == 3
    assert not pending(tmp_path)


def test_a_file_of_answers_that_cannot_be_read_stops_the_stage(tmp_path: Path) -> None:
    """Nobody waits for ever; the batch stays stored, and its answers are not paid for again."""
    with BatchServer(echo) as server:
        get = server.get

        def cut(path: str, query: dict[str, list[str]]) -> bytes:
            content = get(path, query)
            return content[:-5] if "/files/" in path else content

        server.get = cut  # type: ignore[method-assign]
        with pytest.raises(DataError, match=r"could not be dealt with: JSONDecodeError"):
            complete(tmp_path, server.url, PROMPTS[:4], **BATCH)
        assert len(pending(tmp_path)) == 2
        server.get = get  # type: ignore[method-assign]
        found = complete(tmp_path, server.url, PROMPTS[:4], **BATCH)
        assert set(server.answered.values()) == {1}
    assert [one.answer for one in found] == PROMPTS[:4]
    assert not pending(tmp_path)


def test_one_question_in_two_batches_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Two processes started at once; a third one collects both batches."""
    store = BatchStore(made(tmp_path), "run", MODEL)
    for prompts in (PROMPTS[:2], PROMPTS[1:3]):
        store.write(store.draft([ask(one) for one in prompts]))
    with BatchServer(echo) as server:
        found = complete(tmp_path, server.url, PROMPTS[:4], budget_calls=5, **BATCH)
    assert [one.answer for one in found] == PROMPTS[:4]
    assert not pending(tmp_path)


def test_a_stage_that_is_stopped_does_not_wait_for_its_budget(tmp_path: Path) -> None:
    """One question is on its way for a day, the other waits for what the first leaves over."""

    async def give_up(url: str) -> None:
        settings = settings_of(url, budget_calls=1, **BATCH)
        async with Client(settings, MODEL, made(tmp_path), "run") as client:
            calls = [asyncio.create_task(client.complete(ask(one))) for one in PROMPTS[:2]]
            while len(pending(tmp_path)) < 2:
                await asyncio.sleep(0.02)
            for call in calls:
                call.cancel()

    with BatchServer(echo) as server:
        server.hanging = True
        import_litellm()
        start = time.perf_counter()
        loop.run(give_up(server.url))
        assert time.perf_counter() - start < 20, "the time-out of a request is 30 s"
        assert len(server.batches) == 1


def test_a_batch_on_its_way_counts_for_the_budget(tmp_path: Path) -> None:
    store = BatchStore(made(tmp_path), "run", MODEL)
    store.write(store.draft([ask(one) for one in PROMPTS[:3]]))
    with BatchServer(echo) as server:
        with pytest.raises(BudgetError, match=r"budget_calls = 5 .* 5 calls"):
            complete(tmp_path, server.url, PROMPTS, budget_calls=5, **BATCH)
        assert sum(server.answered.values()) == len(stored(tmp_path)) == 5


def test_two_processes_do_not_submit_one_batch_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first submits until the second has found its questions, and waits for its answers."""
    slow, found_taken, submitting = threading.Event(), threading.Event(), BatchStore.submitting

    def refuse(method: str, path: str) -> int:
        if (method, path) == ("POST", "/v1/batches") and not slow.is_set():
            slow.set()
            assert found_taken.wait(300)
        return 200

    @contextmanager
    def watched(store: BatchStore, pending: Pending) -> Iterator[bool]:
        with submitting(store, pending) as mine:
            if not mine:
                found_taken.set()
            yield mine

    monkeypatch.setattr(BatchStore, "submitting", watched)

    with BatchServer(echo, refuse=refuse) as server:
        command = [sys.executable, "-c", ASKING, str(tmp_path), server.url]
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as first:
            assert slow.wait(300)
            found = complete(tmp_path, server.url, PROMPTS[:4], **BATCH)
            assert first.wait() == 0
        assert set(server.answered.values()) == {1}
    assert [one.answer for one in found] == PROMPTS[:4]
    assert len(stored(tmp_path)) == 10


ASKING = """
import sys
from pathlib import Path
from delphi_assets.llm.batch import queue
from tests.parts.asking import complete
queue.GATHERING = 0.2
complete(Path(sys.argv[1]), sys.argv[2], [str(n) for n in range(10)],
         batch=True, batch_size=4, batch_poll=0.05)
"""


def test_kill_9_submits_nothing_twice(tmp_path: Path) -> None:
    """Killed before and after it submits a batch: every question is answered once, and stored."""
    with BatchServer(echo, looks=4) as server:
        for files in (1, 2, None):
            process = subprocess.Popen(
                [sys.executable, "-c", ASKING, str(tmp_path), server.url],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            while files is not None and process.poll() is None:
                if len(pending(tmp_path)) >= files:
                    os.kill(process.pid, signal.SIGKILL)
                    break
                time.sleep(0.001)
            process.wait()
            if process.returncode == 0:
                break
        assert process.returncode == 0
        assert len(server.answered) == 10
        assert set(server.answered.values()) == {1}
    assert sorted(str(row["answer"]) for row in stored(tmp_path)) == PROMPTS
    assert not pending(tmp_path)


def test_planted_secrets_are_in_no_batch_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key-1234")
    caplog.set_level("DEBUG")
    leak = "Bearer planted-key-1234 http://joe:hunter22@host"
    told = []
    with BatchServer(lambda asked: Reply(status=400, error=leak)) as server:
        with_password = server.url.replace("http://", "http://joe:hunter22@")
        for url in (server.url, with_password):
            found = complete(tmp_path, url, ["x"], **BATCH)
            told.append(str(found[0].error))
            server.refuse = lambda method, path: 401
            with pytest.raises(DelphiAssetsError) as caught:
                complete(tmp_path, url, ["y"], **BATCH)
            told.append(repr(caught.value))
            server.refuse = lambda method, path: 200
        sent = {headers.get("authorization", "") for headers in server.headers}
    assert sent == {"Bearer planted-key-1234", "Basic am9lOmh1bnRlcjIy"}
    assert pending(tmp_path), "the questions of the refused batch are kept"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in ("planted-key", "hunter22", "am9lOmh1bnRlcjIy"):
        assert secret not in "".join((*told, caplog.text))
        assert secret.encode() not in written
