"""Do versions of DuckDB answer the same? What the next upgrade runs before the pin is changed.

    python -m benchmarks.engines 1.5.5=FOLDER 1.5.6=FOLDER 2.0.1=FOLDER [--queries 200] [--tries 3]

A folder is what `pip install --target FOLDER duckdb==VERSION` makes; without any the installed
version is asked. A name may stand several times; one that ends in `-off` is asked with every
optimizer switched off.

1. Write a lake of random rows with two runs, three hookpoints and two selections, and run every
   stage that needs no model on a copy of it, with the installed version; and a copy with one run,
   beside partitions without rows.
2. Have `benchmarks.engine_answers` ask each version in a process of its own.
3. Print a row a version: generated queries whose rows are not the referee's (Polars) in some try,
   by lake and number of threads; statements of `sql/` whose answers are not those of the first
   version; and below, each of them.

Rows that are lost vary from try to try: tries and threads are part of the question.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine_lake import begin_lake, finish_lake, leave_one_run
from benchmarks.engine_queries import draw
from delphi_assets.lake.database import sql_folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask every version and print what differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("engines", nargs="*", metavar="NAME=FOLDER", default=["installed="])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        begun, finished, one_run = (Path(folder, name) for name in ("begun", "both", "one run"))
        begin_lake(begun, given.seed)
        shutil.copytree(begun, finished)
        finish_lake(finished)
        leave_one_run(finished, one_run)
        numbers = ["queries", "tries", "seed"]
        options = [f"--{name}={getattr(given, name)}" for name in numbers]
        options += ["--threads", *map(str, given.threads)]
        said = {
            name: _ask(name, place, [str(begun), str(finished), str(one_run), *options])
            for name, _, place in (engine.partition("=") for engine in given.engines)
        }
    _print(said, given.queries, given.seed)


def _ask(name: str, place: str, options: list[str]) -> dict[str, Any]:
    """What one version says; of one that fails altogether, its last words."""
    command = [sys.executable, "-m", "benchmarks.engine_answers", *options]
    if name.endswith("-off"):
        command.append("--without-optimizers")
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [place, os.getcwd()]))}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _print(said: dict[str, dict[str, Any]], n_queries: int, seed: int) -> None:
    queries = draw(seed, n_queries)
    answering = {name: one for name, one in said.items() if "failed" not in one}
    versions = list(answering.values())
    first: dict[str, dict[str, int]] = versions[0]["statements"] if versions else {}
    asked = set[str]().union(*(one["statements"] for one in versions))
    print(f"{n_queries} generated queries, {len(asked)} statements of sql/")
    for name, one in said.items():
        if "failed" in one:
            print(f"{name}: failed: {one['failed']}")
            continue
        wrong = {asked_of: len(found) for asked_of, found in one["generated"].items()}
        differing = sorted(key for key in asked if one["statements"].get(key) != first.get(key))
        print(f"{name} (DuckDB {one['version']}): wrong {wrong}; ", end="")
        print(f"statements that differ {len(differing)}")
        for asked_of, found in one["generated"].items():
            for number, (tries, got, wanted) in found.items():
                shape = queries[int(number)].shape
                print(
                    f"    query {number} ({shape}), {asked_of}: {tries} tries wrong, "
                    f"{got} rows instead of {wanted}"
                )
        for key in differing:
            print(f"    {key}: {_short(one['statements'].get(key))} | {_short(first.get(key))}")
    every = {f"{path.parent.name}/{path.stem}" for path in sql_folder().glob("*/*.sql")}
    print(f"not asked by themselves: {', '.join(sorted(every - asked))}")


def _short(answers: dict[str, int] | None) -> str:
    shown = [f"{answer} x{n}" for answer, n in sorted((answers or {}).items())]
    return "; ".join(shown[:3]) or "none"


if __name__ == "__main__":
    main()
