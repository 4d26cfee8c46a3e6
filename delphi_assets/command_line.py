"""The command `delphi-assets`: runs of Delphi into a lake, and runs of a lake out again.

    delphi-assets import-delphi DIR LAKE --run NAME
    delphi-assets export-delphi LAKE DIR --run NAME

What was done goes to standard output, a fact a line. An error is one line on standard error, and
the exit status 1.
"""

import argparse
import sys
from collections.abc import Sequence

from delphi_assets.errors import DelphiAssetsError
from delphi_assets.stage import StageReport


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (the process's own without any); returns its status."""
    asked = _parser().parse_args(arguments)
    try:
        report = _import(asked) if asked.command == "import-delphi" else _export(asked)
    except DelphiAssetsError as error:
        sys.stderr.write(f"delphi-assets: {' '.join(str(error).split())}\n")
        return 1
    for name, value in {"activations": report.rows, **report.facts}.items():
        sys.stdout.write(f"{name}: {value}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="delphi-assets", description="Delphi runs and the lake.")
    commands = parser.add_subparsers(dest="command", required=True)
    into = commands.add_parser("import-delphi", help="read a Delphi run into a lake")
    into.add_argument("dir", metavar="DIR", help="results/<name> of Delphi, or its folder latents")
    into.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    out = commands.add_parser("export-delphi", help="write a run of a lake in Delphi's layout")
    out.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    out.add_argument("dir", metavar="DIR", help="new folder")
    for name, what in (
        ("selection", "selection whose explanations are exported"),
        ("explainer", "explainer whose explanations are exported"),
        ("explainer-model", "model that wrote them"),
        ("scorer-model", "judge whose scores are exported"),
    ):
        out.add_argument(f"--{name}", help=f"{what}, where there are several")
    for command in (into, out):
        command.add_argument("--run", required=True, metavar="NAME", help="run of the lake")
    return parser


def _import(asked: argparse.Namespace) -> StageReport:
    from delphi_assets.delphi_runs.importing import import_run
    from delphi_assets.lake import Lake

    return import_run(asked.dir, Lake(asked.lake), asked.run)


def _export(asked: argparse.Namespace) -> StageReport:
    from delphi_assets.delphi_runs.exporting import Chosen, export_run
    from delphi_assets.lake import Lake

    chosen = Chosen(asked.selection, asked.explainer, asked.explainer_model, asked.scorer_model)
    return export_run(Lake(asked.lake), asked.run, asked.dir, chosen)
