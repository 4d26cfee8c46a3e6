"""`delphi-assets export-table LAKE FILE`: latents, best explanations and scores as one table."""

import argparse
from pathlib import Path

from delphi_assets.commands.command import Command, Facts
from delphi_assets.commands.export_arguments import add_choice, opened


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument("file", metavar="FILE", type=Path, help="new file, .parquet or .csv")
    add_choice(parser)


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.exports.table import export_table

    with opened(asked) as source:
        return list(export_table(source, asked.file)._asdict().items())


COMMAND = Command(
    "export-table", "write latents, best explanations and scores as one table", _arguments, _run
)
