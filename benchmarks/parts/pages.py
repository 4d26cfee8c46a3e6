"""What the documentation quotes of benchmarks, written from the records that are kept.

    python -m benchmarks.parts.pages      # in the project's folder, after a run with --record

In: `benchmarks/results/`. Out: docs/benchmarks.md, whole, and between two comments the table in
docs/scorers.md and those in docs/truth.md, with docs/truth.svg.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.__main__ import benchmarks
from benchmarks.parts import record, truth_page
from benchmarks.parts.record import Number, Record

MOST_NUMBERS = 60
"""A record with more is named only."""
_LAKE_FIRST = ("explainer_prompts", "planted_coverage", "questions", "reading", "routes")
"""Benchmarks whose lake has no flag."""
_COVERAGE = re.compile(
    r"(?<=<!-- coverage: written by python -m benchmarks\.parts\.pages -->\n).*?(?=<!-- end -->)",
    re.DOTALL,
)


class Intervals(NamedTuple):
    """A row of the table of coverages: some metrics in some cases."""

    of: str
    metrics: tuple[str, ...]
    cases: str
    """What is found in their names."""


_VERDICTS = "^recall"
_INTERVALS = (
    Intervals(
        "accuracy, balanced accuracy, F1", ("accuracy", "balanced_accuracy", "f1"), _VERDICTS
    ),
    Intervals("precision", ("precision",), _VERDICTS),
    Intervals("recall, specificity", ("recall", "specificity"), _VERDICTS),
    Intervals("AUROC", ("auroc",), ""),
    Intervals("AUPRC", ("auprc",), ""),
    Intervals(
        "correlation, most or half of the windows hit",
        ("correlation",),
        "most windows hit|half hit",
    ),
    Intervals("correlation carried by a few strong windows", ("correlation",), "few strong"),
    Intervals("correlation of a judge that hits nothing", ("correlation",), "none hit"),
)


def latest(records: Iterable[Record]) -> list[Record]:
    """Of each benchmark with the same options the last record."""
    found = {(one.benchmark, repr(sorted(one.options.items()))): one for one in records}
    return sorted(found.values(), key=lambda one: (one.benchmark, one.date))


def benchmarks_page(records: Iterable[Record]) -> str:
    """Every benchmark, and what was recorded of it."""
    listed = [f"| `{name}` | {subject} |" for name, subject in benchmarks().items()]
    parts = [_INTRODUCTION, "\n".join(["| benchmark | what it measures |", "|---|---|", *listed])]
    parts += ["## Recorded", _RECORDED]
    for one in latest(records):
        parts += [f"### {one.benchmark}, {one.date[:10]}", f"    {_command(one)}", _ran(one)]
        parts.append(_numbers(one) if len(one.numbers) <= MOST_NUMBERS else _counted(one))
    return "\n\n".join(parts) + "\n"


def coverage_table(records: Iterable[Record]) -> str:
    """How often intervals hold the true value, least and most of the cases of a row."""
    [one] = [found for found in latest(records) if found.benchmark == "interval_coverage"]
    sizes = sorted({found.rpartition(", ")[2] for found in _subjects(one)})
    lines = [f"| interval of | {' | '.join(sizes)} |", "|---|" + "---|" * len(sizes)]
    for row in _INTERVALS:
        cells = [_least_and_most(_held(one, row, size)) for size in sizes]
        lines.append(f"| {row.of} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{_ran(one)}\n"])


def write(folder: Path) -> None:
    """Write all of it into the documentation of the project in `folder`."""
    records = list(record.read(folder / "benchmarks" / "results"))
    docs = folder / "docs"
    (docs / "benchmarks.md").write_text(benchmarks_page(records), encoding="utf-8")
    page = (docs / "scorers.md").read_text(encoding="utf-8")
    (docs / "scorers.md").write_text(with_coverage(page, records), encoding="utf-8")
    truth = (docs / "truth.md").read_text(encoding="utf-8")
    (docs / "truth.md").write_text(truth_page.with_tables(truth, records), encoding="utf-8")
    (docs / "truth.svg").write_text(truth_page.plot(records), encoding="utf-8")


def with_coverage(page: str, records: Iterable[Record]) -> str:
    """The page about scorers with the table of coverages that the records give."""
    table = coverage_table(records)
    written, tables = _COVERAGE.subn(lambda _: table, page)
    assert tables == 1, "the page has one place for the table"
    return written


def _subjects(one: Record) -> list[str]:
    return [name.removesuffix(": held") for name in one.numbers if name.endswith(": held")]


def _held(one: Record, row: Intervals, size: str) -> Iterator[float]:
    for subject in _subjects(one):
        metric, _, case = subject.removesuffix(f", {size}").partition(", ")
        if subject.endswith(size) and metric in row.metrics and re.search(row.cases, case):
            value = one.numbers[f"{subject}: held"].value
            assert isinstance(value, float)
            yield value


def _least_and_most(values: Iterable[float]) -> str:
    shown = sorted(f"{value:.2f}" for value in values)
    return shown[0] if shown[0] == shown[-1] else f"{shown[0]} to {shown[-1]}"


def _command(one: Record) -> str:
    options = dict(one.options)
    first = [str(options.pop("lake"))] if one.benchmark in _LAKE_FIRST else []
    words = ["python", "-m", "benchmarks", one.benchmark, *first]
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        if value not in (None, False, []):
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return shlex.join(words)


def _ran(one: Record) -> str:
    machine, packages = one.machine, ", ".join(f"{n} {v}" for n, v in one.packages.items())
    versions = f"Python {one.python}{', ' if packages else ''}{packages}"
    code = f"commit {one.commit[:10]}{' with changes' if one.changed else ''}"
    return (
        f"{one.date[:10]}, {code}, on {machine.cores} cores of {machine.processor} with "
        f"{machine.memory_gib:g} GiB, load before it {machine.load:g}; {versions}."
    )


def _numbers(one: Record) -> str:
    rows = [f"| {_said(name)} | {_value(number)} |" for name, number in one.numbers.items()]
    return "\n".join(["| number | value |", "|---|---|", *rows])


def _counted(one: Record) -> str:
    files = f"benchmarks/results/{one.benchmark}/{record.file_name(one)}"
    return f"{len(one.numbers)} numbers: [the record](../{files})."


def _said(name: str) -> str:
    return name.replace("_", " ")


def _value(number: Number) -> str:
    values = number.value if isinstance(number.value, list) else [number.value]
    return f"{', '.join(f'{value:,}' for value in values)} {number.unit}"


_INTRODUCTION = """\
<!-- written by python -m benchmarks.parts.pages -->
# Benchmarks

`python -m benchmarks NAME` runs one, from a checkout, and prints its record as JSON: numbers with
units, options, commit, versions and the machine. `--help` tells its options, `--record` keeps the
record in `benchmarks/results/`, from which this page is written. The status is 1 where something is
wrong that must not be. `tests/benchmarks/test_smoke.py` runs each on tiny inputs."""

_RECORDED = """\
The last run of each with the same options. The load is how many processes ran or waited in the
minute before: a machine that has other work takes longer, and longer for one side of a ratio than
for the other. What other pages quote of benchmarks that are not here was measured before records
were kept."""

if __name__ == "__main__":
    write(Path.cwd())
