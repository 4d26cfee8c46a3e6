"""Do versions of DuckDB answer the same? What the next upgrade runs before the pin is changed.

    python -m benchmarks engines 1.5.5=FOLDER 1.5.6=FOLDER 2.0.1=FOLDER [--queries 200] [--tries 3]

A folder is what `pip install --target FOLDER duckdb==VERSION` makes; without any the installed
version is asked. A name may stand several times; one that ends in `-off` is asked with every
optimizer switched off.

1. Write a lake of random rows with two runs, three hookpoints and two selections, and run every
   stage that needs no model on a copy of it, with the installed version; and a copy with one run,
   beside partitions without rows.
2. Have `benchmarks/parts/engine_answers.py` ask each version in a process of its own.
3. Tell of each version the generated queries whose rows are not the referee's (Polars) in some try,
   by lake and number of threads; statements of `sql/` whose answers are not those of the first
   version; and each of them.

Rows that are lost vary from try to try: tries and threads are part of the question.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.parts.engine_lake import begin_lake, finish_lake, leave_one_run
from benchmarks.parts.engine_queries import draw
from benchmarks.parts.record import Measured, Number, Numbers, in_unit, of
from delphi_assets.lake.database import sql_folder


class Engine(NamedTuple):
    """A version, and the folder that is looked into before what is installed."""

    name: str
    folder: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """The versions, and how much is asked."""
    installed = [Engine("installed", "")]
    parser.add_argument(
        "engines", nargs="*", metavar="NAME=FOLDER", type=_engine, default=installed
    )
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-statements", action="store_true", help="generated queries only")


def _engine(text: str) -> Engine:
    name, _, folder = text.partition("=")
    return Engine(name, folder)


def measure(given: argparse.Namespace) -> Measured:
    """Ask every version."""
    with tempfile.TemporaryDirectory() as folder:
        begun, finished, one_run = (Path(folder, name) for name in ("begun", "both", "one run"))
        begin_lake(begun, given.seed)
        shutil.copytree(begun, finished)
        finish_lake(finished)
        leave_one_run(finished, one_run)
        numbers = ["queries", "tries", "seed"]
        options = [f"--{name}={getattr(given, name)}" for name in numbers]
        options += ["--threads", *map(str, given.threads)]
        options += ["--without-statements"] if given.without_statements else []
        places = [str(begun), str(finished), str(one_run)]
        said = {engine.name: _ask(engine, [*places, *options]) for engine in given.engines}
    return _compared(said, given.queries, given.seed)


def _ask(engine: Engine, options: list[str]) -> dict[str, Any]:
    """What one version says; of one that fails altogether, its last words."""
    command = [sys.executable, "-m", "benchmarks.parts.engine_answers", *options]
    if engine.name.endswith("-off"):
        command.append("--without-optimizers")
    path = os.pathsep.join(filter(None, [engine.folder, os.getcwd()]))
    variables = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _compared(said: dict[str, dict[str, Any]], n_queries: int, seed: int) -> Measured:
    shapes = [query.shape for query in draw(seed, n_queries)]
    answering = [one for one in said.values() if "failed" not in one]
    first: dict[str, dict[str, int]] = answering[0]["statements"] if answering else {}
    asked = set[str]().union(*(one["statements"] for one in answering))
    every = {f"{path.parent.name}/{path.stem}" for path in sql_folder().glob("*/*.sql")}
    numbers: Numbers = {"statements asked": Number(len(asked), "statements")}
    shown: dict[str, object] = {"not asked by themselves": sorted(every - asked)}
    for name, one in said.items():
        if "failed" in one:
            shown[name] = {"failed": one["failed"]}
            continue
        differing = sorted(key for key in asked if one["statements"].get(key) != first.get(key))
        wrong = {f"wrong, {lake}": len(found) for lake, found in one["generated"].items()}
        numbers |= of(name, in_unit("queries", **wrong))
        numbers |= of(name, in_unit("statements", that_differ=len(differing)))
        shown[name] = {
            "version": one["version"],
            "wrong": [*_wrong(one["generated"], shapes)],
            "that differ": {
                key: f"{_short(one['statements'].get(key))} | {_short(first.get(key))}"
                for key in differing
            },
        }
    failed = [f"{name}: {one['failed']}" for name, one in said.items() if "failed" in one]
    return Measured(numbers, shown, failed)


def _wrong(generated: dict[str, dict[str, list[Any]]], shapes: list[str]) -> Iterator[str]:
    for lake, found in generated.items():
        for number, (tries, got, wanted) in found.items():
            yield (
                f"query {number} ({shapes[int(number)]}), {lake}: {tries} tries wrong, "
                f"{got} rows instead of {wanted}"
            )


def _short(answers: dict[str, int] | None) -> str:
    shown = [f"{answer} x{n}" for answer, n in sorted((answers or {}).items())]
    return "; ".join(shown[:3]) or "none"
