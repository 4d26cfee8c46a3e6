"""`delphi-assets upgrade LAKE`: make a lake of an earlier version one of this version."""

import argparse

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument(
        "--apply", action="store_true", help="do it; without it, what would be done is said"
    )


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.lake.lake import Lake
    from delphi_assets.lake.schema import SCHEMA_VERSION
    from delphi_assets.lake.upgrade import apply, planned

    lake = Lake(asked.lake)
    upgrade = planned(lake)
    if asked.apply:
        apply(lake, upgrade)
    return [
        ("version", upgrade.version),
        ("version_after", SCHEMA_VERSION if asked.apply else f"{SCHEMA_VERSION}, with --apply"),
        ("files_without_rows_moved", len(upgrade.without_rows)),
        ("files_that_no_manifest_names_moved", len(upgrade.not_believed)),
        ("files_with_former_columns_written_again", len(upgrade.renamed)),
        ("units_with_reasons_in_words_written_again", len(upgrade.reasoned)),
        ("selections_told_eligibility", len(upgrade.unsaid)),
        ("hookpoints_whose_scores_are_kept", len(upgrade.unkept)),
        *(("moved", path) for path in upgrade.not_believed),
    ]


COMMAND = Command("upgrade", "make a lake of an earlier version one of this", _arguments, _run)
