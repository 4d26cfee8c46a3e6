"""Many questions to a server that fails in every way, stopped halfway, and asked again.

In: how many questions. Out: a `FaultRun`.

1. Questions go round the KINDS. A budget of half the calls stops the first run; the second one asks
   the rest; the third one finds a server that is well again, and may ask only what it can mend.
2. The server counts the answers that it sent whole, by question: what a provider bills.
"""

import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from delphi_assets.errors import BudgetError
from delphi_assets.llm import Client, loop, repair
from delphi_assets.llm.requests import Request
from delphi_assets.scorers.answers import Answers, parse
from tests.asking import MODEL, ask, made, settings_of, stored
from tests.fault_server import Asked, FaultServer, Reply

GOOD, ITEMS = '{"answers": [1, 0, 1]}', 3
LOGPROBS = [(GOOD[:13], {GOOD[:13]: 0.0}), ("1", {"1": -0.1}), (GOOD[14:], {GOOD[14:]: 0.0})]


class Kind(NamedTuple):
    """How the server treats a question."""

    first: Reply
    """To the first request."""
    later: Reply
    """To the requests after it, a second try after an answer that cannot be read among them."""
    failure: str | None
    """What the question ends with."""


OK = Reply(GOOD)
KINDS: dict[str, Kind] = {
    "well": Kind(OK, OK, None),
    "slow": Kind(Reply(GOOD, delay=0.2), OK, None),
    "busy": Kind(Reply(status=429, headers={"Retry-After": "0.05"}), OK, None),
    "broken": Kind(Reply(status=500), OK, None),
    "dropped": Kind(Reply(drop=True), OK, None),
    "cut": Kind(Reply(GOOD, cut=True), OK, None),
    "no logprobs": Kind(OK, OK, None),
    "logprobs": Kind(Reply(GOOD, logprobs=LOGPROBS), OK, None),
    "mended": Kind(Reply('{"answers": [1, 0]}'), OK, None),
    "truncated": Kind(*(Reply('{"answers": [1,', finish_reason="length"),) * 2, "truncated"),
    "empty": Kind(*(Reply(text=""),) * 2, "empty"),
    "miscounted": Kind(*(Reply('{"answers": [1, 0]}'),) * 2, "wrong_count"),
    "prose": Kind(*(Reply("All of them fit well."),) * 2, "unparseable"),
    "refused": Kind(*(Reply("I'm sorry, I can't help with that."),) * 2, "refusal"),
    "down": Kind(*(Reply(status=503),) * 2, "server_error"),
    "rejected": Kind(*(Reply(status=400),) * 2, "rejected"),
}


class FaultRun(NamedTuple):
    """What came of it."""

    questions: int
    requests: int
    """HTTP requests of the first two runs."""
    paid: int
    """Answers that the server sent whole, second tries among them."""
    paid_twice: int
    """Of these, answers to a question that had one."""
    failures: dict[str, int]
    """Questions by how they ended after the second run; `none` for those with answers."""
    expected: dict[str, int]
    rows: int
    """Rows of the view completions after the second run."""
    without_row: int
    """Questions that have no row there."""
    sent_when_resumed: int
    """Questions that the third run sent."""
    open_before: int
    """Questions that had failed in a way that the third run may mend."""
    seconds: float
    """Of the first two runs."""


class _Server:
    """Answers by kind, and counts what it sent whole."""

    def __init__(self) -> None:
        self.well = False
        self.paid: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Reply:
        turns = asked.body["messages"]
        kind = KINDS[str(turns[0]["content"]).partition(":")[0]]
        again = asked.times_before > 0 or len(turns) > 1 or "cannot be used" in asked.prompt
        reply = OK if self.well else kind.later if again else kind.first
        if reply.status == 200 and not reply.drop and not reply.cut:
            with self._lock:
                self.paid[str(turns)] += 1
        return reply


def run(root: Path, questions: int, max_concurrent: int) -> FaultRun:
    """Ask `questions` three times over; pauses are as long as `attempts.FIRST_PAUSE` says."""
    kinds = list(KINDS)
    requests = [
        ask(f"{kinds[number % len(kinds)]}: {number}", logprobs=True) for number in range(questions)
    ]
    answering = _Server()
    with FaultServer(answering) as server:
        start = time.perf_counter()
        try:
            _ask(root, server.url, requests, max_concurrent, budget_calls=questions // 2)
        except BudgetError:
            ended = _ask(root, server.url, requests, max_concurrent)
        seconds, n_requests = time.perf_counter() - start, len(server.asked)
        rows = stored(root)
        named = {row["request"] for row in rows}
        answering.well = True
        n_open = sum(
            KINDS[kind].failure in ("server_error", "rejected") for kind in _kinds(requests)
        )
        _ask(root, server.url, requests, max_concurrent)
        n_resumed = len(server.asked) - n_requests
    return FaultRun(
        questions=questions,
        requests=n_requests,
        paid=sum(answering.paid.values()),
        paid_twice=sum(count - 1 for count in answering.paid.values()),
        failures=dict(sorted(ended.items())),
        expected=dict(
            sorted(Counter(KINDS[k].failure or "none" for k in _kinds(requests)).items())
        ),
        rows=len(rows),
        without_row=sum(request.hash not in named for request in requests),
        sent_when_resumed=n_resumed,
        open_before=n_open,
        seconds=round(seconds, 1),
    )


def _kinds(requests: list[Request]) -> list[str]:
    return [request.messages[0].content.partition(":")[0] for request in requests]


def _ask(
    root: Path, url: str, requests: list[Request], max_concurrent: int, **settings: object
) -> Counter[str]:
    """How the questions end."""
    ended: Counter[str] = Counter()
    llm = settings_of(url, max_concurrent=max_concurrent, timeout=60.0, **settings)

    async def main() -> None:
        async with Client(llm, MODEL, made(root), "run") as client:

            async def one(request: Request) -> None:
                asked = await repair.ask(
                    client, request, lambda completion: parse(completion, ITEMS), _failure
                )
                ended[asked.result.failure or "none"] += 1

            await loop.for_each(requests, one, client.workers)

    loop.run(main())
    return ended


def _failure(answers: Answers) -> str | None:
    return answers.failure
