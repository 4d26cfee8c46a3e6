"""`delphi-assets sql LAKE [QUERY]`: a question to a lake, or a shell for many.

The query is an argument, a file (`-f`), standard input, or one that is shipped (`--analysis`).
Without any, on a terminal, the shell opens. On a terminal the result is a table, elsewhere CSV,
unless `--format` says which. Of several statements the last one's rows are shown. A query reads:
what writes files is refused (`queries.results`).
"""

import argparse
import shutil
import sys
from collections import deque
from pathlib import Path

from delphi_assets.commands.command import Command, Facts, count
from delphi_assets.errors import DataError


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", nargs="?", help="folder or URL of the lake")
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "query", metavar="QUERY", nargs="?", help="SQL; without one a shell, or standard input"
    )
    given.add_argument("-f", "--file", metavar="FILE", help="file with the query; - is stdin")
    given.add_argument("--analysis", metavar="NAME", help="one of the questions that are shipped")
    given.add_argument("--list", action="store_true", help="list these with their parameters")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="value of $NAME in the query, again for each; numbers, true, false and null are read "
        "as such but for names of text columns, and never in single quotes; run, hookpoint and "
        "selection may be left out where the lake holds one; scorer is detection, n_rows 20 and "
        "most_tokens all unless given",
    )
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        help="table on a terminal, else csv; csv and json hold every row",
    )
    parser.add_argument(
        "--rows",
        type=count,
        metavar="N",
        help="rows that a table shows; else 100, or 10 where each takes several lines",
    )


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.queries.analyses import analyses

    if asked.list:
        for one in analyses():
            sys.stdout.write(f"{one.name}\n    {one.question}\n    {one.parameters}\n")
        return ()
    if asked.lake is None:
        raise DataError("which lake? Expected its folder or URL: delphi-assets sql LAKE [QUERY].")
    text = _text(asked)
    if text is None:
        _open_shell(asked)
    else:
        _answer(asked, text)
    return ()


def _text(asked: argparse.Namespace) -> str | None:
    """The query, None for a shell."""
    if asked.analysis:
        from delphi_assets.queries.analyses import analysis

        return analysis(asked.analysis).text
    if asked.query is not None:
        return str(asked.query)
    if asked.file == "-" or (asked.file is None and not sys.stdin.isatty()):
        return _piped()
    if asked.file is None:
        return None
    try:
        return Path(asked.file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{asked.file} cannot be read ({error}); expected SQL.") from error


def _piped() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise DataError(
            f"standard input is not {error.encoding} ({error.reason}: "
            f"{error.object[error.start]:#04x}); expected SQL in that encoding."
        ) from error


def _answer(asked: argparse.Namespace, text: str) -> None:
    from delphi_assets.queries import results
    from delphi_assets.queries.formats import WRITERS, write_table
    from delphi_assets.queries.parameters import completed, typed
    from delphi_assets.queries.statements import questions

    given = typed(asked.param)
    with results.session(asked.lake) as con:
        every = questions(con, text)
        known = frozenset[str]().union(*(question.parameters for question in every))
        values = results.interruptible(con, lambda: completed(con, known, given))
        for question in every:
            held = {name: values[name] for name in question.parameters}
            rows = results.run(con, question, held)
            if question is not every[-1] or not question.has_rows:
                # The connection takes no other query before all rows are read.
                deque(rows.rows, maxlen=0)
                continue
            chosen = asked.format or ("table" if sys.stdout.isatty() else "csv")
            if chosen == "table":
                width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
                write_table(rows, sys.stdout, width, asked.rows)
            else:
                WRITERS[chosen](rows, sys.stdout)


def _open_shell(asked: argparse.Namespace) -> None:
    from delphi_assets.ground.machine_cache import cache_folder
    from delphi_assets.queries import results
    from delphi_assets.queries.parameters import typed
    from delphi_assets.queries.shell import Shell

    with results.session(asked.lake) as con:
        shell = Shell(con, sys.stdout, typed(asked.param), asked.rows)
        shell.run(cache_folder() / "sql_history")


COMMAND = Command("sql", "ask a lake in SQL, or open a shell over it", _arguments, _run)
