"""Bars: on a terminal drawn over themselves, elsewhere lines, and counted in any case."""

import io
import re
import subprocess
import sys

import pytest

from delphi_assets.ground import progress
from delphi_assets.ground.progress import Bar, with_bar


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


Capture = pytest.CaptureFixture[str]


def test_a_short_stage_is_two_lines_of_a_log(capsys: Capture) -> None:
    assert list(with_bar(["a", "b", "c"], desc="explain layers.9", unit="latent")) == [*"abc"]
    said = capsys.readouterr().err
    first, last = said.splitlines()
    assert first.startswith("explain layers.9: 0/3 latent [00:00<")
    assert last.startswith("explain layers.9: 3/3 latent [00:0")
    assert "\r" not in said


def test_a_long_one_is_a_line_each_time_that_so_many_seconds_are_over(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four steps that take 0, 4, 11 and 1 seconds only the third is worth a line."""
    with Bar(total=4, desc="d", unit="step") as bar:
        now = bar._drawn.last_print_t
        for seconds in (0, 4, 11, 1):
            now += seconds
            monkeypatch.setattr(bar._drawn, "_time", lambda at=now: at)
            bar.update()
    said = capsys.readouterr().err
    assert re.findall(r"^d: (\d)/4 step", said, re.MULTILINE) == ["0", "3", "4"]
    assert said.count("\n") == 3


def test_failures_stand_beside_the_bar(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    with Bar(total=3, desc="d", unit="latent") as bar:
        bar.fail(0)
        bar.update()
        assert "failed" not in capsys.readouterr().err
        bar.note(loss=0.5)
        bar.fail()
        bar.fail(2)
        bar.update(2)
    assert capsys.readouterr().err.splitlines()[-1].endswith("loss=0.5, failed=3]")


def test_on_a_terminal_a_bar_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with Bar(total=2, desc="d", unit="latent") as bar:
        bar.fail()
        bar.update(2)
    *drawn, end = stream.getvalue().split("\n")
    assert (len(drawn), end) == (1, "")
    assert drawn[0].count("\rd: ") >= 2
    assert "failed=1" in drawn[0]


def test_what_is_not_drawn_is_counted() -> None:
    """Stages read how far they are from the bar."""
    code = """
from delphi_assets.ground.progress import Bar
with Bar(total=2, desc="d", unit="latent") as bar:
    bar.update(2)
    print(bar.n)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (run.stdout, run.stderr) == ("2\n", "")


def test_an_iteration_that_is_left_closes_its_bar(capsys: Capture) -> None:
    steps = with_bar(range(5), desc="d", unit="step")
    assert next(steps) == 0
    assert next(steps) == 1
    # Promised is an iterator; that it is a generator, which can be closed, is what is tested.
    steps.close()  # type: ignore[attr-defined]
    assert capsys.readouterr().err.splitlines()[-1].startswith("d: 1/5 step")
