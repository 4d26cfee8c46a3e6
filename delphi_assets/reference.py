"""The reference in the documentation, written from what the code reads and writes.

    python -m delphi_assets.reference      # in the project's folder, after a change of either

In: the tables of `schema`, the sections of `settings.Profile`, the headers of `sql/analysis/`, the
commands of `command_line`. Out: Markdown; as a program the pages of `PAGES`.
"""

import argparse
import json
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from delphi_assets.command_line import COMMANDS, STATUSES
from delphi_assets.commands.completion import SHELLS
from delphi_assets.lake.schema import TABLES, VIEWS, Column, Table
from delphi_assets.queries.analyses import analyses
from delphi_assets.settings import Profile, ServerSettings

_WRITTEN_BY = "<!-- written by python -m delphi_assets.reference -->\n"
_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_TYPES = {str: "string", int: "integer", float: "number", bool: "true or false"}


def _table_list() -> str:
    """One line a table: name, what identifies a row, what a row is."""
    lines = ["| table | key | one row is |", "|---|---|---|"]
    for table in (*TABLES.values(), *VIEWS.values()):
        keys = ", ".join((*(key.name for key in table.keys), *table.identity))
        unique = ", ".join(dict.fromkeys(keys.split(", ")))
        row = table.doc.partition(". ")[0].removesuffix(".")
        lines.append(f"| [{table.name}](#{table.name}) | {unique} | {row} |")
    return "\n".join(lines)


def tables_page() -> str:
    """Every column of every table, with its type and meaning."""
    parts = [_WRITTEN_BY + "# Tables", _TABLES_INTRODUCTION, _table_list()]
    for table in (*TABLES.values(), *VIEWS.values()):
        parts += [f"## {table.name}", table.doc, "\n".join(_columns(table))]
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Every setting of a profile, with its type, default and meaning."""
    parts = [_WRITTEN_BY + "# Settings", _SETTINGS_INTRODUCTION]
    for name, field in Profile.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        assert issubclass(section, BaseModel)
        parts += _section(f"[{name}]", section)
    parts += _section('`[llm.models."<model>"]`', ServerSettings)
    return "\n\n".join(parts) + "\n"


def queries_page() -> str:
    """Every shipped question, with its parameters and columns."""
    parts = [_WRITTEN_BY + "# Queries", _QUERIES_INTRODUCTION]
    for one in analyses():
        said = (f"- Parameters: {one.parameters}", f"- Columns: {one.columns}")
        parts += [f"## {one.name}", one.question, "\n".join(said).replace("<", "&lt;")]
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """Every command with its arguments."""
    statuses = [f"| {status} | {meaning} |" for status, meaning in STATUSES.items()]
    table = "\n".join(["| exit status | meaning |", "|---|---|", *statuses])
    parts = [_WRITTEN_BY + "# Commands", _COMMANDS_INTRODUCTION, table, _COMPLETION]
    for command in COMMANDS.values():
        parser = argparse.ArgumentParser(add_help=False)
        command.arguments(parser)
        lines = ["| argument | meaning |", "|---|---|"]
        lines += [_argument(action) for action in parser._actions]
        parts += [
            f"## delphi-assets {command.name}",
            f"{command.help[0].upper()}{command.help[1:]}.",
            "\n".join(lines),
        ]
    return "\n\n".join(parts) + "\n"


PAGES = {
    "tables": tables_page,
    "settings": settings_page,
    "queries": queries_page,
    "commands": commands_page,
}
"""Pages of `docs/` that are written whole."""


def write(folder: Path) -> None:
    """Write the reference into the documentation of the project in `folder`."""
    for name, page in PAGES.items():
        (folder / "docs" / f"{name}.md").write_text(page(), encoding="utf-8")


_TABLES_INTRODUCTION = """\
A lake is a folder, or a place in an object store, of Parquet files in hive partitions, which any
engine reads without this library. A *path key* is a column that stands in the folders' names.
`manifests/` says what is complete, with which settings and by which version it was made; `staging/`
holds files being written, and `superseded/` those that were replaced, until `delphi-assets
vacuum` deletes them. A folder such as `completion_/` holds a file of its table with today's columns
and no rows. [Lakes of earlier versions](compatibility.md) are read.

Every table is a view of its files, but for those at the end of the list, from `runs` on, which are
computed from them (`sql/derived/`, `sql/scores/`) when they are asked for. Every rate of the scores
has a 95% interval, `_low` to `_high`; each is an interval of score form, which keeps its width
where the estimate is 0 or 1, as it often is with 20 windows of each kind. A failed answer counts in
no rate, only in `failed_share`."""

_SETTINGS_INTRODUCTION = """\
A profile is one TOML file with these sections; [the tutorial](tutorial.md) explains one. Names are
Delphi's where Delphi has one. A wrong name, type or combination is refused before anything is
computed, with the nearest valid name. The Launchpad of an asset and the library's calls take the
same settings, and refuse the same ones. Without a section `[explain]` the explainer is
`lexical`."""

_QUERIES_INTRODUCTION = """\
The questions in `sql/analysis/`, each one statement that says its parameters. They run from the
command line, from Python and in any DuckDB:

