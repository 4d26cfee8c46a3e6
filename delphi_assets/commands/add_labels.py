"""`delphi-assets add-labels LAKE FILE --source NAME`: labels of one's own into a lake."""

import argparse

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument(
        "file",
        metavar="FILE",
        help=".csv, .tsv or .parquet with a column latent; run and hookpoint may be columns, and "
        "every other one is a label under its name",
    )
    parser.add_argument(
        "--source",
        required=True,
        metavar="NAME",
        help="who or what they are from; a value of the same source, latent and name is replaced",
    )
    parser.add_argument("--run", metavar="NAME", help="run of the lake, where it holds several")
    parser.add_argument("--hookpoint", metavar="NAME", help="hookpoint, where there are several")


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.lake.lake import Lake
    from delphi_assets.reading.added_labels import add_labels

    report = add_labels(Lake(asked.lake), asked.file, asked.source, asked.run, asked.hookpoint)
    return [("labels", report.rows), *report.facts.items()]


COMMAND = Command("add-labels", "add labels of your own to the latents of a lake", _arguments, _run)
