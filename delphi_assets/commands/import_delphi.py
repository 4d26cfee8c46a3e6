"""`delphi-assets import-delphi DIR LAKE --run NAME`: a run of Delphi into a lake."""

import argparse

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dir", metavar="DIR", help="results/<name> of Delphi, or its folder latents"
    )
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument("--run", required=True, metavar="NAME", help="run of the lake")


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.delphi_runs.run_import import import_run
    from delphi_assets.lake.lake import Lake

    report = import_run(asked.dir, Lake(asked.lake), asked.run)
    return [("activations", report.rows), *report.facts.items()]


COMMAND = Command("import-delphi", "read a Delphi run into a lake", _arguments, _run)
