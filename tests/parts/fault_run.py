"""Many questions to a server that fails in every way, asked by processes that are stopped.

In: how many questions. Out: a `FaultRun`.

1. Questions go round the KINDS. Whoever asks claims them, as the stages do.
2. A budget of half the calls stops the first run. The second one is a process that gets SIGTERM at
   a quarter more. A third one was started beside it on the same questions: it waits for its turn
   and asks the rest. The last one finds a server that is well again, and may ask only what it can
   mend.
3. The server counts the answers that it sent whole, by question: what a provider bills.
"""

import json
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from delphi_assets.errors import BudgetError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.lake.claims import asking
from delphi_assets.llm.asking import loop, repair
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.calls import attempts
from delphi_assets.llm.calls.litellm_calls import import_litellm
from delphi_assets.llm.calls.requests import Request
from delphi_assets.prompts import Prompts
from delphi_assets.scorers.answers.yes_no import Answers, parse
from tests.parts.asking import MODEL, ask, made, settings_of, stored
from tests.parts.fault_server import Asked, FaultServer, Reply

GOOD, ITEMS = '{"answers": [1, 0, 1]}', 3
LOGPROBS = [(GOOD[:13], {GOOD[:13]: 0.0}), ("1", {"1": -0.1}), (GOOD[14:], {GOOD[14:]: 0.0})]
HALF = "\ud83d"
"""Half a character, as JSON allows it."""
HALVES = [(HALF, {HALF: 0.0}), *LOGPROBS]
PACKED = zlib.compress(bytes(20 * 2**20), wbits=31)
"""More than `llm.max_reply_mib`, in 20 kilobytes."""


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
    "half": Kind(Reply(f'{{"why": "{HALF}", "answers": [1, 0, 1]}}'), OK, None),
    "half tokens": Kind(Reply(GOOD, logprobs=HALVES), OK, None),
    "miscounting": Kind(Reply(GOOD, usage={"prompt_tokens": -(10**6), "cost": "?"}), OK, None),
    "bomb": Kind(*(Reply(raw=PACKED, headers={"Content-Encoding": "gzip"}),) * 2, "too_large"),
    "nested": Kind(*(Reply(raw=b'{"choices": ' + b"[" * 10_000),) * 2, "unreadable"),
}


class FaultRun(NamedTuple):
    """What came of it."""

    questions: int
    requests: int
    """HTTP requests until all was asked."""
    paid: int
    """Answers that the server sent whole, second tries among them."""
    paid_twice: int
    """Of these, answers to a question that had one."""
    failures: dict[str, int]
    """Questions by how they ended when all was asked; `none` for those with answers."""
    expected: dict[str, int]
    rows: int
    """Rows of the view completions then."""
    without_row: int
    """Questions that have no row there."""
    sent_when_resumed: int
    """Questions that the last run sent."""
    open_before: int
    """Questions that had failed in a way that the last run may mend."""
    stopped_at: int
    """Requests that had been sent when a process got SIGTERM."""
    seconds: float
    """Until all was asked."""


class _Server:
    """Answers by kind, and counts what it sent whole."""

    def __init__(self) -> None:
        self.well = False
        self.paid: Counter[str] = Counter()
        self.held_from: int | None = None
        """Number of the request from which on answers wait until `released`."""
        self.released = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Reply:
        if self.held_from is not None and asked.number >= self.held_from:
            self.released.wait(300)
        turns = asked.body["messages"]
        kind = KINDS[str(turns[0]["content"]).partition(":")[0]]
        again = asked.times_before > 0 or len(turns) > 1 or "cannot be used" in asked.prompt
        reply = OK if self.well else kind.later if again else kind.first
        if reply.status == 200 and not reply.drop and not reply.cut:
            with self._lock:
                self.paid[str(turns)] += 1
        return reply


def run(root: Path, questions: int, max_concurrent: int) -> FaultRun:
    """Ask `questions` until there is nothing left; pauses are as `attempts.FIRST_PAUSE` says."""
    requests, answering = _requests(questions), _Server()
    with FaultServer(answering) as server:
        start = time.perf_counter()
        try:
            _ask(root, server.url, requests, max_concurrent, budget_calls=questions // 2)
        except BudgetError:
            stopped_at, ended = _stopped(root, server, answering, questions, max_concurrent)
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
        stopped_at=stopped_at,
        seconds=round(seconds, 1),
    )


class _Stopped(NamedTuple):
    """What came of two processes, one of which was stopped."""

    stopped_at: int
    ended: dict[str, int]


def _stopped(
    root: Path, server: FaultServer, answering: _Server, questions: int, max_concurrent: int
) -> _Stopped:
    """Two processes at the same questions; the one that asks gets SIGTERM, the other goes on.

    Answers are held until the signal is sent: it is at work then, however slow this one is.
    """
    given = [str(root), server.url, str(questions), str(max_concurrent), str(attempts.FIRST_PAUSE)]
    command = [sys.executable, "-c", f"from {__name__} import main; main()", *given]
    answering.held_from = enough = len(server.asked) + questions // 4
    with _asker(command) as asks, _asker(command) as waits:
        try:
            for process in (asks, waits):
                _expect(process, "ready")
            _tell(asks)
            _expect(asks, "asks")
            _tell(waits)
            while (stopped_at := len(server.asked)) < enough:
                assert asks.poll() is None, "it has to ask until it is stopped"
                time.sleep(0.01)
            asks.send_signal(signal.SIGTERM)
            answering.released.set()
            assert asks.wait() != 0
            _expect(waits, "asks")
            told, _ = waits.communicate()
            # A library may have printed something before.
            return _Stopped(stopped_at, json.loads(told.splitlines()[-1]))
        finally:
            asks.kill()
            waits.kill()


def _asker(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _expect(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{line}\n"


def _tell(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def main() -> None:
    """Ask as one of two processes, when told to; say how the questions ended."""
    root, url, questions, max_concurrent, first_pause = sys.argv[1:]
    attempts.FIRST_PAUSE = float(first_pause)
    requests = _requests(int(questions))
    import_litellm()
    print("ready", flush=True)
    sys.stdin.readline()
    ended = _ask(Path(root), url, requests, int(max_concurrent), lambda: print("asks", flush=True))
    print(json.dumps(ended), flush=True)


def _requests(questions: int) -> list[Request]:
    kinds = list(KINDS)
    return [
        ask(f"{kinds[number % len(kinds)]}: {number}", logprobs=True) for number in range(questions)
    ]


def _kinds(requests: list[Request]) -> list[str]:
    return [request.messages[0].content.partition(":")[0] for request in requests]


def _ask(
    root: Path,
    url: str,
    requests: list[Request],
    max_concurrent: int,
    begun: Callable[[], None] = lambda: None,
    **settings: object,
) -> Counter[str]:
    """How the questions end; `begun` is called once they are claimed."""
    ended: Counter[str] = Counter()
    llm = settings_of(url, max_concurrent=max_concurrent, timeout=60.0, **settings)
    lake = made(root)

    async def main() -> None:
        async with Client(llm, MODEL, lake, "run") as client:

            async def one(request: Request) -> None:
                asked = await repair.ask(
                    client,
                    request,
                    lambda completion: parse(completion, ITEMS),
                    _failure,
                    Prompts(),
                )
                ended[asked.result.failure or "none"] += 1

            await loop.for_each(requests, one, client.workers)

    with terminable(), asking(lake, "questions", {"run": "run"}):
        begun()
        loop.run(main())
    return ended


def _failure(answers: Answers) -> str | None:
    return answers.failure
