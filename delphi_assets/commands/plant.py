"""`delphi-assets plant PROFILE --run NAME`: a run whose latents are known, on a run's contexts."""

import argparse
from pathlib import Path

from delphi_assets.commands.command import Command, Facts, add_profile


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_profile(parser)
    parser.add_argument(
        "--run", default="planted", metavar="NAME", help="name of the new run; else planted"
    )
    parser.add_argument(
        "--predicates",
        type=Path,
        metavar="FILE",
        help="TOML file of what the latents stand for; else those that are shipped",
    )


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.caching.planting.predicates import SHIPPED, read_predicates
    from delphi_assets.lake.lake import Lake
    from delphi_assets.runs.planting import plant_run
    from delphi_assets.settings import load_profile

    predicates = read_predicates(asked.predicates or SHIPPED)
    profile = load_profile(asked.profile)
    made = plant_run(profile, Lake(profile.run.lake), asked.run, predicates)
    seconds = made.planted.seconds + sum(one.seconds for one in made.outcomes.values())
    rows = [(step.stage, outcome.rows) for step, outcome in made.outcomes.items()]
    facts = [*made.planted.facts.items(), *((name, n) for name, n in rows if name != "latents")]
    return [*facts, ("seconds", round(seconds, 1)), ("profile", made.profile_file)]


COMMAND = Command("plant", "make a run whose latents are known", _arguments, _run)
