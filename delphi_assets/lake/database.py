"""The one place that opens DuckDB and runs the statements of `sql/`.

`connect(lake)` gives a connection with the views of `sql/views/` over a lake, and those of
`sql/derived/` and `sql/scores/` over them. `query` and `execute` run one named statement with
`$named` parameters. Nothing here builds SQL from strings, and nothing writes to the lake.

Before the files of every table stands one without rows, with the columns of today: so a column that
was added has its type, and is null in files from before it was there, and a table that has no file
has no rows. It is beside the lake's own tables once somebody has written to the lake
(`Lake.initialize`); for lakes of which that is not so one lies in a temporary folder.
"""

import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

import duckdb
import pyarrow as pa

from delphi_assets.errors import DataError, NotReadyError
from delphi_assets.lake.damage import naming_damage
from delphi_assets.lake.lake import LISTED, Files, Lake, Listed, empty_file, pattern
from delphi_assets.lake.parquet import ROW_GROUP, HashedSink, write_rows
from delphi_assets.lake.schema import INTERMEDIATE, PREDICTIONS, TABLES, Table
from delphi_assets.lake.score_table import behind
from delphi_assets.lake.storage import globbed

MERGED_MEANWHILE = 0.1, 0.3, 1.0, 3.0, 10.0
"""Seconds after which a query is repeated whose files were merged (`lake.compaction`) while it read
them. Their removal takes a while, and until it is done the next try may fail as well."""

T = TypeVar("T")
Parameter = str | int | float | bool | list[str] | list[int] | None
"""Of a statement; `Files` reach `read_parquet` behind the file of their table without rows."""


def sql_folder() -> Path:
    """Folder of the statements: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parents[1]
    return here / "sql" if (here / "sql").is_dir() else here.parent / "sql"


def statement_path(name: str) -> Path:
    """The file of `sql/<name>.sql`."""
    return sql_folder() / f"{name}.sql"


@cache
def statement(name: str) -> str:
    """Text of `sql/<name>.sql`; raises `DataError` naming the statements of that folder."""
    path = statement_path(name)
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.sql"))
        raise DataError(
            f"there is no statement {name!r}; expected one of {known} in {path.parent}."
        )
    return path.read_text(encoding="utf-8")


def connect(
    lake: Lake | str | os.PathLike[str],
    *,
    threads: int | None = None,
    memory_limit: str | None = None,
    up_to_date: bool = True,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the lake's tables as views (see `docs/tables.md`).

    Scores of hookpoints whose kept ones are behind are computed whenever they are asked for, unless
    `up_to_date` is false. `threads` and `memory_limit` (e.g. "4GB") default to DuckDB's own choice;
    spills go to the system's temporary folder. The connection is private: close it or let it go.
    Raises `NotReadyError` when there is no lake at that place, `ConflictError` for one of another
    version.
    """
    lake = lake if isinstance(lake, Lake) else Lake(lake)
    check_there(lake)
    con = open_database(lake, threads=threads, memory_limit=memory_limit)
    _define(con)
    tables = {table.name: _patterns(lake, table) for table in TABLES.values()}
    lists = {listed.name: _lists(lake, listed) for listed in LISTED}
    found = behind(lake, sql_folder()) if up_to_date else []
    held = [f"{globbed(lake.location(place.predictions))}/*.parquet" for place in found]
    _set_files(con, {**tables, **lists, "behind": [_empty(PREDICTIONS), *held]})
    if found:
        con.execute(
            "set variable behind = $behind", {"behind": [place._asdict() for place in found]}
        )
        execute(con, "kept/behind")
    return con


def check_there(lake: Lake) -> None:
    """Raise `NotReadyError` when there is no lake, `ConflictError` for one of another version."""
    if lake.version is None:
        raise NotReadyError(
            f"there is no lake at {lake.location('')!r}; check the path, or materialize the asset "
            "'contexts' into it first."
        )


def _define(con: duckdb.DuckDBPyConnection) -> None:
    """Give `con` the macros and views, as they lie in the file of this process."""
    con.execute(f"attach {literal(_definitions())} as made (read_only)")
    con.execute("copy from database made to memory (schema)")
    con.execute("detach made")


def _definitions() -> str:
    """Where a database of the macros and views is, made once for this process.

    To make them anew takes DuckDB a tenth of a second, as it works out each with all those that it
    is over; what is copied it does not look at.
    """
    path = Path(own_folder(), "definitions.duckdb")
    with _ONE_AT_A_TIME:
        if not path.exists():
            fresh = path.with_name(f"{uuid.uuid4().hex}.new")
            with duckdb.connect(fresh) as con:
                # Each view would read the columns of every file, were there any.
                tables = {table.name: [_empty(table)] for table in TABLES.values()}
                _set_files(con, {**tables, **{one.name: [_empty_list(one)] for one in LISTED}})
                for definition in definitions():
                    con.execute(definition.read_text(encoding="utf-8"))
            fresh.replace(path)
    return str(path)


def definitions() -> list[Path]:
    """The files of the macros and views, in an order in which each finds those that it is over."""
    folders = ("macros", "views", "derived", "scores")
    return [path for name in folders for path in sorted((sql_folder() / name).glob("*.sql"))]


def literal(text: str) -> str:
    """`text` in SQL, for the statements that take no parameters."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def quoted_name(text: str) -> str:
    """`text` in SQL as the name of a table or column."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _set_files(con: duckdb.DuckDBPyConnection, files: Mapping[str, list[str]]) -> None:
    """Let the views read these files, by their tables."""
    con.execute("set variable files = $files", {"files": dict(files)})


