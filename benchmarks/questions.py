"""The twenty questions of `docs/questions.md`, each timed on a lake like the demo's.

    python -m benchmarks questions LAKE

1. Take the questions and their SQL from the page.
2. On one connection of two threads, ask each once, then `--repeats` times: all rows are fetched.
3. Tell the median of each in milliseconds, and of these the median and the most. Files may be in
   the system's cache.
"""

import argparse
import re
import statistics
import time
from collections.abc import Iterator

import duckdb

from benchmarks.parts.record import ROOT, Measured, in_unit
from delphi_assets import connect

PAGE = ROOT / "docs" / "questions.md"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The lake, and how often each is asked."""
    parser.add_argument("lake")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)


def measure(given: argparse.Namespace) -> Measured:
    """Ask every question."""
    with connect(given.lake, threads=given.threads) as con:
        medians = {
            title: round(_milliseconds(con, statement, given.repeats), 1)
            for title, statement in questions()
        }
    return Measured(
        in_unit(
            "ms",
            median=round(statistics.median(medians.values()), 1),
            most=max(medians.values()),
        ),
        shown={"median of each": medians},
    )


def questions() -> Iterator[tuple[str, str]]:
    """Each heading of the page that has a statement, and the statement."""
    text = PAGE.read_text(encoding="utf-8")
    for title, statement in re.findall(r"\n## \d+\. (.+)\n\n```sql\n((?:.+\n)+?)```", text):
        yield title, statement.rstrip().removesuffix(";")


def _milliseconds(con: duckdb.DuckDBPyConnection, statement: str, repeats: int) -> float:
    """Median time of a question, after it was asked once."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        con.execute(statement).fetchall()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])