```sh
delphi-assets sql lake --analysis best_explained --param scorer=detection --param n_rows=20
```

```python
from delphi_assets import connect, query

query(connect("lake"), "analysis/latent_census", run="demo", hookpoint="layers.9").to_pylist()
```

In the DuckDB shell the text of a file follows `prepare question as`, and takes its parameters by
name: `execute question(run := 'demo', hookpoint := 'layers.9');`

`delphi-assets sql lake` opens a shell: a query ends with a semicolon and may take several lines,
`.analysis` lists these questions, `.analysis NAME` asks one, `.tables` and `.schema TABLE` describe
the tables, Tab completes names. A query reads the files of its lake and no others, and DuckDB lets
it write none; of the settings it can change `threads` and `memory_limit`. That takes up to 2.5
times as long as `connect` where much is read and little computed. `--format csv` and `json` hold
every row; in CSV no text is a formula to a spreadsheet ([what is put in front](exports.md))."""

_COMMANDS_INTRODUCTION = """\
What can be done with a lake from the command line, without Dagster. The program is
`.venv/bin/delphi-assets` where `make` made the environment. What was done goes to standard output,
a fact a line. An error is one line on standard error. `delphi-assets --version` says which version
is installed.

The exit status says how it ended. A process that a signal kills has 128 and the number of the
signal, as in 143 for SIGTERM."""

_COMPLETION = f"""\
`delphi-assets --print-completion {SHELLS[0]}`, or {" or ".join(SHELLS[1:])}, prints what lets Tab
complete commands, their options and values, and files. In bash for one session, then for every one
to come:

    eval "$(delphi-assets --print-completion bash)"
    delphi-assets --print-completion bash >~/.local/share/bash-completion/completions/delphi-assets

For zsh the script goes as `_delphi-assets` into a folder of `fpath`, for tcsh into a file that
`~/.tcshrc` sources."""


def _argument(action: argparse.Action) -> str:
    choices = " or ".join(map(str, action.choices)) if action.choices else None
    value = choices or action.metavar or action.dest.upper()
    takes = "" if action.nargs == 0 else f" {value}"
    named = ", ".join(f"`{option}{takes}`" for option in action.option_strings) or f"`{value}`"
    required = ", required" if action.option_strings and action.required else ""
    meaning = str(action.help).replace("%%", "%").replace("<", "&lt;")
    return f"| {named}{required} | {meaning} |"


def _columns(table: Table) -> list[str]:
    lines = ["| column | type | meaning |", "|---|---|---|"]
    lines += [f"| {key.name} | {_arrow_type(key)}, path key | {key.doc} |" for key in table.keys]
    return lines + [f"| {one.name} | {_arrow_type(one)} | {one.doc} |" for one in table.columns]


def _arrow_type(column: Column) -> str:
    shown = str(column.type).replace("element: ", "").replace("item: ", "")
    # Bare, what stands between the angles would be taken for a tag.
    return f"`{shown}`" if "<" in shown else shown


def _section(title: str, section: type[BaseModel]) -> list[str]:
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        shown = "required" if field.is_required() else _default(field.default)
        meaning = str(field.description).replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(field)} | {shown} | {meaning} |")
    return [f"## {title}", str(section.__doc__), "\n".join(lines)]


def _default(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{key} = {json.dumps(one)}" for key, one in value.items()) + "}`"
    return f"`{json.dumps(value)}`"


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{words} {getattr(limit, name):,}"
        for limit in field.metadata
        for name, words in _BOUNDS.items()
        if hasattr(limit, name)
    ]
    return ", ".join([_named(field.annotation), *bounds])


def _named(annotation: Any) -> str:
    """An annotation in words a reader of TOML knows."""
    kind, arguments = get_origin(annotation), get_args(annotation)
    if kind is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if kind in (Union, types.UnionType):
        return " or ".join(_named(one) for one in arguments if one is not types.NoneType)
    if kind is tuple:
        return f"list of {_named(arguments[0])}"
    if kind is dict:
        what = "options" if arguments[1] == dict[str, Any] else _named(arguments[1])
        return f"table of {what} by name"
    if annotation in _TYPES:
        return _TYPES[annotation]
    return "section"


if __name__ == "__main__":
    write(Path.cwd())
