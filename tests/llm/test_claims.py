"""The questions of a stage at a hookpoint belong to one process at a time."""

import errno
import fcntl
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.explainers import explanations
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake import claims
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import ALL
from delphi_assets.scorers import predictions
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts import explaining
from tests.parts.explained_lake import HOOKPOINT, RUN, SELECTION, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

KEYS: dict[str, str | int] = {"run": RUN, "hookpoint": HOOKPOINT}
LLM = ExplainSettings(explainer_model=explaining.MODEL)
QUESTIONS = 150


def slow(asked: Asked) -> Reply:
    return Reply(f"[EXPLANATION]: Number {asked.number}.", delay=0.05)


class Held:
    """Answers twenty questions, the others only once a second process has said that it waits."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def __call__(self, asked: Asked) -> Reply:
        if asked.number >= 20:
            assert self.released.wait(300)
        return slow(asked)


def first_that_waits(both: list["subprocess.Popen[str]"]) -> tuple[int, str]:
    """Which of two processes says that it waits, and the line; bars are passed over."""
    streams = {one.stderr: number for number, one in enumerate(both) if one.stderr is not None}
    while True:
        ready, _, _ = select.select(list(streams), [], [], 300)
        assert ready, "nobody said anything"
        line = ready[0].readline()
        assert line, "a process ended"
        if "waiting for process" in line:
            return streams[ready[0]], line


def texts(lake: Lake) -> int:
    found = connect(lake).sql(
        "select count(distinct latent) from explanations where failure is null"
    )
    row = found.fetchone()
    assert row is not None
    return int(row[0])


def test_two_processes_pay_once_for_every_question(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, QUESTIONS)
    held = Held()
    with FaultServer(held) as server:
        both = [explaining.start(tmp_path, server.url) for _ in range(2)]
        waits, line = first_that_waits(both)
        held.released.set()
        said = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert set(Counter(asked.prompt for asked in server.asked).values()) == {1}
    assert len(server.asked) == texts(lake) == QUESTIONS
    assert int(said[waits][0]) == 0
    assert int(said[1 - waits][0]) == QUESTIONS
    assert f"waiting for process {both[1 - waits].pid} on {socket.gethostname()}" in line
    assert not any("waiting for process" in err for _, err in said), said


def test_the_next_process_takes_over_from_one_that_is_killed(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, QUESTIONS)
    held = Held()
    with FaultServer(held) as server:
        first = explaining.start(tmp_path, server.url, max_concurrent=4)
        server.wait_for(lambda: len(server.asked) > 20)
        second = explaining.start(tmp_path, server.url, max_concurrent=4)
        assert second.stderr is not None
        assert f"waiting for process {first.pid}" in second.stderr.readline()
        first.kill()
        first.communicate()
        held.released.set()
        _, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    assert texts(lake) == QUESTIONS
    # What was open, and what came in the last tenth of a second, is lost with the process.
    assert QUESTIONS <= len(server.asked) <= QUESTIONS + 2 * 4


def test_a_process_that_waits_can_be_interrupted(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    with FaultServer(slow) as server, claims.asking(lake, "explanations", KEYS):
        waiting = explaining.start(tmp_path, server.url)
        assert waiting.stderr is not None
        assert f"waiting for process {os.getpid()}" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        waiting.communicate(timeout=300)
        assert waiting.returncode != 0
        assert not server.asked


def test_threads_of_one_process_pay_once_too(tmp_path: Path) -> None:
    """As the assets of a run in one process."""
    lake = make_lake(tmp_path, 40)
    with FaultServer(slow) as server, ThreadPoolExecutor(3) as pool:
        given = profile(api_base=server.url, processes=2)
        runs = [pool.submit(explain, given, lake, HOOKPOINT, ALL, LLM, SELECTION) for _ in range(3)]
        assert sorted(one.result().new_rows for one in runs) == [0, 0, 40]
        assert len(server.asked) == 40


@pytest.mark.parametrize("claimed", [("explanations", HOOKPOINT), ("predictions", "layers.4")])
def test_other_stages_and_hookpoints_go_on(tmp_path: Path, claimed: tuple[str, str]) -> None:
    lake = make_lake(tmp_path, 2)
    explain(profile(), lake, HOOKPOINT, ALL, ExplainSettings(explainer="lexical"), SELECTION)
    judge = ScoreSettings(scorer_model=explaining.MODEL, scorers=("detection",), controls=())
    answer = '{"answers": [1, 1, 1, 1, 1]}'
    stage, hookpoint = claimed
    with (
        FaultServer(lambda asked: Reply(answer)) as server,
        claims.asking(lake, stage, {"run": RUN, "hookpoint": hookpoint}),
    ):
        given = profile(api_base=server.url)
        assert score(given, lake, HOOKPOINT, ALL, judge, SELECTION, "lexical").new_rows > 0


def test_what_is_finished_is_read_beside_a_process_that_asks(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2)
    with FaultServer(slow) as server:
        given = profile(api_base=server.url)
        assert explain(given, lake, HOOKPOINT, ALL, LLM, SELECTION).new_rows == 2
        with claims.asking(lake, "explanations", KEYS):
            assert explain(given, lake, HOOKPOINT, ALL, LLM, SELECTION).facts["explained"] == 2


def test_what_ends_before_the_claim_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking for work and claiming it, with nobody to wait for."""
    lake = make_lake(tmp_path, 2)
    judge = ScoreSettings(scorer_model=explaining.MODEL, scorers=("detection",), controls=())
    there = []

    def explained() -> int:
        return explain(given, lake, HOOKPOINT, ALL, LLM, SELECTION).new_rows

    def scored() -> int:
        return score(given, lake, HOOKPOINT, ALL, judge, SELECTION, "default").new_rows

    def answer(asked: Asked) -> Reply:
        return Reply("[EXPLANATION]: A word. [1, 1, 1, 1, 1]")

    with FaultServer(answer) as server:
        given = profile(api_base=server.url, repair=False)
        for module, stage in ((explanations, explained), (predictions, scored)):

            def first(*given: object, stage: Callable[[], int] = stage) -> None:
                monkeypatch.undo()
                there.append(stage())

            monkeypatch.setattr(module, "check_model", first)
            assert stage() == 0
    assert min(there) > 0
    for table, rows in zip(("explanations", "predictions"), there, strict=True):
        files = str(Path(lake.root, table, "**", "*.parquet"))
        found = connect(lake).execute("select count(*) from read_parquet($files)", {"files": files})
        assert found.fetchall() == [(rows,)]
    assert len(server.asked) == 2 + 2 * 3


def test_where_there_are_no_locks_a_stage_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lake = make_lake(tmp_path, 2)

    def unknown(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with FaultServer(slow) as server:
        given = profile(api_base=server.url, budget_calls=5)
        assert explain(given, lake, HOOKPOINT, ALL, LLM, SELECTION).new_rows == 2
    assert "has no locks: let one process at a time ask for explanations of" in caplog.text


def test_a_claim_is_held_by_one_thread_at_a_time(tmp_path: Path) -> None:
    lake, inside, most = Lake(tmp_path / "lake"), 0, 0
    counting = threading.Lock()

    def hold() -> None:
        nonlocal inside, most
        with claims.asking(lake, "explanations", KEYS):
            with counting:
                inside, most = inside + 1, max(most, inside + 1)
            time.sleep(0.05)
            with counting:
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        for held in [pool.submit(hold) for _ in range(4)]:
            held.result()
    assert most == 1
