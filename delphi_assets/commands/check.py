"""`delphi-assets check PROFILE`: whether a profile can be run, computing nothing.

Two lines: the profile, and that it is ready or what is wrong with it.
"""

import argparse

from delphi_assets.commands.command import Command, Facts, add_profile


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.lake.lake import Lake
    from delphi_assets.runs.profile_check import check_profile
    from delphi_assets.settings import load_profile, profile_path

    yield "profile", str(profile_path(asked.profile))
    profile = load_profile(asked.profile)
    lake = Lake(profile.run.lake)
    looked = check_profile(profile, lake)
    unseen = f"; not looked at: {', '.join(looked.not_at)}" if looked.not_at else ""
    run = f"run {profile.run.name!r} in lake {lake.location('')}"
    yield "ready", f"{run}; looked at: {', '.join(looked.at)}{unseen}"


COMMAND = Command("check", "whether a profile can be run, computing nothing", add_profile, _run)
