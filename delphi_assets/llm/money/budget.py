"""Budgets of a run in US dollars, tokens and calls, kept over all its stages and restarts.

In: what the run's calls came to so far (the table completions), and each call before it is made.
Out: leave to make it, or a `BudgetError`.

1. Before a call, the most it can take is set aside: one call, its prompt (guessed from the
   characters) and its longest answer (`max_tokens`), and their price.
2. If that does not fit while other calls are open, the caller waits for one of them: an answer
   takes mostly less than was set aside for it. If it does not fit and none is open, the budget is
   at its end.
3. The answer's own numbers replace what was set aside.

So the calls are never exceeded. Tokens and dollars are exceeded at most by what the guesses of the
prompts that are open at the time (`llm.max_concurrent`, or a batch) are too low together. Calls
that fail have no count of tokens and are taken for free, as providers bill answers; one whose
answer came and could not be used counts as the longest answer.

What is set aside and spent is kept for all processes that work on the run (`llm.money.ledger`). One
without a budget sets nothing aside, and tells the others once in REPORTING seconds what it spent.
"""

import asyncio
import time
from contextlib import suppress
from typing import NamedTuple

from delphi_assets.errors import BudgetError, SettingError
from delphi_assets.llm.calls.completions import Completion, Spent, spent
from delphi_assets.llm.calls.outages import Stop
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.tokens import Price, guess, price
from delphi_assets.llm.money.ledger import Ledger
from delphi_assets.settings import LLMSettings

LOOK = 0.2
"""Seconds between two looks at what other processes have set aside."""
REPORTING = 1.0
"""Seconds between two reports of a process without a budget."""
FREE = Price(0.0, 0.0)
"""Taken for a price that nobody knows, where no budget is in dollars."""


class _Refused(NamedTuple):
    """Why a call is not made."""

    setting: str
    """What it would exceed, together with what is set aside."""
    spent: Spent
    others_open: bool
    """Whether what is set aside may come to less."""


class Budget:
    """The budgets of one run for calls of one model.

    Raises `SettingError` for a budget in dollars when the model's price is unknown.
    """

    def __init__(self, settings: LLMSettings, model: str, ledger: Ledger, stop: Stop) -> None:
        self._limits = {
            "llm.budget_dollars": settings.budget_dollars,
            "llm.budget_tokens": settings.budget_tokens,
            "llm.budget_calls": settings.budget_calls,
        }
        self._any = any(limit is not None for limit in self._limits.values())
        check_price(settings, model)
        self._price = price(model, settings.batch) or FREE
        self._ledger, self._stop = ledger, stop
        self._untold, self._told = Spent(), time.monotonic()
        self._settled = asyncio.Condition()

    async def reserve(self, request: Request) -> Spent:
        """Set aside what the call can take at most; raises `BudgetError` when that is not left.

        Raises the reason to stop when the stage stops meanwhile (see `wake`).
        """
        if not self._any:
            return Spent()
        call = most(request, self._price)
        async with self._settled:
            while (refused := self._take(call)) is not None:
                if not refused.others_open:
                    raise BudgetError(self._message(refused, call))
                # Other processes tell nobody that a call has ended.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._settled.wait(), LOOK)
                self._stop.check()
        return call

    def paid(self, request: Request) -> Spent:
        """Set aside what a call takes that an earlier process made, for those who have budgets."""
        call = most(request, self._price)
        self._ledger.follow(call)
        return call

    async def settle(self, aside: Spent, completion: Completion | None) -> None:
        """Replace what was set aside by what the call came to; None when it was not made."""
        came_to = Spent() if completion is None else spent(completion)
        if not aside.calls:
            self._untold = self._untold.plus(came_to)
            if time.monotonic() - self._told > REPORTING:
                self.tell()
            return
        async with self._settled:
            self._ledger.settle(aside, came_to)
            self._settled.notify_all()

    def tell(self) -> None:
        """Report what calls came to for which nothing was set aside."""
        self._ledger.settle(Spent(), self._untold)
        self._untold, self._told = Spent(), time.monotonic()

    async def wake(self) -> None:
        """Tell those who wait that the stage has stopped."""
        async with self._settled:
            self._settled.notify_all()

    def _take(self, call: Spent) -> _Refused | None:
        """Set the call aside unless it exceeds a budget."""
        with self._ledger.sums() as sums:
            over = self._exceeded(sums.total.plus(call))
            if over and self._ledger.others_ended(sums):
                over = self._exceeded(sums.total.plus(call))
            if over:
                return _Refused(over, sums.spent or Spent(), sums.aside.calls > 0)
            self._ledger.set_aside(sums, call)
            return None

    def _exceeded(self, total: Spent) -> str | None:
        """The setting that is exceeded."""
        for (setting, limit), value in zip(self._limits.items(), total, strict=True):
            if limit is not None and value > limit:
                return setting
        return None

    def _message(self, refused: _Refused, call: Spent) -> str:
        setting, so_far, _ = refused
        return (
            f"{setting} = {self._limits[setting]} is at its end: the run's calls came to "
            f"{so_far.calls} calls, {so_far.tokens} tokens and ${so_far.dollars:.4f}, and the next "
            f"one may take {call.tokens} tokens and ${call.dollars:.4f}. Raise {setting} and "
            "start again: every answer is stored, and none is paid for twice."
        )


def most(request: Request, of_model: Price) -> Spent:
    """What a call can take at most, at the price of its model."""
    prompt, answer = guess(request), request.max_tokens
    return Spent(of_model.of(prompt, answer), prompt + answer, calls=1)


def check_price(settings: LLMSettings, model: str) -> None:
    """Raise `SettingError` where a budget in dollars cannot be kept."""
    if settings.budget_dollars is not None and price(model, settings.batch) is None:
        raise SettingError(
            f"llm.budget_dollars = {settings.budget_dollars} cannot be kept: LiteLLM knows no "
            f"price of model = {model!r}; expected llm.budget_tokens or llm.budget_calls instead."
        )
