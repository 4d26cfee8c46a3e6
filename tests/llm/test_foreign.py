"""What a server sends can be stored, counted and read, whatever it is: nothing is paid twice."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from delphi_assets import connect
from delphi_assets.errors import DataError
from delphi_assets.ground.foreign_text import REPLACEMENT
from delphi_assets.ground.secrets import MASK, Scrubber
from delphi_assets.lake.growing_tables import RowWriter
from delphi_assets.lake.schema import COMPLETIONS, EXPLANATIONS, PREDICTIONS
from delphi_assets.llm.asking import loop
from delphi_assets.llm.calls import attempts
from delphi_assets.llm.calls.completions import Completion, CompletionLog, Spent, failed
from delphi_assets.llm.calls.counts import cost_of, count_of
from tests.parts.asking import ask, complete, made, stored
from tests.parts.batch_server import BatchServer
from tests.parts.fault_server import USAGE, Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

HALF = "\ud83d"
MODES: dict[str, dict[str, Any]] = {
    "direct": {},
    "processes": {"processes": 2, "timeout": 60.0},
    "batch": {"batch": True, "batch_size": 60, "batch_poll": 0.05, "timeout": 60.0},
}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr("delphi_assets.llm.batch.queue.GATHERING", 0.2)


class Paying:
    """A server in one of the MODES; `paid` counts the answers that it gave."""

    def __init__(self, mode: str, answer: Callable[[Asked], Reply]) -> None:
        self.paid = 0

        def paying(asked: Asked) -> Reply:
            reply = answer(asked)
            self.paid += reply.status == 200
            return reply

        self.server = BatchServer(paying) if mode == "batch" else FaultServer(paying)

    def __enter__(self) -> "Paying":
        self.server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.__exit__(*error)


@pytest.mark.parametrize("mode", MODES)
def test_half_a_character_costs_no_answer(tmp_path: Path, mode: str) -> None:
    """One answer in five holds half a pair of surrogates, in every text that a server gives."""

    def answer(asked: Asked) -> Reply:
        if int(asked.prompt) % 5:
            return Reply(asked.prompt)
        token = f"{asked.prompt}{HALF}"
        return Reply(token, logprobs=[(token, {token: -0.1, HALF: -3.0})])

    prompts = [str(number) for number in range(60)]
    with Paying(mode, answer) as paying:
        found = complete(tmp_path, paying.server.url, prompts, **MODES[mode])
        assert paying.paid == 60
        again = complete(tmp_path, paying.server.url, prompts, **MODES[mode])
        assert paying.paid == 60, "the next run asks nothing again"
    for prompt, one, other in zip(prompts, found, again, strict=True):
        half = "" if int(prompt) % 5 else REPLACEMENT
        assert one.answer == other.answer == f"{prompt}{half}"
        if half:
            [token] = json.loads(str(one.logprobs))
            assert token["token"] == f"{prompt}{half}"
            assert token["top"] == [[f"{prompt}{half}", -0.1], [half, -3.0]]
    assert len(stored(tmp_path)) == 60


@pytest.mark.parametrize("mode", MODES)
def test_half_a_character_in_a_refusal_an_error_and_a_question(tmp_path: Path, mode: str) -> None:
    replies = {
        "refused": Reply(text=None, refusal=f"no{HALF}"),
        "bad": Reply(status=400, error=f"bad{HALF}"),
        f"asked{REPLACEMENT}": Reply("well"),
    }
    with Paying(mode, lambda asked: replies[asked.prompt]) as paying:
        prompts = ["refused", "bad", f"asked{HALF}"]
        refused, bad, asked = complete(tmp_path, paying.server.url, prompts, **MODES[mode])
    assert (refused.answer, refused.finish_reason) == (f"no{REPLACEMENT}", "refusal")
    assert bad.failure == "rejected"
    assert "bad" in str(bad.error)
    assert asked.answer == "well"
    assert len(stored(tmp_path)) == 3


NAN, INFINITE = float("nan"), float("inf")
USAGES: dict[str, tuple[object, tuple[int, int | None, int]]] = {
    "usual": (USAGE, (10, 4, 2)),
    "none": ({}, (7, None, 3)),
    "negative": ({**USAGE, "prompt_tokens": -1_000_000}, (7, 4, 2)),
    "too many": ({**USAGE, "completion_tokens": 2**70}, (10, 4, 3)),
    "absurd": ({**USAGE, "completion_tokens": 10**12}, (10, 4, 3)),
    "a fraction": ({**USAGE, "prompt_tokens": 10.5}, (7, 4, 2)),
    "a whole float": ({**USAGE, "prompt_tokens": 10.0}, (10, 4, 2)),
    "a text": ({**USAGE, "prompt_tokens": "10"}, (10, 4, 2)),
    "a word": ({**USAGE, "prompt_tokens": "many"}, (7, 4, 2)),
    "a list": ({**USAGE, "prompt_tokens": [10]}, (7, 4, 2)),
    "no number": ({**USAGE, "completion_tokens": NAN}, (10, 4, 3)),
    "infinite": ({**USAGE, "completion_tokens": INFINITE}, (10, 4, 3)),
    "odd cached": ({**USAGE, "prompt_tokens_details": {"cached_tokens": -3}}, (10, None, 2)),
    "huge cached": ({**USAGE, "prompt_tokens_details": {"cached_tokens": 2**70}}, (10, None, 2)),
    "odd details": ({**USAGE, "prompt_tokens_details": "four"}, (10, None, 2)),
    "a list in all": ([1, 2], (7, None, 3)),
    "a text in all": ("a few", (7, None, 3)),
    "an odd cost": ({**USAGE, "cost": NAN}, (10, 4, 2)),
}
ANSWER = "what it is"
"""10 characters: 3 tokens by a guess."""
LENGTH = 14
"""Characters of a question: with its place in a chat 7 tokens."""


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_is_kept_whatever_its_usage_says(tmp_path: Path, mode: str) -> None:
    """What cannot be a count is estimated, so that no usage lowers what a budget has spent."""
    prompts = {name.ljust(LENGTH): name for name in USAGES}

    def answer(asked: Asked) -> Reply:
        return Reply(ANSWER, usage=USAGES[prompts[asked.prompt]][0])

    with Paying(mode, answer) as paying:
        found = complete(tmp_path, paying.server.url, list(prompts), **MODES[mode])
        assert paying.paid == len(USAGES)
    for one, name in zip(found, USAGES, strict=True):
        counts = (one.prompt_tokens, one.cached_tokens, one.completion_tokens)
        assert (one.answer, one.error) == (ANSWER, None), name
        assert counts == USAGES[name][1], name
        assert one.cost is None
    assert len(stored(tmp_path)) == len(USAGES)


def test_what_a_usage_that_cannot_be_costs_is_estimated_too(tmp_path: Path) -> None:
    model, prompt = "openai/gpt-4o-mini", "x" * 400
    with FaultServer(lambda asked: Reply("y" * 40, usage={"prompt_tokens": -(10**6)})) as server:
        [one] = complete(tmp_path, server.url, [prompt], model=model)
    assert one.cost == pytest.approx((104 * 0.15 + 10 * 0.60) / 1e6)


def test_numbers_by_hand() -> None:
    assert [count_of(value) for value in (0, 7, 7.0, "7", 10**7)] == [0, 7, 7, 7, 10**7]
    numbers: tuple[object, ...] = (-1, 0.5, 10**7 + 1, 10**400, NAN, INFINITE)
    for value in (*numbers, True, None, "", "-1", "9" * 5000, []):
        assert count_of(value) is None, value
    assert [cost_of(value) for value in (0.25, 3)] == [0.25, 3.0]
    for value in (0, -0.1, NAN, INFINITE, 10**400, True, None, "0.1"):
        assert cost_of(value) is None, value


def test_log_probabilities_that_cannot_be_are_left_out(tmp_path: Path) -> None:
    tops = {"a": -0.5, "b": NAN, "c": 800.0, "d": -INFINITE, "e": 0.001}
    with FaultServer(lambda asked: Reply("a", logprobs=[("a", tops)])) as server:
        [one] = complete(tmp_path, server.url, ["x"])
    [token] = json.loads(str(one.logprobs))
    assert token["top"] == [["a", -0.5], ["e", 0.001]]


BODIES = {
    "nested": b'{"choices": ' + b"[" * 100_000,
    "long number": b'{"created": ' + b"9" * 5_000 + b"}",
    "odd text": json.dumps({"choices": [{"message": {"content": {"a": 1}}}]}).encode(),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_reply_that_makes_no_sense_is_paid_for_once(tmp_path: Path, body: str) -> None:
    with FaultServer(lambda asked: Reply(raw=BODIES[body])) as server:
        [one] = complete(tmp_path, server.url, ["x"])
        assert len(server.asked) == 1
    assert one.failure == "unreadable"


def test_bytes_that_are_no_utf8_cost_no_answer(tmp_path: Path) -> None:
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"content": "a?b", "role": "assistant"},
    }
    body = json.dumps({"id": "x", "choices": [choice], "created": 0, "model": "m", "object": "o"})
    raw = body.encode().replace(b"?", b"\xff")
    with FaultServer(lambda asked: Reply(raw=raw)) as server:
        [one] = complete(tmp_path, server.url, ["x"])
    assert one.answer == f"a{REPLACEMENT}b"


BROKEN = {
    "nested": b"[" * 100_000,
    "long number": b'{"custom_id": ' + b"9" * 5_000 + b"}",
}


class OddBatchServer(BatchServer):
    """Whose answers' file is changed, and whose batches began at an odd time."""

    created_at: object = None
    changes: Mapping[str, object] = MappingProxyType({})

    def get(self, path: str, query: dict[str, list[str]]) -> bytes:
        content = super().get(path, query)
        if "/batches/" in path and self.created_at is not None:
            return json.dumps(json.loads(content) | {"created_at": self.created_at}).encode()
        if "/files/output" not in path:
            return content
        lines = [json.loads(line) for line in content.splitlines()]
        return b"\n".join(self._changed(line) for line in lines)

    def _changed(self, line: dict[str, Any]) -> bytes:
        answer = line["response"]["body"]["choices"][0]["message"]["content"]
        if answer in BROKEN:
            return BROKEN[answer]
        if answer == "body":
            line |= {"response": {"status_code": 200, "body": [1]}}
        return json.dumps(self.changes.get(answer, line)).encode()


