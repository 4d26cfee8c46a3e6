"""Runs a benchmark, or lists them.

    python -m benchmarks                                  # the benchmarks, a line each
    python -m benchmarks NAME [its options] [--record]    # runs one; --help tells its options

A benchmark is a module of this folder with two functions: `arguments` adds its options to a parser,
and `measure` takes them and returns what it measured, or None where it only made files for another
run. The record of the run is printed as JSON (`benchmarks/parts/record.py`); with `--record` it is
kept in `benchmarks/results/` too. The exit status is 1 where something is wrong that must not be.
"""

import argparse
import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.parts import record
from benchmarks.parts.record import Measured

FOLDER = Path(__file__).parent


class Benchmark(Protocol):
    """A module that measures."""

    __doc__: str | None

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add its options."""

    def measure(self, given: argparse.Namespace) -> Measured | None:
        """Measure; None where files were made for another run."""


def benchmarks() -> dict[str, str]:
    """What each benchmark measures, by its name; none is imported."""
    paths = sorted(path for path in FOLDER.glob("*.py") if not path.stem.startswith("__"))
    return {path.stem: _subject(path) for path in paths}


def _subject(path: Path) -> str:
    """The first paragraph of a module's docstring, as a line."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run or list; returns the exit status."""
    given, known = list(sys.argv[1:] if arguments is None else arguments), benchmarks()
    if not given or given[0] in ("-h", "--help"):
        width = max(map(len, known))
        sys.stdout.writelines(f"{name:{width}}  {subject}\n" for name, subject in known.items())
        return 0
    name, *options = given
    if name not in known:
        sys.stderr.write(f"there is no benchmark {name!r}; there are: {', '.join(known)}\n")
        return 2
    return run(name, options)


def parser(name: str, benchmark: Benchmark) -> argparse.ArgumentParser:
    """What reads the options of a benchmark."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=benchmark.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--record", action="store_true", help="keep the record of this run")
    benchmark.arguments(made)
    return made


def run(name: str, options: Sequence[str]) -> int:
    """Run one, print its record, and keep it if asked."""
    benchmark: Benchmark = importlib.import_module(f"benchmarks.{name}")
    given = vars(parser(name, benchmark).parse_args(options))
    keep, start = given.pop("record"), record.start()
    measured = benchmark.measure(argparse.Namespace(**given))
    if measured is None:
        return 0
    made = record.made(name, given, measured, start)
    sys.stdout.write(made.text)
    if keep:
        sys.stderr.write(f"kept as {record.write(made).relative_to(record.ROOT)}\n")
    return 1 if measured.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