def _patterns(lake: Lake, table: Table) -> list[str]:
    """What a table's view reads: the file with today's columns, then what the lake holds."""
    own = pattern(table)
    there = lake.exists(empty_file(table)) or bool(lake.fs.glob(f"{globbed(lake.root)}/{own}"))
    return [_empty(table), *([f"{globbed(lake.location(''))}/{own}"] if there else [])]


def _lists(lake: Lake, listed: Listed) -> list[str]:
    """What the view of some manifests reads: a list of none, then those that the lake holds."""
    there = lake.exists(listed.empty) or bool(lake.matching(listed.pattern))
    held = [f"{globbed(lake.location(''))}/{listed.pattern}"] if there else []
    return [_empty_list(listed), *held]


def _empty(table: Table) -> str:
    """Where a file of the table without rows is in the temporary folder of this process."""
    table = table.as_read
    return _own_file(
        empty_file(table), lambda sink: write_rows(HashedSink(sink), table.empty(), table)
    )


def _empty_list(listed: Listed) -> str:
    """Where a list of no manifests is in the temporary folder of this process."""
    return _own_file(listed.empty, lambda sink: sink.write(listed.text.encode()))


def _own_file(name: str, write: Callable[[BinaryIO], object]) -> str:
    """Where a file is in the temporary folder of this process; written if it is not there."""
    path = Path(own_folder(), name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{uuid.uuid4().hex}.new")
        with fresh.open("wb") as sink:
            write(sink)
        fresh.replace(path)
    return globbed(str(path))


def own_folder() -> str:
    """Where files are of which this process has its own; gone when it ends."""
    with _ONE_AT_A_TIME:
        return _folder(os.getpid()).name


_ONE_AT_A_TIME = threading.RLock()
"""Of two folders that threads made at once, the one that is not kept would be removed again."""


@cache
def _folder(process: int) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=f"delphi-assets-{process}-")


def open_database(
    lake: Lake, *, threads: int | None = None, memory_limit: str | None = None
) -> duckdb.DuckDBPyConnection:
    """A bare DuckDB connection that can read the lake's files."""
    con = open_file(lake, Path(":memory:"))
    con.execute("set temp_directory = $folder", {"folder": tempfile.gettempdir() + "/duckdb"})
    if threads is not None:
        con.execute("set threads = $threads", {"threads": threads})
    if memory_limit is not None:
        con.execute("set memory_limit = $limit", {"limit": memory_limit})
    con.execute("set variable lake = $lake", {"lake": globbed(lake.location(""))})
    return con


def open_file(lake: Lake, path: Path) -> duckdb.DuckDBPyConnection:
    """A connection to a database of DuckDB's that can read the lake's files."""
    con = duckdb.connect(path)
    if not lake.local:
        con.register_filesystem(lake.fs)
    return con


def _bound(parameters: Mapping[str, Parameter]) -> dict[str, Parameter] | None:
    given = {
        name: _listed(value) if isinstance(value, Files) else value
        for name, value in parameters.items()
    }
    return given or None


def _listed(files: Files) -> list[str]:
    table = TABLES.get(files.table) or INTERMEDIATE[files.table]
    return [_empty(table), *map(globbed, files)]


def execute(con: duckdb.DuckDBPyConnection, name: str, **parameters: Parameter) -> None:
    """Run `sql/<name>.sql` for its effect; again as `query`, for a view is bound to files too."""
    _repeated(lambda: _effect(con, name, parameters))


def execute_file(con: duckdb.DuckDBPyConnection, path: Path, **parameters: Parameter) -> None:
    """Run the statement in `path`, which may be another package's, for its effect.

    Raises `DataError` when it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(
            f"the statement {path} cannot be read ({error}); expected a file of SQL."
        ) from error
    with naming_damage(con):
        con.execute(text, _bound(parameters))


def keep_rows(
    con: duckdb.DuckDBPyConnection, table: str, name: str, **parameters: Parameter
) -> None:
    """Make a table of the connection from the rows of `sql/<name>.sql`."""
    con.from_arrow(_rows(con, name, parameters)).create(table)


def stream(
    con: duckdb.DuckDBPyConnection, name: str, **parameters: Parameter
) -> Iterator[pa.Table]:
    """Rows of `sql/<name>.sql` in tables of a row group each, as they come."""
    with naming_damage(con):
        executed = con.execute(statement(name), _bound(parameters))
    for batch in executed.to_arrow_reader(ROW_GROUP):
        yield pa.Table.from_batches([batch])


def query(con: duckdb.DuckDBPyConnection, name: str, **parameters: Parameter) -> pa.Table:
    """Rows of `sql/<name>.sql`.

    A growing table's files may be merged between being listed and being read: then asked again.
    """
    return _repeated(lambda: _rows(con, name, parameters))


def _repeated(ask: Callable[[], T]) -> T:
    for pause in MERGED_MEANWHILE:
        try:
            return ask()
        except duckdb.IOException as error:
            if "No such file" not in str(error):
                raise
        time.sleep(pause)
    return ask()


def _effect(con: duckdb.DuckDBPyConnection, name: str, parameters: dict[str, Parameter]) -> None:
    with naming_damage(con):
        con.execute(statement(name), _bound(parameters))


def _rows(con: duckdb.DuckDBPyConnection, name: str, parameters: dict[str, Parameter]) -> pa.Table:
    # Not `con.sql`: with parameters it keeps Python's lock while it waits for threads that need it
    # to read from an object store.
    with naming_damage(con):
        return con.execute(statement(name), _bound(parameters)).to_arrow_table()