def test_one_line_of_a_batch_does_not_keep_back_the_others(tmp_path: Path) -> None:
    odd = {"a list": [1], "a number": 7, "no name": {"response": {}}, "null": None}
    with OddBatchServer(lambda asked: Reply(asked.prompt)) as server:
        server.changes = odd
        prompts = ["first", *odd, *BROKEN, "body", "last"]
        found = complete(tmp_path, server.url, prompts, **MODES["batch"])
    assert [one.answer for one in found] == ["first", *[None] * 7, "last"]
    assert [one.failure for one in found[1:-1]] == [*["lost"] * 6, "unreadable"]
    assert len(stored(tmp_path)) == len(prompts)


@pytest.mark.parametrize("created_at", [0, -5, 10**400, 4 * 10**9])
def test_a_batch_of_an_odd_time_took_no_time(tmp_path: Path, created_at: object) -> None:
    with OddBatchServer(lambda asked: Reply(asked.prompt)) as server:
        server.created_at = created_at
        [one] = complete(tmp_path, server.url, ["x"], **MODES["batch"])
    assert (one.answer, one.latency) == ("x", 0.0)


def test_a_completion_that_does_not_fit_is_a_failure_and_the_others_are_stored(
    tmp_path: Path,
) -> None:
    """Whatever the reason: nobody can say which values a later reader will let through."""
    fine = [
        replace(failed(ask(str(i)), "", "", 0.5, 1), answer=str(i), error=None) for i in range(5)
    ]
    odd = [
        replace(fine[0], request=ask(f"odd {number}").hash, **change)
        for number, change in enumerate(ODD)
    ]

    async def main() -> list[Completion]:
        async with CompletionLog(made(tmp_path), "run") as log:
            return await asyncio.gather(*map(log.append, [*fine, *odd]))

    kept = loop.run(main())
    assert kept[:5] == fine
    assert [one.error for one in kept[5:]] == ["unstorable"] * len(odd)
    assert all(one.answer is None for one in kept[5:])
    rows = {row["request"]: row for row in stored(tmp_path)}
    assert len(rows) == 5 + len(odd)
    for one in kept:
        assert (rows[one.request]["answer"], rows[one.request]["error"]) == (one.answer, one.error)


