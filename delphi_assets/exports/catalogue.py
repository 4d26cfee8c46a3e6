"""A catalogue of a lake: a DuckDB file with its views, for tools that open one and nothing else.

In: a lake and a path. Out: the file, which holds the macros and views of `sql/` and no rows, so it
shows what the lake holds whenever it is asked. A session of this library tells the views where the
lake is (`database`); here that stands in them, so the file can lie and be opened anywhere on the
machine. Views and columns have their meaning as comments.
"""

from pathlib import Path

import duckdb

from delphi_assets.errors import DataError, NotReadyError
from delphi_assets.exports.targets import whole
from delphi_assets.lake.database import check_there, definitions, literal, open_file, quoted_name
from delphi_assets.lake.lake import LISTED, Lake, pattern
from delphi_assets.lake.schema import TABLES, VIEWS
from delphi_assets.lake.storage import globbed

_LAKE = "getvariable('lake')"
"""What stands in a statement where a session says where its lake is."""


def write_catalogue(lake: Lake, path: Path) -> list[str]:
    """Write the catalogue of `lake` to `path`; returns the names of its views.

    Raises `NotReadyError` where there is no lake or one that this version has not written to,
    and as `targets.whole` does.
    """
    check_there(lake)
    _check_every_table(lake)
    if "?" in str(path.absolute()):
        raise DataError(
            f"{path} has a question mark in its path, behind which DuckDB expects options; name "
            "another file."
        )
    with whole(path) as fresh, open_file(lake, fresh) as con:
        _define(con, lake)
        _comment(con)
    return [*TABLES, *VIEWS]


def _check_every_table(lake: Lake) -> None:
    """Raise `NotReadyError` where a view would find no file: DuckDB cannot make it then."""
    patterns = {table.name: pattern(table) for table in TABLES.values()}
    patterns |= {listed.name: listed.pattern for listed in LISTED}
    if lacking := [name for name, one in patterns.items() if not lake.matching(one)]:
        raise NotReadyError(
            f"{lake.location('')} lacks the files without rows of {', '.join(lacking)}; expected a "
            "lake that this version of delphi-assets has written to. Run delphi-assets upgrade "
            "with --apply, which lays them."
        )


def _define(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    place = literal(globbed(lake.location("")))
    for definition in definitions():
        con.execute(definition.read_text(encoding="utf-8").replace(_LAKE, place))


def _comment(con: duckdb.DuckDBPyConnection) -> None:
    for table in (*TABLES.values(), *VIEWS.values()):
        view = quoted_name(table.name)
        con.execute(f"comment on view {view} is {literal(table.doc)}")
        for column in (*table.keys, *table.columns):
            name = quoted_name(column.name)
            con.execute(f"comment on column {view}.{name} is {literal(column.doc)}")
