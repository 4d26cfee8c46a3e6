"""The table `completions`: what came back for each request, written before it is used.

`CompletionLog` answers from the table what was answered before, and appends what is new. An answer
is on disk when `append` returns; answers that arrive together share one file, and files are merged
as they get many. Only what was paid for answers from the table: a call that failed on the way is a
row too, and is asked again.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, Self

import duckdb
import pyarrow.compute as pc

from delphi_assets.ground.foreign_text import clean_text
from delphi_assets.lake import database
from delphi_assets.lake.group_commit import GroupCommit
from delphi_assets.lake.growing_tables import Appender, fitted
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import COMPLETIONS
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.tokens import Price, guess, price

PAUSE = 0.05
"""Seconds between two files. An answer takes that much longer at most, and whoever reads the table
has fewer files to open."""


@dataclass(frozen=True)
class Completion:
    """One row of `completions`; see `schema.COMPLETIONS` for what the fields mean."""

    request: str
    role: str
    model: str
    messages: str
    answer: str | None
    logprobs: str | None
    finish_reason: str | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    latency: float
    attempts: int
    error: str | None
    written_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def failure(self) -> str | None:
        """Code of the failed call (see `llm.calls.failures`); None when there is an answer."""
        return self.error.partition(":")[0] if self.error is not None else None

    def costing(self, price: Price | None) -> Self:
        """The same with its cost by `price`, where that is known."""
        if price is None:
            return self
        cost = price.of(self.prompt_tokens or 0, self.completion_tokens or 0)
        return replace(self, cost=cost)


def failed(request: Request, code: str, error: str, latency: float, attempts: int) -> Completion:
    """The row of a call that failed for good; `error` must hold no secrets.

    One whose answer is paid for counts as the longest answer that it may have been.
    """
    row = Completion(
        request=request.hash,
        role=request.role,
        model=request.model,
        messages=request.messages_json,
        answer=None,
        logprobs=None,
        finish_reason=None,
        prompt_tokens=None,
        cached_tokens=None,
        completion_tokens=None,
        cost=None,
        latency=latency,
        attempts=attempts,
        error=f"{code}: {clean_text(error)[:500]}",
    )
    if code not in failures.PAID:
        return row
    counted = replace(row, prompt_tokens=guess(request), completion_tokens=request.max_tokens)
    return counted.costing(price(request.model))


class Spent(NamedTuple):
    """What calls came to."""

    dollars: float = 0.0
    """As far as prices are known."""
    tokens: int = 0
    """Sent and received."""
    calls: int = 0
    """Answered or failed, however often sent."""

    def plus(self, other: "Spent") -> "Spent":
        """The sum."""
        return Spent(
            self.dollars + other.dollars, self.tokens + other.tokens, self.calls + other.calls
        )

    def minus(self, other: "Spent") -> "Spent":
        """The difference."""
        return Spent(
            self.dollars - other.dollars, self.tokens - other.tokens, self.calls - other.calls
        )


def spent(completion: Completion) -> Spent:
    """What one call came to."""
    tokens = (completion.prompt_tokens or 0) + (completion.completion_tokens or 0)
    return Spent(completion.cost or 0.0, tokens, calls=1)


class CompletionLog:
    """The completions of one run. Use with `async with`.

    Keeps the hashes of answered requests in memory, so that the table is only read for a hit: about
    100 bytes each.
    """

    def __init__(self, lake: Lake, run: str) -> None:
        self._lake, self._run = lake, run
        self._answered: set[bytes] = set()
        self._lost: set[str] = set()
        self.spent = Spent()
        """What the run's calls had come to when the log was opened."""
        self._database: duckdb.DuckDBPyConnection
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._database = stack.enter_context(database.connect(self._lake, up_to_date=False))
            self._read_calls()
            self._appender = Appender(self._lake, COMPLETIONS, {"run": self._run})
            stack.push_async_callback(self._appender.close)
            self._reads = await stack.enter_async_context(GroupCommit(self._read))
            self._writes = await stack.enter_async_context(GroupCommit(self._write, PAUSE))
            self._stack = stack.pop_all()
        return self

    def _read_calls(self) -> None:
        calls = database.query(
            self._database, "completions/calls", run=self._run, paid=list(failures.PAID)
        )
        answered = calls.filter(calls["answered"])["request"]
        self._answered = {bytes.fromhex(request) for request in answered.to_pylist()}
        self._lost = set(calls.filter(calls["lost"])["request"].to_pylist())
        self.spent = Spent(
            pc.sum(calls["dollars"]).as_py() or 0.0,
            pc.sum(calls["tokens"]).as_py() or 0,
            calls.num_rows,
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def answered(self, request: str) -> bool:
        """Whether there is a stored answer to the request of this hash."""
        return bytes.fromhex(request) in self._answered

    def lost(self, request: str) -> bool:
        """Whether the provider has lost an answer to the request of this hash before."""
        return request in self._lost

    async def find(self, request: Request) -> Completion | None:
        """The stored answer to the request, or None."""
        if not self.answered(request.hash):
            return None
        found = await self._reads.submit(request)
        if found is None:
            # Somebody has removed it: the next answer has to be stored.
            self._answered.discard(bytes.fromhex(request.hash))
        return found

    async def append(self, completion: Completion) -> Completion:
        """The completion as it is on disk: one that does not fit is a failure."""
        stored = await self._writes.submit(completion)
        if stored.error is None or stored.failure in failures.PAID:
            self._answered.add(bytes.fromhex(stored.request))
        return stored

    def _read(self, requests: Sequence[Request]) -> list[Completion | None]:
        # The prompts are by far the largest column, and known.
        prompts = {request.hash: request.messages_json for request in requests}
        rows = database.query(
            self._database,
            "completions/read",
            run=self._run,
            requests=list(prompts),
            paid=list(failures.PAID),
        )
        found = {
            row["request"]: Completion(messages=prompts[row["request"]], **row)
            for row in rows.to_pylist()
        }
        return [found.get(request.hash) for request in requests]

    def _write(self, completions: Sequence[Completion]) -> list[Completion]:
        rows, arrow = fitted(COMPLETIONS, [asdict(completion) for completion in completions])
        self._appender.append(arrow)
        return [Completion(**row) for row in rows]  # type: ignore[arg-type]