ODD: list[dict[str, Any]] = [
    {"answer": HALF},
    {"logprobs": HALF},
    {"prompt_tokens": 2**70},
    {"cached_tokens": "many"},
    {"cost": "a lot"},
    {"latency": "long"},
    {"attempts": 2**40},
    {"finish_reason": 7},
    {"messages": HALF},
]


def test_what_an_earlier_version_stored_gives_no_budget_back(tmp_path: Path) -> None:
    """Rows as they were written before counts were looked at."""
    fine = replace(failed(ask("x"), "", "", 0.5, 1), answer="well", error=None, cost=0.25)
    odd = [
        {"prompt_tokens": 5, "completion_tokens": 7},
        {"prompt_tokens": -1_000_000, "completion_tokens": 7},
        {"cost": NAN},
        {"cost": INFINITE},
        {"cost": -3.0},
    ]
    rows = [
        asdict(replace(fine, request=ask(str(number)).hash, **change))  # type: ignore[arg-type]
        for number, change in enumerate(odd)
    ]

    async def main() -> Spent:
        lake = made(tmp_path)
        lake.append(COMPLETIONS, {"run": "run"}, COMPLETIONS.from_rows(rows))
        async with CompletionLog(lake, "run") as log:
            return log.spent

    assert loop.run(main()) == Spent(0.5, 5 + 7 + 7, 5)


