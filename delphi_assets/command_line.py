"""The command `delphi-assets`: runs of Delphi into a lake and out again, and what LLMs will cost.

    delphi-assets import-delphi DIR LAKE --run NAME
    delphi-assets export-delphi LAKE DIR --run NAME
    delphi-assets estimate PROFILE

What was done goes to standard output, a fact a line. An error is one line on standard error, and
the exit status 1.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from delphi_assets.errors import DelphiAssetsError
from delphi_assets.stage import Fact, StageReport

Facts = Sequence[tuple[str, Fact]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (the process's own without any); returns its status."""
    asked = _parser().parse_args(arguments)
    try:
        facts = _COMMANDS[asked.command](asked)
    except DelphiAssetsError as error:
        sys.stderr.write(f"delphi-assets: {' '.join(str(error).split())}\n")
        return 1
    for name, value in facts:
        sys.stdout.write(f"{name}: {value}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="delphi-assets", description="Delphi runs, the lake, costs."
    )
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
    costs = commands.add_parser("estimate", help="calls, tokens and dollars, asking nobody")
    costs.add_argument("profile", metavar="PROFILE", help="name or path of a profile")
    costs.add_argument(
        "--sample", type=int, default=100, metavar="N", help="latents to count at a hookpoint"
    )
    for command in (into, out):
        command.add_argument("--run", required=True, metavar="NAME", help="run of the lake")
    return parser


def _import(asked: argparse.Namespace) -> Facts:
    from delphi_assets.delphi_runs.importing import import_run
    from delphi_assets.lake import Lake

    return _facts(import_run(asked.dir, Lake(asked.lake), asked.run))


def _export(asked: argparse.Namespace) -> Facts:
    from delphi_assets.delphi_runs.exporting import Chosen, export_run
    from delphi_assets.lake import Lake

    chosen = Chosen(asked.selection, asked.explainer, asked.explainer_model, asked.scorer_model)
    return _facts(export_run(Lake(asked.lake), asked.run, asked.dir, chosen))


def _facts(report: StageReport) -> Facts:
    return [("activations", report.rows), *report.facts.items()]


def _estimate(asked: argparse.Namespace) -> Facts:
    from delphi_assets.estimating import estimate_run
    from delphi_assets.lake import Lake
    from delphi_assets.settings import load_profile

    profile = load_profile(asked.profile)
    estimates = estimate_run(profile, Lake(profile.run.lake), asked.sample)
    facts = [fact for estimate in estimates for fact in estimate.facts()]
    costs = [estimate.dollars for estimate in estimates if estimate.dollars is not None]
    if len(costs) < len(estimates):
        return [*facts, ("total_dollars", "unknown: a model has no price")]
    return [*facts, ("total_dollars", round(sum(costs), 6))]


_COMMANDS: dict[str, Callable[[argparse.Namespace], Facts]] = {
    "import-delphi": _import,
    "export-delphi": _export,
    "estimate": _estimate,
}
