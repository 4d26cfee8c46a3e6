"""Replies are read within bounds, by every way that LiteLLM sends: a bomb costs a failure."""

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from delphi_assets.errors import BudgetError, ServerError
from delphi_assets.llm.calls import attempts
from delphi_assets.llm.calls.litellm_calls import import_litellm
from delphi_assets.llm.calls.replies import bounded
from tests.parts.asking import ask, complete, stored
from tests.parts.batch_server import BatchServer
from tests.parts.fault_server import Asked, FaultServer, Reply, body_of

MIB = 2**20
BATCH: dict[str, Any] = {"batch": True, "batch_poll": 0.05, "timeout": 60.0}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr("delphi_assets.llm.batch.queue.GATHERING", 0.2)


def packed(size: int) -> bytes:
    """So many bytes of nothing, as gzip."""
    packing = zlib.compressobj(1, wbits=31)
    parts = [packing.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*parts, packing.flush()])


def gzipped(content: bytes) -> Reply:
    """A reply of `content`, which says of itself that it is compressed."""
    return Reply(raw=content, headers={"Content-Encoding": "gzip"})


PEAK = """
import resource, sys
from pathlib import Path
from tests.parts.asking import complete
root, url = Path(sys.argv[1]), sys.argv[2]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
complete(root, url, ["well"], timeout=60.0)
before = peak()
[one] = complete(root, url, ["bomb"], timeout=60.0)
print(one.failure, one.attempts, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("compressed", [True, False])
def test_a_bomb_of_300_megabytes_takes_little_memory(tmp_path: Path, compressed: bool) -> None:
    bomb = gzipped(packed(300 * MIB)) if compressed else Reply(raw=bytes(300 * MIB))
    with FaultServer(lambda asked: bomb if asked.prompt == "bomb" else Reply()) as server:
        arguments = [sys.executable, "-c", PEAK, str(tmp_path), server.url]
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True)
        assert len(server.asked) == 2, "a reply that is too large is not asked for again"
    failure, tries, more = ended.stdout.split()
    assert (failure, tries) == ("too_large", "1")
    assert int(more) < 64 * MIB, "16 MiB may be held, and a copy of them"
    assert "raise llm.max_reply_mib" in str([row["error"] for row in stored(tmp_path)])


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("model", ["openai/tiny", "hosted_vllm/tiny", "anthropic/tiny"])
def test_every_provider_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, processes: int
) -> None:
    """LiteLLM sends by a client of OpenAI's library or by its own; both are HTTPX's."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
    settings = {"processes": processes, "timeout": 60.0, "max_reply_mib": 1}
    with FaultServer(lambda asked: gzipped(packed(2 * MIB))) as server:
        [one] = complete(tmp_path, server.url, ["x"], model=model, **settings)
        assert len(server.asked) == 1
        encodings = {asked.headers.get("Accept-Encoding") for asked in server.asked}
        assert encodings in ({"gzip"}, {None})
    assert one.failure == "too_large"


def test_what_fits_is_read_compressed_or_not(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        text = "x" * (900 * 1024) if asked.prompt == "long" else "ok"
        body = json.dumps(body_of(Reply(text), asked.body)).encode()
        return Reply(raw=body) if asked.prompt == "plain" else gzipped(gzip.compress(body))

    with FaultServer(answer) as server:
        found = complete(tmp_path, server.url, ["long", "plain", "short"], max_reply_mib=1)
    assert [len(str(one.answer)) for one in found] == [900 * 1024, 2, 2]


def test_what_was_paid_for_and_not_used_counts_and_is_not_asked_again(tmp_path: Path) -> None:
    with FaultServer(lambda asked: gzipped(packed(2 * MIB))) as server:
        for _ in range(2):
            [one] = complete(tmp_path, server.url, ["x" * 40], max_reply_mib=1)
            assert one.failure == "too_large"
            assert (one.prompt_tokens, one.completion_tokens) == (10 + 4, 10)
        with pytest.raises(BudgetError, match="24 tokens"):
            complete(tmp_path, server.url, ["y"], budget_tokens=30)
        assert len(server.asked) == 1


def test_what_is_not_compressed_as_asked_is_told(tmp_path: Path) -> None:
    reply = Reply(raw=zlib.compress(b"{}"), headers={"Content-Encoding": "br"})
    with FaultServer(lambda asked: reply) as server:
        [one] = complete(tmp_path, server.url, ["x"])
        assert len(server.asked) == 1
    assert one.failure == "unreadable"
    assert "compressed as 'br'" in str(one.error)


def test_an_error_page_that_cannot_be_read_is_no_answer(tmp_path: Path) -> None:
    """A page of a proxy is not paid for, so the question is asked again."""
    pages = [
        Reply(raw=b"?", status=503, headers={"Content-Encoding": "br"}),
        Reply(raw=bytes(17 * MIB), status=502),
    ]
    with FaultServer(lambda asked: [*pages, Reply()][min(asked.number, 2)]) as server:
        [one] = complete(tmp_path, server.url, ["x"], timeout=60.0)
        assert len(server.asked) == 3
    assert (one.failure, one.answer, one.attempts) == (None, "ok", 3)


@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_a_damaged_reply_is_asked_for_again(tmp_path: Path, damage: str) -> None:
    def answer(asked: Asked) -> Reply:
        whole = gzip.compress(json.dumps(body_of(Reply("ok"), asked.body)).encode())
        if asked.times_before:
            return gzipped(whole)
        return gzipped(whole[:-20] if damage == "cut" else b"garbled" + whole)

    with FaultServer(answer) as server:
        [one] = complete(tmp_path, server.url, ["x"])
    assert (one.answer, one.attempts) == ("ok", 2)


def test_a_redirection_is_bounded_too() -> None:
    import_litellm()
    with (
        FaultServer(lambda asked: Reply(raw=bytes(2 * MIB), status=302)) as server,
        httpx.Client(follow_redirects=True) as client,
        bounded(MIB),
        pytest.raises(Exception, match="more than 1048576 bytes"),
    ):
        client.post(f"{server.url}/x", json={"messages": [{"content": "x"}], "model": "x"})


def test_others_who_use_httpx_are_left_alone() -> None:
    import_litellm()
    with FaultServer(lambda asked: Reply(raw=bytes(2 * MIB))) as server, httpx.Client() as client:
        given = {"messages": [{"content": "x"}], "model": "x"}
        with bounded(3 * MIB):
            assert len(client.post(f"{server.url}/x", json=given).content) == 2 * MIB
        assert len(client.post(f"{server.url}/x", json=given).content) == 2 * MIB
        assert server.asked[0].headers["Accept-Encoding"] == "gzip"
        assert "deflate" in server.asked[1].headers["Accept-Encoding"]


def test_a_file_of_answers_is_bounded_by_its_questions(tmp_path: Path) -> None:
    """One that is too large stays with the provider, and is collected with a larger bound."""
    with BatchServer(lambda asked: Reply("x" * 2 * MIB)) as server:
        with pytest.raises(ServerError, match=r"too_large.*raise llm\.max_reply_mib"):
            complete(tmp_path, server.url, ["x"], max_reply_mib=1, **BATCH)
        [one] = complete(tmp_path, server.url, ["x"], max_reply_mib=3, **BATCH)
        assert set(server.answered.values()) == {1}
    assert len(str(one.answer)) == 2 * MIB
    assert ask("x").hash in {row["request"] for row in stored(tmp_path)}
