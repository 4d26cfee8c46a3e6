"""What the DuckDB that is installed answers, for `engines`, which starts this for each version.

    python -m benchmarks.parts.engine_answers BEGUN FINISHED ONE_RUN --queries 200 --tries 3

1. Ask generated queries about the finished lake and the one of one run, several times, and compare
   with Polars.
2. Run every stage without a model on a copy of the begun lake, and note a digest of every answer
   that a statement of `sql/` gives there.
3. Ask the statements that stand alone about the finished lake, at every place of it.

Prints one JSON object: the version, wrong tries of each generated query, digests by statement.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import NamedTuple

import duckdb
import polars as pl
import pyarrow as pa

from benchmarks.parts.engine_lake import finish_lake, show_lake
from benchmarks.parts.engine_queries import (
    HOOKPOINTS,
    RUNS,
    SELECTIONS,
    Row,
    as_rows,
    draw,
    read_tables,
)
from delphi_assets import connect
from delphi_assets.lake import database
from delphi_assets.lake.database import Parameter, sql_folder, statement

_VALUES: dict[str, Parameter] = {
    "scorer": "detection", "other_scorer": "fuzz", "n_rows": 20, "most_tokens": 3, "latent": 12,
    "str_token": " t7", "explanation_id": "none", "model": "lexical", "other_model": "m",
    "judge": None, "explainer_model": "lexical",
    "other_run": RUNS[1], "other_selection": SELECTIONS[1], "first": 0, "last": 8,
    "n_neighbours": 5, "explainer": None, "requests": [f"{1:064x}"],
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts.engine_answers")
    parser.add_argument("begun", type=Path)
    parser.add_argument("finished", type=Path)
    parser.add_argument("one_run", type=Path)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--without-optimizers", action="store_true")
    parser.add_argument("--without-statements", action="store_true")
    given = parser.parse_args(arguments)
    if given.without_optimizers:
        _switch_optimizers_off()
    said: dict[str, object] = {"version": duckdb.__version__}
    said["generated"] = {
        f"{lake.name}, {threads} threads": wrong_tries(
            lake, given.queries, given.seed, threads, given.tries
        )
        for lake, threads in product((given.finished, given.one_run), given.threads)
    }
    asked = not given.without_statements
    said["statements"] = statements(given.begun, given.finished) if asked else {}
    json.dump(said, sys.stdout)


def _switch_optimizers_off() -> None:
    """For every connection that the library opens."""
    opened = duckdb.connect

    def connect_without(database: str | Path = ":memory:") -> duckdb.DuckDBPyConnection:
        con = opened(database)
        names = [name for (name,) in con.sql("from duckdb_optimizers()").fetchall()]
        con.execute("set disabled_optimizers = $names", {"names": ",".join(names)})
        return con

    duckdb.connect = connect_without  # type: ignore[assignment]


class Wrong(NamedTuple):
    """A query whose rows are not the referee's; in JSON a list in this order."""

    tries: int
    """Tries that went wrong."""
    got: int | str
    """Rows of the first of them, or its error."""
    wanted: int
    """Rows of the referee."""


def wrong_tries(
    lake: Path, n_queries: int, seed: int, threads: int, tries: int
) -> dict[int, Wrong]:
    """What went wrong, by number of the query."""
    tables = read_tables(lake)
    found: dict[int, Wrong] = {}
    with connect(lake, threads=threads) as con:
        for number, query in enumerate(draw(seed, n_queries)):
            wanted = as_rows(query.rows(tables))
            answers = [_difference(con, query.sql, wanted) for _ in range(tries)]
            if wrong := [one for one in answers if one is not None]:
                found[number] = Wrong(len(wrong), wrong[0], len(wanted))
    return found


def _difference(con: duckdb.DuckDBPyConnection, sql: str, wanted: list[Row]) -> int | str | None:
    """Rows of a wrong answer, or an error; None for the right one."""
    try:
        got = as_rows(pl.DataFrame(pl.from_arrow(con.sql(sql).to_arrow_table())))
    except duckdb.Error as error:
        return str(error)[:80]
    return None if got == wanted else len(got)


