"""`delphi-assets init FOLDER`: a project of one's own, for whoever has installed the library."""

import argparse

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="new folder, or an empty one")


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.ground.local_paths import local_path
    from delphi_assets.runs.new_project import lay_project
    from delphi_assets.settings import OWN_PROFILE

    folder = local_path(asked.folder)
    for path in lay_project(folder):
        yield "file", str(path)
    yield "next", f"in {folder}: edit {OWN_PROFILE}, then delphi-assets check"


COMMAND = Command("init", "lay a project of your own: profile, Makefile, Dagster", _arguments, _run)
