"""A shell over a lake: what is typed is asked, until Ctrl-D.

1. Lines are joined until one ends with `;`. A line that begins with `.` while none is open is a
   command of the shell.
2. The rows are shown as a table. An error is shown, and the shell goes on.
3. Ctrl-C cancels the query that runs, or what was typed so far. Ctrl-D and `.quit` leave the
   shell.

Where Python has readline, lines can be edited, the history is kept between sessions, and Tab
completes names of tables, columns and shipped questions.
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TextIO

import duckdb

from delphi_assets.errors import DataError, DelphiAssetsError
from delphi_assets.lake.database import Parameter
from delphi_assets.lake.schema import TABLES, VIEWS, Table
from delphi_assets.queries import results
from delphi_assets.queries.analyses import analyses, analysis
from delphi_assets.queries.formats import write_table
from delphi_assets.queries.parameters import completed, typed
from delphi_assets.queries.statements import questions

_PROMPT, _GOES_ON = "lake> ", "  ... "
_WITHOUT_DOT = ("help", "quit", "exit")
"""Commands that are known without their dot, too: nobody asks SQL with them."""
_HISTORY_LINES = 10_000
_HELP = """\
A query ends with a semicolon and may take several lines:  from scores limit 5;
.tables                         the tables, and what a row of each is
.schema TABLE                   its columns: type and meaning
.analysis                       the questions that are shipped
.analysis NAME [name=value ...] asks one of them
.set name=value                 a $named parameter of the queries that follow; .set shows all
.help                           this text
.quit, Ctrl-D                   leaves; Ctrl-C cancels a query
"""


class Shell:
    """The shell, over an open connection; `out` is where it writes."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        out: TextIO,
        values: Mapping[str, Parameter],
        n_rows: int | None,
    ) -> None:
        self.con, self.out, self.values, self.n_rows = con, out, dict(values), n_rows
        self.commands: dict[str, Callable[[str], None]] = {
            ".tables": self._tables,
            ".schema": self._schema,
            ".analysis": self._analysis,
            ".set": self._set,
            ".help": self._help,
        }

    def run(self, history: Path) -> None:
        """Read and answer until the end; `history` is the file that keeps what was typed."""
        readline = _readline(history)
        self.out.write("SQL over the lake; .help says what else there is.\n")
        try:
            self._read()
        finally:
            if readline is not None:
                # The history is a comfort: a folder that cannot be written is no error.
                with suppress(OSError):
                    history.parent.mkdir(parents=True, exist_ok=True)
                    readline.write_history_file(history)

    def _read(self) -> None:
        typed_so_far: list[str] = []
        while True:
            try:
                line = input(_GOES_ON if typed_so_far else _PROMPT)
                if not typed_so_far and line.strip() in _WITHOUT_DOT:
                    line = f".{line.strip()}"
                if not typed_so_far and line.strip() in (".quit", ".exit"):
                    return
                if not typed_so_far and line.lstrip().startswith("."):
                    self._answer(self._command, line)
                elif line.strip() or typed_so_far:
                    typed_so_far.append(line)
                    if line.rstrip().endswith(";"):
                        text, typed_so_far = "\n".join(typed_so_far), []
                        self._answer(self._ask, text)
            except KeyboardInterrupt:
                typed_so_far = []
                self.out.write("\n")
            except UnicodeDecodeError as error:
                typed_so_far = []
                self.out.write(f"that is not {error.encoding} ({error.reason}); type it again\n")
            except EOFError:
                self.out.write("\n")
                return

    def _answer(self, answer: Callable[[str], None], text: str) -> None:
        try:
            answer(text)
        except DelphiAssetsError as error:
            self.out.write(f"{error}\n")
        except KeyboardInterrupt:
            self.out.write("cancelled\n")
        self.out.flush()

    def _ask(self, text: str) -> None:
        for question in questions(self.con, text):
            given = {name: self.values[name] for name in question.parameters & set(self.values)}
            values = results.interruptible(
                self.con, partial(completed, self.con, question.parameters, given)
            )
            rows = results.run(self.con, question, values)
            if question.has_rows:
                write_table(rows, self.out, shutil.get_terminal_size().columns, self.n_rows)

    def _command(self, line: str) -> None:
        name, _, rest = line.strip().rstrip(";").partition(" ")
        if name not in self.commands:
            raise DataError(f"{name!r} is no command of the shell; .help lists them.")
        self.commands[name](rest.strip())

    def _tables(self, _: str) -> None:
        every = (*TABLES.values(), *VIEWS.values())
        self._columns([(table.name, table.doc) for table in every])

    def _schema(self, name: str) -> None:
        every: dict[str, Table] = {**TABLES, **VIEWS}
        if name not in every:
            raise DataError(f"there is no table {name!r}; .schema takes one of {sorted(every)}.")
        table = every[name]
        self.out.write(f"{table.doc}\n")
        self._columns(
            [(f"{c.name} {c.type}", c.doc) for c in (*table.keys, *table.columns)], indent="  "
        )

    def _analysis(self, asked: str) -> None:
        if not asked:
            self._columns([(one.name, f"{one.question} {one.parameters}") for one in analyses()])
            return
        name, *given = asked.split()
        chosen = analysis(name)
        before = dict(self.values)
        try:
            self.values |= typed(given)
            self._ask(chosen.text)
        finally:
            self.values = before

    def _set(self, asked: str) -> None:
        if asked:
            self.values |= typed([asked])
        for name, value in sorted(self.values.items()):
            self.out.write(f"${name} = {value!r}\n")

    def _help(self, _: str) -> None:
        self.out.write(_HELP)

    def _columns(self, lines: list[tuple[str, str]], indent: str = "") -> None:
        widest = max(len(name) for name, _ in lines)
        for name, text in lines:
            self.out.write(f"{indent}{name:{widest}}  {text}\n")


def _readline(history: Path) -> ModuleType | None:
    """readline with the history read and names to complete, where Python has it."""
    try:
        import readline
    except ImportError:
        return None
    with suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(_HISTORY_LINES)
    tables = (*TABLES.values(), *VIEWS.values())
    names = sorted(
        {name for table in tables for name in _names(table)} | {one.name for one in analyses()}
    )
    readline.set_completer(
        lambda text, state: next(
            iter([name for name in names if name.startswith(text)][state:]), None
        )
    )
    readline.parse_and_bind("tab: complete")
    return readline


def _names(table: Table) -> tuple[str, ...]:
    return (table.name, *(column.name for column in (*table.keys, *table.columns)))