def statements(begun: Path, finished: Path) -> dict[str, dict[str, int]]:
    """How often each answer of each statement was given; what was run without rows is "ran"."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as folder:
        _note_answers(answers)
        root = Path(folder, "lake")
        shutil.copytree(begun, root)
        try:
            finish_lake(root)
            show_lake(root, Path(folder))
        except Exception as error:  # noqa: BLE001 - a stage that an engine breaks is a difference
            answers["the stages"][f"{type(error).__name__}: {str(error)[:200]}"] += 1
    _ask_alone(finished, answers)
    return {name: dict(found) for name, found in sorted(answers.items())}


def _note_answers(answers: dict[str, Counter[str]]) -> None:
    """Have the library's one way to each statement note its answer."""
    rows, execute, stream = database._rows, database.execute, database.stream
    keep = database.keep_rows

    def noted_rows(
        con: duckdb.DuckDBPyConnection, name: str, parameters: dict[str, Parameter]
    ) -> pa.Table:
        found = rows(con, name, parameters)
        answers[name][_digest(found)] += 1
        return found

    def noted_execute(con: duckdb.DuckDBPyConnection, name: str, **parameters: Parameter) -> None:
        execute(con, name, **parameters)
        answers[name]["ran"] += 1

    def noted_stream(
        con: duckdb.DuckDBPyConnection, name: str, **parameters: Parameter
    ) -> Iterator[pa.Table]:
        parts = list(stream(con, name, **parameters))
        answers[name][_digest(pa.concat_tables(parts)) if parts else "none"] += 1
        yield from parts

    def noted_keep(
        con: duckdb.DuckDBPyConnection, table: str, name: str, **parameters: Parameter
    ) -> None:
        keep(con, table, name, **parameters)
        answers[name]["ran"] += 1

    patched = {
        "_rows": noted_rows,
        "execute": noted_execute,
        "stream": noted_stream,
        "keep_rows": noted_keep,
    }
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("delphi_assets"):
            for name, function in patched.items():
                if getattr(module, name, None) is vars(database).get(name) and module != database:
                    setattr(module, name, function)
    for name, function in patched.items():
        setattr(database, name, function)


def _ask_alone(lake: Path, answers: dict[str, Counter[str]]) -> None:
    """Statements that need no table of the connection's own, at every place."""
    for path in sorted(sql_folder().glob("*/*.sql")):
        name = f"{path.parent.name}/{path.stem}"
        if (
            path.parent.name in ("kept", "macros", "views", "scores")
            or "$files" in path.read_text()
        ):
            continue
        with connect(lake) as con:
            for run, hookpoint, selection in product(RUNS, HOOKPOINTS, SELECTIONS):
                place = {"run": run, "hookpoint": hookpoint, "selection": selection}
                try:
                    (parsed,) = con.extract_statements(statement(name))
                    if parsed.named_parameters - {*place, *_VALUES}:
                        break
                    values = {**_VALUES, **place}
                    used = {key: values[key] for key in parsed.named_parameters}
                    rows = con.sql(statement(name), params=used or None)
                    answers[name][_digest(rows.to_arrow_table()) if rows else "ran"] += 1
                except duckdb.CatalogException:
                    break  # It reads a table that a stage makes.
                except duckdb.Error as error:
                    answers[name][f"{type(error).__name__}: {str(error)[:200]}"] += 1


def _digest(rows: pa.Table) -> str:
    """The rows in short, in their order, numbers to nine digits, without when they were written."""
    plain = [[_plain(value) for value in row.values()] for row in rows.to_pylist()]
    digest = hashlib.sha256(json.dumps(plain, default=str).encode()).hexdigest()[:16]
    return f"{rows.num_rows} rows {digest}"


def _plain(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return "then" if isinstance(value, datetime) else value


if __name__ == "__main__":
    main()
