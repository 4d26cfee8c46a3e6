"""Arguments that exports of a hookpoint share: which one, and what its best explanations are."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from delphi_assets.exports.hookpoint import ExportedHookpoint


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add run and hookpoint, and by what a latent's best explanation is chosen."""
    parser.add_argument("--run", metavar="NAME", help="run of the lake, where it holds several")
    parser.add_argument("--hookpoint", metavar="NAME", help="hookpoint, where there are several")
    parser.add_argument(
        "--scorer",
        default="detection",
        metavar="NAME",
        help="the best explanation of a latent scores highest by this scorer (detection)",
    )
    parser.add_argument(
        "--metric",
        default="balanced_accuracy",
        metavar="NAME",
        help="and this metric: balanced_accuracy (the default), mass_explained, auroc, auprc, f1, "
        "accuracy or correlation; explanations without one come last",
    )
    for name, what in (
        ("scorer-model", "judge that counts where several judged; else the first by name"),
        ("selection", "only explanations of this selection"),
        ("explainer", "only explanations of this explainer"),
        ("explainer-model", "only explanations of this model"),
    ):
        parser.add_argument(f"--{name}", metavar="NAME", help=what)


def opened(asked: argparse.Namespace) -> "ExportedHookpoint":
    """The hookpoint that is meant; closed by `with`."""
    from delphi_assets.exports.hookpoint import Best, ExportedHookpoint
    from delphi_assets.lake.lake import Lake

    best = Best(
        asked.scorer,
        asked.metric,
        asked.scorer_model,
        asked.selection,
        asked.explainer,
        asked.explainer_model,
    )
    return ExportedHookpoint(Lake(asked.lake), asked.run, asked.hookpoint, best)
