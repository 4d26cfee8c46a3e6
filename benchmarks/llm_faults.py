"""Many calls to a server that fails in every way (`tests/parts/fault_run.py`), stopped and asked
again.

    python -m benchmarks llm_faults --questions 10000

Needs a checkout: the server is the tests' own.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.parts.record import Measured, in_unit
from delphi_assets.llm.calls import attempts
from tests.parts.fault_run import run


def arguments(parser: argparse.ArgumentParser) -> None:
    """How much is asked."""
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--max-concurrent", type=int, default=64)
    parser.add_argument("--first-pause", type=float, default=0.1, help="seconds to the first retry")


def measure(given: argparse.Namespace) -> Measured:
    """Ask, and count what came of it."""
    before, attempts.FIRST_PAUSE = attempts.FIRST_PAUSE, given.first_pause
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = run(Path(folder), given.questions, given.max_concurrent)
    finally:
        attempts.FIRST_PAUSE = before
    counts = {name: value for name, value in found._asdict().items() if isinstance(value, int)}
    wrong = {
        "answers paid twice": found.paid_twice,
        "questions without a row": found.without_row,
        "questions that ended otherwise than they must": found.failures != found.expected,
    }
    return Measured(
        {**in_unit("counted", **counts), **in_unit("s", seconds=round(found.seconds, 1))},
        {"failures": found.failures, "expected": found.expected},
        [f"{what}: {int(count)}" for what, count in wrong.items() if count],
    )
