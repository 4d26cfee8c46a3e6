"""Transports: which one is taken for a model, and what one of one's own may do wrong."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from delphi_assets.errors import SettingError
from delphi_assets.ground.registries import TRANSPORTS
from delphi_assets.llm.asking.keys import check_model
from delphi_assets.llm.calls import attempts, failures
from delphi_assets.llm.calls.failures import CallError
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.responses import Reply, TokenLogprobs
from delphi_assets.llm.calls.transport import Line, Send, Transport, transport_name
from delphi_assets.settings import LLMSettings
from tests.parts.asking import complete, stored

pytestmark = pytest.mark.slow

MODEL = "own/model"
Sends = Callable[[Request], Awaitable[object]]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sends], list[str]]:
    """Registers a transport `own` that sends so; gives what is opened and closed."""
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)

    def register(send: Sends) -> list[str]:
        told: list[str] = []

        class Own(Transport):
            @asynccontextmanager
            async def open(self, line: Line) -> AsyncIterator[Send]:
                told.append(f"open {line.model}")
                yield cast("Send", send)
                told.append("closed")

        monkeypatch.setattr(TRANSPORTS, "_registered", {"own": Own})
        return told

    return register


def test_what_a_transport_gives_is_stored_clean(
    tmp_path: Path, own: Callable[[Sends], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_API_KEY", "planted-key-1234")

    async def send(request: Request) -> Reply:
        return Reply(
            answer="half \ud83d planted-key-1234",
            finish_reason="stop " * 100,
            prompt_tokens=-3,
            cached_tokens=0.5,
            completion_tokens="many",
            cost=float("nan"),
            logprobs=[TokenLogprobs("half", -0.5, {"whole": -1.0, "none": float("nan")})],
        )

    told = own(send)
    (answer,) = complete(tmp_path, None, ["what?"], MODEL)
    assert told == [f"open {MODEL}", "closed"]
    (row,) = stored(tmp_path)
    assert row["answer"] == answer.answer
    assert "planted-key" not in str(row)
    assert "\ud83d" not in str(row["answer"])
    assert len(str(row["finish_reason"])) <= 100
    assert (row["prompt_tokens"], row["cached_tokens"], row["cost"]) == (5, None, None)
    assert row["logprobs"] == '[{"token": "half", "top": [["whole", -1.0], ["half", -0.5]]}]'
    complete(tmp_path, None, ["what?"], MODEL)
    assert len(stored(tmp_path)) == 1, "an answer is not asked for again"


def test_a_cost_is_that_of_the_table_of_prices_where_the_reply_has_none(
    tmp_path: Path, own: Callable[[Sends], list[str]]
) -> None:
    async def send(request: Request) -> Reply:
        return Reply("fine", "stop", 1_000, None, 100, None)

    own(send)
    name = "gpt-4o-mini"
    (answer,) = complete(tmp_path, None, ["what?"], name, transport="own", budget_dollars=1.0)
    assert answer.cost == pytest.approx(1_000 * 0.15e-6 + 100 * 0.6e-6)


@pytest.mark.parametrize(
    ("error", "failure", "tries"),
    [
        (CallError(failures.RATE_LIMIT, "slow down", retry_after=0.01), "rate_limit: slow down", 3),
        (CallError(failures.REJECTED, "no such thing"), "rejected: no such thing", 1),
        (CallError(failures.UNREADABLE, "what"), "unreadable: what", 1),
        (TimeoutError("late"), "timeout: TimeoutError: late", 3),
        (KeyError("choices"), "server_error: KeyError: 'choices'", 3),
    ],
)
def test_a_failure_is_a_row(
    tmp_path: Path,
    own: Callable[[Sends], list[str]],
    error: Exception,
    failure: str,
    tries: int,
) -> None:
    async def send(request: Request) -> Reply:
        raise error

    own(send)
    (answer,) = complete(tmp_path, None, ["what?"], MODEL)
    assert (answer.error, answer.attempts) == (failure, tries)


@pytest.mark.parametrize(
    ("gives", "problem"),
    [
        (CallError(failures.REJECTED, "bad key", fatal=True), "bad key - check the name of the mo"),
        ("a text", "the transport 'own' gave a str; expected a Reply"),
    ],
)
def test_what_stops_a_stage(
    tmp_path: Path, own: Callable[[Sends], list[str]], gives: object, problem: str
) -> None:
    async def send(request: Request) -> object:
        if isinstance(gives, Exception):
            raise gives
        return gives

    told = own(send)
    with pytest.raises(SettingError, match=problem):
        complete(tmp_path, None, ["what?"], MODEL)
    assert told[-1] == "closed"


class NoTransportReply(Transport):
    """Gives what is no `Reply`."""

    @asynccontextmanager
    async def open(self, line: Line) -> AsyncIterator[Send]:
        async def send(request: Request) -> object:
            return "a text"

        yield cast("Send", send)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_this_library_stops_a_stage_wherever_it_comes_up(
    tmp_path: Path, processes: int
) -> None:
    with pytest.raises(SettingError, match="NoTransportReply' gave a str; expected a Reply"):
        complete(
            tmp_path,
            None,
            ["what?"],
            MODEL,
            transport=f"{__name__}:{NoTransportReply.__name__}",
            processes=processes,
        )
    assert stored(tmp_path) == []


def test_a_failure_has_a_code_that_is_known() -> None:
    with pytest.raises(SettingError, match=r"code 'oops'; expected one of \['timeout'"):
        CallError("oops", "what")


def test_a_transport_is_named_or_begins_the_models_name(
    own: Callable[[Sends], list[str]],
) -> None:
    async def send(request: Request) -> Reply:
        return Reply("fine")

    own(send)
    named = LLMSettings.model_validate({"models": {"openai/x": {"transport": "own"}}})
    chosen = {
        model: transport_name(named.of(model), model)
        for model in ("openai/x", "openai/y", "own/x", "own", "my_package.own:Own/x")
    }
    assert chosen == {
        "openai/x": "own",
        "openai/y": "litellm",
        "own/x": "own",
        "own": "litellm",
        "my_package.own:Own/x": "litellm",
    }
    with pytest.raises(SettingError, match=r"llm\.batch = true .* 'own' has no batch endpoint"):
        check_model(LLMSettings(batch=True), "score.scorer_model", "own/x")
    with pytest.raises(SettingError, match="no price of model"):
        check_model(LLMSettings(budget_dollars=1.0), "score.scorer_model", "own/x")
    check_model(LLMSettings(), "score.scorer_model", "own/x")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"transport": "litelm"}, r"llm\.transport = 'litelm'; .*did you mean 'litellm'"),
        ({"models": {"x/y": {"transport": "none"}}}, r"transport = 'none'; expected one of"),
        ({"options": {"litellm": {"a": 1}}}, "the transport 'litellm' takes no options"),
    ],
)
def test_a_transport_that_does_not_exist_is_refused(given: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LLMSettings.model_validate(given)
