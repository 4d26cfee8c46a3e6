"""`delphi-assets report LAKE -o DIR`: the latent explorer, a site that opens from disk."""

import argparse

from delphi_assets.commands.command import Command, Facts


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder or URL of the site"
    )
    parser.add_argument("--run", metavar="NAME", help="run to write; all without it")
    parser.add_argument("--hookpoint", metavar="NAME", help="hookpoint to write; all without it")
    parser.add_argument(
        "--latents", default="all", help="latents to write, e.g. '0-4, 17'; all without it"
    )


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.explorer import write_explorer
    from delphi_assets.lake.lake import Lake
    from delphi_assets.latent_ranges import parse_latents

    latents = parse_latents(asked.latents)
    report = write_explorer(Lake(asked.lake), asked.output, asked.run, asked.hookpoint, latents)
    return [*report.facts.items(), ("bytes", report.bytes), ("seconds", round(report.seconds, 1))]


COMMAND = Command("report", "write the latent explorer, a site to look at", _arguments, _run)
