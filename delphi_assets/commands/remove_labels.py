"""`delphi-assets remove-labels LAKE --source NAME`: labels of a source withdrawn from a lake."""

import argparse

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument("--source", required=True, metavar="NAME", help="whose labels")
    parser.add_argument("--run", metavar="NAME", help="only at this run")
    parser.add_argument("--hookpoint", metavar="NAME", help="only at this hookpoint")


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.lake.lake import Lake
    from delphi_assets.reading.added_labels import remove_labels

    report = remove_labels(Lake(asked.lake), asked.source, asked.run, asked.hookpoint)
    return [("removed", report.new_rows)]


COMMAND = Command(
    "remove-labels",
    "withdraw the labels of a source, which stay in its files",
    _arguments,
    _run,
)
