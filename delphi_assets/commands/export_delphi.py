"""`delphi-assets export-delphi LAKE DIR --run NAME`: a run of a lake in Delphi's layout."""

import argparse

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument("dir", metavar="DIR", help="new folder")
    for name, what in (
        ("selection", "selection whose explanations are exported"),
        ("explainer", "explainer whose explanations are exported"),
        ("explainer-model", "model that wrote them"),
        ("scorer-model", "judge whose scores are exported"),
    ):
        parser.add_argument(f"--{name}", help=f"{what}, where there are several")
    parser.add_argument("--run", required=True, metavar="NAME", help="run of the lake")


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.delphi_runs.run_export import Chosen, export_run
    from delphi_assets.lake.lake import Lake

    chosen = Chosen(asked.selection, asked.explainer, asked.explainer_model, asked.scorer_model)
    report = export_run(Lake(asked.lake), asked.run, asked.dir, chosen)
    return [("activations", report.rows), *report.facts.items()]


COMMAND = Command("export-delphi", "write a run of a lake in Delphi's layout", _arguments, _run)
