"""`delphi-assets catalogue LAKE FILE`: the views of a lake as a DuckDB file, for other tools."""

import argparse
from pathlib import Path

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument("file", metavar="FILE", type=Path, help="new file, such as lake.duckdb")


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.exports.catalogue import write_catalogue
    from delphi_assets.lake.lake import Lake

    views = write_catalogue(Lake(asked.lake), asked.file)
    return [("file", str(asked.file)), ("views", len(views))]


COMMAND = Command(
    "catalogue", "write the views of a lake as a DuckDB file, for other tools", _arguments, _run
)
