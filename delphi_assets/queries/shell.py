"""A shell over a lake: what is typed is asked, until Ctrl-D.

1. Lines are joined until one ends with `;`. A line that begins with `.` while none is open is a
   command of the shell.
2. The rows are shown as a table. An error is shown, and the shell goes on.
3. Ctrl-C cancels the query that runs, or what was typed so far. Ctrl-D and `.quit` leave the
   shell.

Where Python has readline, lines can be edited, the history is kept between sessions, and Tab
completes names of tables, columns and shipped questions.
"""

import cmd
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import TextIO

import duckdb

from delphi_assets.errors import DataError, DelphiAssetsError
from delphi_assets.ground.columns import in_columns
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
_END = "EOF"
"""What `cmd` takes Ctrl-D for."""
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


class Shell(cmd.Cmd):
    """The shell, over an open connection; `out` is where it writes.

    A method `do_NAME` is the command `.NAME`.
    """

    prompt = _PROMPT

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        out: TextIO,
        values: Mapping[str, Parameter],
        n_rows: int | None,
    ) -> None:
        super().__init__()
        self.con, self.out, self.values, self.n_rows = con, out, dict(values), n_rows
        self.typed_so_far: list[str] = []

    def run(self, history: Path) -> None:
        """Read and answer until the end; `history` is the file that keeps what was typed."""
        readline = _readline(history)
        self.out.write("SQL over the lake; .help says what else there is.\n")
        try:
            while not self._ended():
                self._goes_on(False)
        finally:
            if readline is not None:
                # The history is a comfort: a folder that cannot be written is no error.
                with suppress(OSError):
                    history.parent.mkdir(parents=True, exist_ok=True)
                    readline.write_history_file(history)

    def _ended(self) -> bool:
        """Read and answer until the end, or until what is typed is of no use."""
        try:
            self.cmdloop()
        except KeyboardInterrupt:
            self.out.write("\n")
            return False
        except UnicodeDecodeError as error:
            self.out.write(f"that is not {error.encoding} ({error.reason}); type it again\n")
            return False
        return True

    def _goes_on(self, goes_on: bool) -> None:
        """Whether the next line belongs to what was typed before."""
        self.typed_so_far = self.typed_so_far if goes_on else []
        self.prompt = _GOES_ON if goes_on else _PROMPT

    def parseline(self, line: str) -> tuple[str | None, str | None, str]:
        """Name, argument and the line itself; of SQL the name is empty."""
        text = line.strip()
        if line == _END:
            return _END, "", line
        if self.typed_so_far or not (text.startswith(".") or text in _WITHOUT_DOT):
            return "", None, line
        name, _, rest = text.removeprefix(".").rstrip(";").partition(" ")
        return name, rest.strip(), line

    def onecmd(self, line: str) -> bool:
        """Answer a line; returns whether it was the last. An error is shown."""
        try:
            return bool(super().onecmd(line))
        except DelphiAssetsError as error:
            self.out.write(f"{error}\n")
        except KeyboardInterrupt:
            self.out.write("cancelled\n")
        finally:
            self.out.flush()
        return False

    def emptyline(self) -> bool:
        """Nothing by itself; within a query, a line of it."""
        self.default("")
        return False

    def default(self, line: str) -> None:
        """A line of a query, which is asked when it ends with `;`."""
        if not self.typed_so_far and line.lstrip().startswith("."):
            name = line.split(maxsplit=1)[0].rstrip(";")
            raise DataError(f"{name!r} is no command of the shell; .help lists them.")
        if not line.strip() and not self.typed_so_far:
            return
        text = "\n".join([*self.typed_so_far, line])
        ends = line.rstrip().endswith(";")
        self.typed_so_far.append(line)
        self._goes_on(not ends)
        if ends:
            self._ask(text)

    def _ask(self, text: str) -> None:
        for question in questions(self.con, text):
            given = {name: self.values[name] for name in question.parameters & set(self.values)}
            values = results.interruptible(
                self.con, partial(completed, self.con, question.parameters, given)
            )
            rows = results.run(self.con, question, values)
            if question.has_rows:
                write_table(rows, self.out, shutil.get_terminal_size().columns, self.n_rows)

    def do_tables(self, _: str) -> None:
        """The tables, and what a row of each is."""
        every = (*TABLES.values(), *VIEWS.values())
        self._columns([(table.name, table.doc) for table in every])

    def do_schema(self, name: str) -> None:
        """The columns of a table."""
        every: dict[str, Table] = {**TABLES, **VIEWS}
        if name not in every:
            raise DataError(f"there is no table {name!r}; .schema takes one of {sorted(every)}.")
        table = every[name]
        self.out.write(f"{table.doc}\n")
        columns = (*table.keys, *table.columns)
        self._columns([(f"  {one.name} {one.type}", one.doc) for one in columns])

    def do_analysis(self, asked: str) -> None:
        """The shipped questions, or the answer to one of them."""
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

    def do_set(self, asked: str) -> None:
        """Set a parameter of the queries that follow, and show all."""
        if asked:
            self.values |= typed([asked])
        for name, value in sorted(self.values.items()):
            self.out.write(f"${name} = {value!r}\n")

    def do_help(self, _: str) -> None:
        """What can be typed."""
        self.out.write(_HELP)

    def do_quit(self, _: str) -> bool:
        """Leave."""
        return True

    do_exit = do_quit

    def do_EOF(self, _: str) -> bool:
        """Leave, on a line of its own."""
        self.out.write("\n")
        return True

    def completenames(self, text: str, *_: object) -> list[str]:
        """Names of tables, columns and shipped questions that begin with `text`."""
        return [name for name in _names() if name.startswith(text)]

    completedefault = completenames

    def _columns(self, lines: list[tuple[str, str]]) -> None:
        room = shutil.get_terminal_size().columns
        terminal = self.out.isatty()
        shown = in_columns(lines, (False, False), terminal=terminal, room=room)
        self.out.writelines(f"{line}\n" for line in shown)


def _readline(history: Path) -> ModuleType | None:
    """readline with the history read, where Python has it."""
    try:
        import readline
    except ImportError:
        return None
    with suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(_HISTORY_LINES)
    return readline


@cache
def _names() -> list[str]:
    tables = (*TABLES.values(), *VIEWS.values())
    columns = {column.name for table in tables for column in (*table.keys, *table.columns)}
    return sorted(columns | {table.name for table in tables} | {one.name for one in analyses()})
