"""SIGTERM, by which schedulers and containers stop what runs, keeps what Ctrl-C keeps.

Real processes ask a real server and get a real SIGTERM: alone, as from a container, or with all
that they have started, as from a batch scheduler. Whatever was asked is paid for, and stored.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.command_line import INTERRUPTED
from delphi_assets.ground.interrupts import terminable
from tests.parts.asking import stored
from tests.parts.family import family, runs
from tests.parts.fault_server import Asked, FaultServer, Reply
from tests.parts.tiny_project import HOOKPOINT, environment, make_project, run_demo

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WAITING = 300.0
"""Seconds within which everything has to happen."""


class Held:
    """Some answers that come at once; the others come a while after a signal was sent."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def __call__(self, asked: Asked) -> Reply:
        if asked.number >= 8:
            self.stopped.wait(WAITING)
        return Reply("[EXPLANATION]: They all mark one.", delay=0.02 if asked.number < 8 else 2.0)


def terminate(
    process: subprocess.Popen[str],
    server: FaultServer,
    answer: Held,
    everything: bool,
    sent: signal.Signals = signal.SIGTERM,
) -> str:
    """Send a signal once calls are open, and wait until the process and what it started ended.

    With `everything` to all of them, and twice, as a scheduler and a parent may do. Returns what
    the process said on standard error.
    """
    end = time.monotonic() + WAITING
    while len(server.asked) < 10:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "no question came"
        time.sleep(0.02)
    there = family(process.pid)
    for _ in range(2 if everything else 1):
        for one in there if everything else there[:1]:
            with suppress(ProcessLookupError):
                os.kill(one, sent)
        time.sleep(0.2)
    answer.stopped.set()
    _, told = process.communicate(timeout=WAITING)
    while left := [one for one in there if runs(one)]:
        assert time.monotonic() < end, f"{left} still there"
        time.sleep(0.05)
    return told or ""


ASKING = """
import sys
from pathlib import Path
from tests.parts.asking import complete
root, url, processes = sys.argv[1:]
prompts = [str(number) for number in range(100)]
complete(Path(root), url, prompts, processes=int(processes), timeout=60.0, max_concurrent=6)
"""


@pytest.mark.parametrize(("processes", "everything"), [(1, True), (2, False)])
def test_a_call_of_the_library(tmp_path: Path, processes: int, everything: bool) -> None:
    answer = Held()
    with FaultServer(answer) as server:
        arguments = [sys.executable, "-c", ASKING, str(tmp_path), server.url, str(processes)]
        with subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            terminate(process, server, answer, everything)
        assert process.returncode != 0
        assert len(server.asked) < 100, "nothing more is sent"
        assert len(stored(tmp_path)) == len(server.asked)


def test_a_handler_that_there_is_stays() -> None:
    def mine(*_: object) -> None:
        raise AssertionError("nobody sent it")

    before = signal.signal(signal.SIGTERM, mine)
    try:
        with terminable():
            assert signal.getsignal(signal.SIGTERM) is mine
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with terminable():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt), terminable(), terminable():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_changes_nothing() -> None:
    seen = []

    def work() -> None:
        with terminable():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project with everything up to examples, and explanations that ask no LLM."""
    folder = make_project(tmp_path_factory.mktemp("terminated"))
    ended = run_demo(folder)
    assert ended.returncode == 0, ended.stderr
    (folder / "many.py").write_text(MULTIPROCESS, encoding="utf-8")
    return folder


MULTIPROCESS = """
import dagster as dg
from dagster_project import definitions
defs = dg.Definitions(
    assets=definitions.defs.assets,
    resources=definitions.defs.resources,
    executor=dg.multiprocess_executor,
)
"""
ONE = ("explanations", "--partition", HOOKPOINT)
WAYS: dict[str, Sequence[str]] = {
    "demo": ("python", "-m", "dagster_project.demo"),
    "launch": ("dg", "launch", "--target-path", str(ROOT), "--assets", *ONE),
    "multiprocess": ("dagster", "asset", "materialize", "-f", "many.py", "--select", *ONE),
}


@pytest.mark.parametrize(
    ("way", "everything"), [("demo", True), ("launch", False), ("multiprocess", True)]
)
def test_a_run_of_dagster(project: Path, way: str, everything: bool) -> None:
    model = f"openai/{way}-{everything}"
    answer = Held()
    with FaultServer(answer) as server:
        with subprocess.Popen(
            [str(Path(sys.executable).with_name(WAYS[way][0])), *WAYS[way][1:]],
            cwd=project,
            env=environment(project) | {"DELPHI_ASSETS_PROFILE": asking(project, server, model)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            terminate(process, server, answer, everything)
        n_asked = len(server.asked)
        assert n_asked < N_LATENTS, "nothing more is sent"
    with connect(project / "lake") as con:
        count = "select count(*) from completions where model = $model"
        assert con.execute(count, {"model": model}).fetchall() == [(n_asked,)]


@pytest.mark.parametrize(
    ("runner", "sent"),
    [
        ("library", signal.SIGINT),
        ("library", signal.SIGTERM),
        ("dagster_project.runner:by_dagster", signal.SIGTERM),
    ],
)
def test_the_command_that_runs_a_profile(project: Path, runner: str, sent: signal.Signals) -> None:
    """It ends with the status of Ctrl-C, and what was asked is stored."""
    model = f"openai/{runner}-{sent.name}"
    answer = Held()
    with FaultServer(answer) as server:
        profile = asking(project, server, model)
        command = [sys.executable, "-c", COMMAND, "run", profile, "--runner", runner]
        with subprocess.Popen(
            command,
            cwd=project,
            env=environment(project),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            told = terminate(process, server, answer, everything=False, sent=sent)
        assert process.returncode == INTERRUPTED, told
        assert "Traceback" not in told
        n_asked = len(server.asked)
        assert n_asked < N_LATENTS, "nothing more is sent"
    with connect(project / "lake") as con:
        count = "select count(*), count(distinct request) from completions where model = $model"
        assert con.execute(count, {"model": model}).fetchall() == [(n_asked, n_asked)]


COMMAND = "import sys\nfrom delphi_assets.command_line import main\nsys.exit(main())"
N_LATENTS = 48
"""Of the project's coder, all with examples."""


def asking(project: Path, server: FaultServer, model: str) -> str:
    """A profile as the project's, whose explainer asks a model that was not asked yet."""
    told = (project / "tiny.toml").read_text(encoding="utf-8")
    for old, new in (("explainer", "default"), ("explainer_model", model)):
        assert f'{old} = "lexical"' in told
        told = told.replace(f'{old} = "lexical"', f'{old} = "{new}"')
    llm = f'[llm]\napi_base = "{server.url}"\nmax_concurrent = 4\ntimeout = 60.0\n'
    profile = project / f"{model.replace('/', '-')}.toml"
    profile.write_text(f"{told}\n{llm}", encoding="utf-8")
    return str(profile)
