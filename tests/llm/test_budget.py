"""Budgets: counted over the run, never exceeded by a call, resumed when raised."""

import asyncio
import random
from pathlib import Path

import pytest

from delphi_assets.errors import BudgetError, SettingError
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.calls.completions import Spent
from delphi_assets.llm.calls.outages import Stop
from delphi_assets.llm.money.budget import Budget
from delphi_assets.llm.money.ledger import Ledger
from delphi_assets.settings import LLMSettings
from tests.parts.asking import MODEL, ask, complete, made, settings_of, stored
from tests.parts.fault_server import FaultServer, Reply

pytestmark = pytest.mark.slow

PROMPTS = [str(number) for number in range(20)]
PRICED = "openai/gpt-4o-mini"


def test_calls_stop_at_the_budget_and_go_on_when_it_is_raised(tmp_path: Path) -> None:
    with FaultServer(lambda asked: Reply(asked.prompt, delay=0.02)) as server:
        with pytest.raises(BudgetError, match=r"llm\.budget_calls = 7 .* 7 calls, 84 tokens"):
            complete(tmp_path, server.url, PROMPTS, budget_calls=7, max_concurrent=4)
        assert len(server.asked) == len(stored(tmp_path)) == 7
        with pytest.raises(BudgetError):
            complete(tmp_path, server.url, PROMPTS, budget_calls=7)
        assert len(server.asked) == 7, "what an earlier run paid for counts"
        complete(tmp_path, server.url, PROMPTS[:7], budget_calls=0)
        complete(tmp_path, server.url, PROMPTS, budget_calls=20)
        assert len(server.asked) == len(stored(tmp_path)) == 20


def test_tokens_stop_before_the_call_that_could_exceed_them(tmp_path: Path) -> None:
    """An answer takes 12 tokens and could take 10 beside its prompt's 4: 0, 12, 24, 36 + 14."""
    with FaultServer(lambda asked: Reply(asked.prompt)) as server:
        with pytest.raises(BudgetError, match=r"llm\.budget_tokens = 49 .* 3 calls, 36 tokens"):
            complete(tmp_path, server.url, PROMPTS, budget_tokens=49)
        assert len(stored(tmp_path)) == 3
        with pytest.raises(BudgetError, match="4 calls, 48 tokens"):
            complete(tmp_path, server.url, PROMPTS, budget_tokens=50)


def test_dollars_are_counted_by_the_models_price(tmp_path: Path) -> None:
    """0.15 and 0.60 dollars a million: a call may take (4 * 0.15 + 10 * 0.6) / 1e6 dollars."""
    with (
        FaultServer(lambda asked: Reply(asked.prompt)) as server,
        pytest.raises(BudgetError, match=r"llm\.budget_dollars"),
    ):
        complete(tmp_path, server.url, PROMPTS, model=PRICED, budget_dollars=2e-5)
    costs = [row["cost"] for row in stored(tmp_path)]
    assert 0 < sum(costs) <= 2e-5  # type: ignore[arg-type]
    assert sum(costs) + 6.6e-6 > 2e-5  # type: ignore[arg-type]


def test_dollars_need_a_price(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no price of model = 'openai/tiny'.*budget_tokens"):
        complete(tmp_path, "http://127.0.0.1:9", ["x"], budget_dollars=1.0)


def test_the_message_says_what_is_left_to_do(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        lake = made(tmp_path)
        async with Client(
            settings_of(url, budget_calls=0), MODEL, lake, "run", left=lambda: "5 of 9 latents"
        ) as client:
            await client.complete(ask("x"))

    with FaultServer(lambda asked: Reply()) as server:
        with pytest.raises(BudgetError, match=r"Raise llm\.budget_calls .* 5 of 9 latents"):
            loop.run(main(server.url))
        assert not server.asked


@pytest.mark.parametrize("seed", range(5))
def test_never_more_than_the_limit_is_set_aside(tmp_path: Path, seed: int) -> None:
    """Random calls that come and go at random: what is spent and open never exceeds the limit."""
    rng = random.Random(seed)
    limit, most = 1_000, 4 + 50
    ledger = Ledger(made(tmp_path), "run")
    budget = Budget(LLMSettings(budget_tokens=limit), MODEL, ledger, Stop())
    open_now, made_calls = 0, 0

    async def call(number: int) -> None:
        nonlocal open_now, made_calls
        aside = await budget.reserve(ask(str(number), max_tokens=50))
        assert aside == Spent(0.0, most, 1)
        open_now += 1
        made_calls += 1
        assert 100 + open_now * most <= limit
        await asyncio.sleep(rng.random() / 100)
        open_now -= 1
        await budget.settle(aside, None)

    async def main() -> None:
        await asyncio.gather(*[call(number) for number in range(100)])

    with ledger:
        ledger.begin(Spent(tokens=100, calls=2), Spent())
        loop.run(main())
    assert made_calls == 100, "calls that took nothing leave the budget to the others"
