"""`delphi-assets vacuum LAKE`: delete files that were replaced."""

import argparse

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument(
        "--apply", action="store_true", help="do it; without it, what would be deleted is said"
    )


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.lake.lake import Lake
    from delphi_assets.lake.vacuum import apply, planned

    lake = Lake(asked.lake)
    vacuum = planned(lake)
    if asked.apply:
        apply(lake, vacuum)
    return [
        ("files", len(vacuum.files)),
        ("bytes", vacuum.bytes),
        ("deleted", len(vacuum.files) if asked.apply else "none yet: say --apply"),
    ]


COMMAND = Command("vacuum", "delete files that were replaced", _arguments, _run)
