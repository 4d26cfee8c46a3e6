"""A run's budget holds across processes that work on it at the same time."""

import asyncio
import re
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import BudgetError
from delphi_assets.lake.lake import Lake
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.batch import queue
from delphi_assets.llm.calls.completions import Spent
from delphi_assets.llm.money.ledger import Ledger
from tests.parts import explaining
from tests.parts.asking import MODEL, ask, made, settings_of, stored
from tests.parts.batch_server import BatchServer
from tests.parts.explained_lake import HOOKPOINT, add_hookpoint, make_lake
from tests.parts.fault_server import Asked, FaultServer, Reply
from tests.parts.tiny_project import ROOT

pytestmark = pytest.mark.slow

OTHER = "layers.4"
FIRST = 1000
"""The first latent of the other hookpoint."""
WAIT = 300.0
"""Seconds that a process may take to start on a busy machine."""
CALL = Spent(0.5, 100, 1)


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "GATHERING", 0.2)


class AfterBoth:
    """Answers questions once some about each hookpoint have come, whoever starts first."""

    def __init__(self) -> None:
        self.of_each, self._both = {HOOKPOINT: 0, OTHER: 0}, threading.Event()

    def __call__(self, asked: Asked) -> Reply:
        self.of_each[about(asked)] += 1
        if all(self.of_each.values()):
            self._both.set()
        self._both.wait(WAIT)
        return slow(asked)


def slow(asked: Asked) -> Reply:
    return Reply(f"[EXPLANATION]: Number {asked.number}.", delay=0.05)


def about(asked: Asked) -> str:
    """The hookpoint of the latent that is asked about."""
    found = re.search(r"word(\d+)", asked.prompt)
    assert found is not None
    return OTHER if int(found[1]) >= FIRST else HOOKPOINT


def two_hookpoints(root: Path, n_latents: int) -> Lake:
    lake = make_lake(root, n_latents)
    add_hookpoint(lake, OTHER, range(FIRST, FIRST + n_latents))
    return lake


def rows(lake: Lake) -> int:
    found = connect(lake).sql("select count(*) from completions").fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize(
    ("budget", "calls"),
    # A call takes 12 tokens, and may take its prompt of some 700 and 20 more.
    [({"budget_calls": 60}, range(60, 61)), ({"budget_tokens": 3_000}, range(150, 251))],
)
def test_two_processes_keep_one_budget(
    tmp_path: Path, budget: dict[str, int], calls: range
) -> None:
    # Each alone has more latents than the budget has calls, and cannot set all of it aside.
    lake, answer = two_hookpoints(tmp_path, 300), AfterBoth()
    given = {"max_tokens": 20, "max_concurrent": 2, "timeout": WAIT, **budget}
    with FaultServer(answer) as server:
        both = [
            explaining.start(tmp_path, server.url, hookpoint, **given)
            for hookpoint in (HOOKPOINT, OTHER)
        ]
        said = [one.communicate(timeout=WAIT) for one in both]
    assert all(one.returncode == 1 for one in both), said
    assert all("BudgetError: llm.budget_" in err for _, err in said), said
    assert not any("waiting for" in err for _, err in said), "hookpoints do not wait"
    assert len(server.asked) in calls
    assert rows(lake) == len(server.asked)
    assert all(answer.of_each.values()), "both were asked about"


def test_what_a_killed_process_had_set_aside_is_free_again(tmp_path: Path) -> None:
    two_hookpoints(tmp_path, 150)
    killed_is_gone = threading.Event()

    def answer(asked: Asked) -> Reply:
        if about(asked) == HOOKPOINT:
            killed_is_gone.wait(WAIT)
        return slow(asked)

    given = {"budget_calls": 60, "max_concurrent": 5, "timeout": WAIT}
    with FaultServer(answer) as server:
        killed = explaining.start(tmp_path, server.url, HOOKPOINT, **given)
        server.wait_for(lambda: len(server.asked) == 5)
        other = explaining.start(tmp_path, server.url, OTHER, **given)
        server.wait_for(lambda: len(server.asked) == 60)
        assert other.poll() is None, "it waits for what is set aside"
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        _, err = other.communicate(timeout=WAIT)
        killed_is_gone.set()
    assert "BudgetError: llm.budget_calls = 60 is at its end" in err
    # The calls that were open may be paid for; nobody can know.
    assert len(server.asked) == 60 + 5


def test_a_process_without_a_budget_tells_the_others_what_it_spends(tmp_path: Path) -> None:
    two_hookpoints(tmp_path, 100)
    bound_has_ended = threading.Event()

    def answer(asked: Asked) -> Reply:
        # A report is at most a second old, which is 20 of the 79 calls that have ended by then.
        if asked.number == 79:
            bound_has_ended.wait(WAIT)
        return slow(asked)

    with FaultServer(answer) as server:
        free = explaining.start(tmp_path, server.url, HOOKPOINT, max_concurrent=1, timeout=WAIT)
        server.wait_for(lambda: len(server.asked) == 80)
        bound = explaining.start(tmp_path, server.url, OTHER, budget_calls=40)
        _, err = bound.communicate(timeout=WAIT)
        assert free.poll() is None, "it is at work all the while"
        bound_has_ended.set()
        free.communicate(timeout=WAIT)
    assert "BudgetError" in err
    assert len(server.asked) == 100, "the run was beyond the other's budget when it came"