def test_rows_of_a_stage_that_do_not_fit_are_failures(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    explained: list[dict[str, object]] = [
        {column.name: None for column in EXPLANATIONS.columns}
        | {"explanation_id": str(number), "latent": number, "explanation": f"{number}"}
        | {"selection": "tiny", "chosen": True, "written_at": now}
        for number in range(4)
    ]
    explained[1] |= {"explanation": HALF}
    explained[2] |= {"completion_tokens": 2**70}
    judged: list[dict[str, object]] = [
        {column.name: None for column in PREDICTIONS.columns}
        | dict.fromkeys(("explanation_id", "selection", "scorer", "judge"), "x")
        | dict.fromkeys(("judge_hash", "control", "variant"), "x")
        | {"latent": 1, "example": number, "prediction": True, "written_at": now}
        for number in range(3)
    ]
    judged[0] |= {"simulated": [0.5, 10**400]}
    judged[1] |= {"probability": "likely"}

    async def main() -> None:
        keys = {"run": "run", "hookpoint": "layers.1"}
        for table, rows in ((EXPLANATIONS, explained), (PREDICTIONS, judged)):
            async with RowWriter(made(tmp_path), table, keys) as writer:
                assert await asyncio.gather(*[writer.submit([row]) for row in rows]) == [1] * len(
                    rows
                )

    loop.run(main())
    con = connect(tmp_path / "lake")
    found = con.sql("select explanation, failure from explanations order by latent").fetchall()
    assert found == [("0", None), (None, "unstorable"), (None, "unstorable"), ("3", None)]
    found = con.sql("select prediction, failure from predictions order by example").fetchall()
    assert found == [(None, "unstorable"), (None, "unstorable"), (True, None)]


def test_a_row_that_cannot_be_named_is_told(tmp_path: Path) -> None:
    odd = replace(failed(ask("x"), "timeout", "", 0.5, 1), request=HALF)

    async def main() -> None:
        async with CompletionLog(made(tmp_path), "run") as log:
            await log.append(odd)

    with pytest.raises(DataError, match=r"'completions' cannot be stored, as its \['request'\]"):
        loop.run(main())


PLANTED = "planted-key-1234"


@pytest.mark.parametrize("mode", MODES)
def test_a_key_that_a_server_echoes_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    password = "hunter22"

    def answer(asked: Asked) -> Reply:
        text = f"your key is {PLANTED}, your password {password}"
        tokens = [("your key is planted", {"your key is planted": -0.1}), ("-key", {"-key": -0.2})]
        return Reply(text, logprobs=[*tokens, ("-1234", {"-1234": -0.1, PLANTED: -2.0})])

    with Paying(mode, answer) as paying:
        url = paying.server.url.replace("http://", f"http://joe:{password}@")
        [one] = complete(tmp_path, url, ["x"], **MODES[mode])
    assert one.answer == f"your key is {MASK}, your password {MASK}"
    assert one.logprobs is None
    [row] = stored(tmp_path)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (PLANTED, password):
        assert secret not in str(row)
        assert secret.encode() not in written


def test_words_that_look_like_secrets_stay_in_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is a result: only what is known to be a secret goes."""
    monkeypatch.setenv("POSTGRES_PASSWORD", "postgres")
    monkeypatch.setenv("PIN_TOKEN", "123456")
    monkeypatch.setenv("LONG_SECRET", "correcthorsebatterystaple")
    scrub = Scrubber()
    for text in ("basic arithmetic", "bearer instruments", "sk-learn", "postgres, 123456", "a@b"):
        assert scrub.answer(text) == text
    assert scrub.answer("correcthorsebatterystaple") == MASK
    assert scrub("postgres") == MASK


def test_scrubbing_a_long_text_takes_no_time() -> None:
    scrub = Scrubber()
    for piece in ("a", "a://", "authorization ", "bearer ", "sk-", "?key=", HALF):
        text = piece * (2**20 // len(piece))
        assert len(scrub(text)) > 0
        assert len(scrub.answer(text)) > 0
