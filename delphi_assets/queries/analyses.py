"""The questions that are shipped, `sql/analysis/`.

In: a statement with the header of this project: the question, then `Parameters:`, then `Columns:`,
each to the next of these or to the end of the comment. Out: an `Analysis`.
"""

import difflib
import re
from typing import NamedTuple

from delphi_assets.errors import DataError
from delphi_assets.lake.database import sql_folder, statement


class Analysis(NamedTuple):
    """One shipped question."""

    name: str
    question: str
    parameters: str
    """What its `$named` parameters are, as its header says."""
    columns: str
    text: str
    """The statement."""


def analyses() -> list[Analysis]:
    """All of them, by name."""
    return [_read(path.stem) for path in sorted((sql_folder() / "analysis").glob("*.sql"))]


def analysis(name: str) -> Analysis:
    """The one of that name; raises `DataError` with the names most like it."""
    names = [one.name for one in analyses()]
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, 0.4)
        meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise DataError(
            f"there is no analysis {name!r}; {meant}--list (.analysis in the shell) shows them all."
        )
    return _read(name)


def _read(name: str) -> Analysis:
    text = statement(f"analysis/{name}")
    header = re.match(r"(?:--.*\n)+", text)
    comment = re.sub(r"^-- *", "", header[0], flags=re.MULTILINE) if header else ""
    parts = re.split(r"^(Parameters|Needs|Columns): *", comment, flags=re.MULTILINE)
    said = dict(zip(parts[1::2], parts[2::2], strict=True))
    parameters, columns = (_joined(said.get(key, "")) for key in ("Parameters", "Columns"))
    return Analysis(name, _joined(parts[0]), parameters, columns, text)


def _joined(lines: str) -> str:
    return " ".join(lines.split())
