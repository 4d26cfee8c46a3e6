"""`delphi-assets verify LAKE`: whether every file, key and view is as it was written."""

import argparse

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.errors import DataError
    from delphi_assets.lake.lake import Lake
    from delphi_assets.lake.verification import problems

    n_problems = 0
    for problem in problems(Lake(asked.lake)):
        n_problems += 1
        yield "problem", f"{problem.what}: {problem.way_out}"
    if n_problems:
        raise DataError(f"{asked.lake!r} has {n_problems} problems, which are named above.")
    yield "problems", 0


COMMAND = Command("verify", "read every file and say what is damaged", _arguments, _run)
