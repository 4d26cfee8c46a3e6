"""`delphi-assets estimate PROFILE`: what explaining and scoring will cost, asking nobody."""

import argparse

from delphi_assets.commands.command import Command, Facts, count


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", metavar="PROFILE", help="name or path of a profile")
    parser.add_argument(
        "--sample", type=count, default=100, metavar="N", help="latents to count at a hookpoint"
    )


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.lake.lake import Lake
    from delphi_assets.runs.dry_run import estimate_run
    from delphi_assets.settings import load_profile

    profile = load_profile(asked.profile)
    estimates = estimate_run(profile, Lake(profile.run.lake), asked.sample)
    facts = [fact for estimate in estimates for fact in estimate.facts()]
    costs = [estimate.dollars for estimate in estimates if estimate.dollars is not None]
    if len(costs) < len(estimates):
        return [*facts, ("total_dollars", "unknown: a model has no price")]
    return [*facts, ("total_dollars", round(sum(costs), 6))]


COMMAND = Command("estimate", "calls, tokens and dollars, asking nobody", _arguments, _run)
