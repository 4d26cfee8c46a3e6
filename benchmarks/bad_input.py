"""Mutants of everything that is read (`tests/parts/odd_input.py`): none may end in a foreign error.

    python -m benchmarks bad_input --mutants 2000

Tells, for each kind of input, how many were read and how many were refused with what. Wrong is
every one that ended in another library's error, hung, or executed a pickle.
Needs a checkout: the readers are put together by the tests.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from benchmarks.parts.record import Measured, Number, in_unit, of
from tests.parts.odd_input import KINDS, FuzzRun, fuzz


def arguments(parser: argparse.ArgumentParser) -> None:
    """How many mutants of what."""
    parser.add_argument("--mutants", type=int, default=2_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--kind", choices=tuple(KINDS), action="append")


def measure(given: argparse.Namespace) -> Measured:
    """Read mutants of every kind."""
    with _quiet():
        return _fuzzed(given)


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither bars nor warnings of what is read."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(before)


def _fuzzed(given: argparse.Namespace) -> Measured:
    found = Measured({})
    for kind in given.kind or KINDS:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            run = fuzz(kind, given.mutants, given.seed, Path(folder))
        seconds = Number(round(time.perf_counter() - started, 1), "s")
        found.numbers.update(of(kind, {**_counts(run), "seconds": seconds}))
        found.wrong.extend(
            f"{kind} {odd.mutant}: {odd.change[:120]!a} -> {odd.error!a}" for odd in run.odd
        )
        if run.trapped:
            found.wrong.append(f"{kind}: a pickle was executed")
    return found


def _counts(run: FuzzRun) -> dict[str, Number]:
    refused = {f"refused, {name}": count for name, count in run.refused.most_common()}
    counts = {"mutants": run.mutants, "read": run.read, "foreign_or_hung": len(run.odd), **refused}
    return in_unit("files", **counts)