def test_members_share_sums_until_the_last_has_left(tmp_path: Path) -> None:
    lake = made(tmp_path)
    with Ledger(lake, "run") as first:
        first.begin(Spent(1.0, 10, 2), Spent())
        with first.sums() as sums:
            first.set_aside(sums, CALL)
        with Ledger(lake, "run") as second:
            second.begin(Spent(100.0, 1000, 200), Spent())
            with second.sums() as sums:
                assert sums.total == Spent(1.5, 110, 3), "the table is behind the others' sums"
            first.settle(CALL, Spent(0.25, 50, 1))
            with second.sums() as sums:
                assert (sums.spent, sums.aside) == (Spent(1.25, 60, 3), Spent())
                second.set_aside(sums, CALL)
        with first.sums() as sums:
            assert sums.total == Spent(1.25, 60, 3), "who leaves takes along what it set aside"
    with Ledger(lake, "run") as later:
        later.begin(Spent(2.0, 20, 4), Spent())
        with later.sums() as sums:
            assert sums.total == Spent(2.0, 20, 4)


DIES = """
    import os, signal, sys
    from delphi_assets.lake.lake import Lake
    from delphi_assets.llm.calls.completions import Spent
    from delphi_assets.llm.money.ledger import Ledger

    member = Ledger(Lake(sys.argv[1]), "run", batch=sys.argv[2] == "batch")
    member.__enter__()
    with member.sums() as sums:
        member.set_aside(sums, Spent(0.5, 100, 1))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("kind", "aside"), [("calls", Spent()), ("batch", CALL)])
def test_a_killed_member_is_missed(tmp_path: Path, kind: str, aside: Spent) -> None:
    """Its calls are free again; its batches are on their way until somebody follows them."""
    lake = made(tmp_path)
    with Ledger(lake, "run", batch=True) as member:
        member.begin(Spent(), Spent())
        arguments = [sys.executable, "-c", textwrap.dedent(DIES), lake.root, kind]
        assert subprocess.run(arguments, cwd=ROOT, check=False).returncode == -signal.SIGKILL
        with member.sums() as sums:
            assert sums.aside == CALL
            assert member.others_ended(sums)
            assert (sums.aside, sums.left) == (Spent(), aside)
        if kind == "batch":
            member.follow(CALL)
            with member.sums() as sums:
                assert (sums.aside, sums.left) == (CALL, Spent())


def test_batches_of_another_stage_count_and_are_not_followed(tmp_path: Path) -> None:
    """Four questions of a stage that was stopped are on their way: six calls are left of ten."""
    asked, other = [str(number) for number in range(4)], [str(number) for number in range(10, 20)]

    async def stage(url: str, owner: str, prompts: list[str]) -> None:
        given = settings_of(url, budget_calls=10, batch=True, batch_size=4, batch_poll=0.05)
        async with Client(given, MODEL, made(tmp_path), "run", owner=owner) as client:
            calls = [asyncio.create_task(client.complete(ask(one))) for one in prompts]
            while server.hanging and len(list(tmp_path.rglob("*.submitted.json"))) < 1:
                await asyncio.sleep(0.02)
            if server.hanging:
                return
            await asyncio.gather(*calls)

    with BatchServer(lambda asked: Reply(asked.prompt)) as server:
        server.hanging = True
        loop.run(stage(server.url, "explanations a", asked))
        server.hanging = False
        with pytest.raises(BudgetError, match="6 calls"):
            loop.run(stage(server.url, "explanations b", other))
        assert not {str(row["answer"]) for row in stored(tmp_path)} & set(asked)
        loop.run(stage(server.url, "explanations a", asked))
        assert {str(row["answer"]) for row in stored(tmp_path)} > set(asked)
        assert sum(server.answered.values()) == 10


@pytest.mark.parametrize(
    ("first", "model"), [(None, MODEL), ("without a budget", MODEL), (None, "openai/other")]
)
def test_batches_under_way_count_whoever_joins_first(
    tmp_path: Path, first: str | None, model: str
) -> None:
    """Also for who sends no batches, when who joined before has no budget, and of other models."""

    async def submitted(url: str) -> None:
        given = settings_of(url, batch=True, batch_size=4, batch_poll=0.05)
        async with Client(given, MODEL, made(tmp_path), "run", owner="explanations a") as client:
            calls = [asyncio.create_task(client.complete(ask(str(one)))) for one in range(4)]
            while not list(tmp_path.rglob("*.submitted.json")):
                await asyncio.sleep(0.02)
        await asyncio.gather(*calls, return_exceptions=True)

    def client(url: str, owner: str, model: str = MODEL, **given: object) -> Client:
        return Client(settings_of(url, **given), model, made(tmp_path), "run", owner=owner)

    async def asked(url: str) -> None:
        async with AsyncExitStack() as joined:
            if first is not None:
                await joined.enter_async_context(client(url, "explanations b"))
            bound = client(url, "explanations c", model, budget_calls=10)
            await joined.enter_async_context(bound)
            questions = [ask(str(one), model=model) for one in range(10, 20)]
            done = await asyncio.gather(*map(bound.complete, questions), return_exceptions=True)
        errors = {str(one): one for one in done if isinstance(one, BaseException)}
        assert len(errors) == 1
        raise next(iter(errors.values()))

    with BatchServer(lambda asked: Reply(asked.prompt)) as server:
        server.hanging = True
        loop.run(submitted(server.url))
    with FaultServer(lambda asked: Reply(asked.prompt)) as direct:
        with pytest.raises(BudgetError, match="6 calls"):
            loop.run(asked(direct.url))
        assert len(direct.asked) == 6
