"""`delphi-assets export-neuronpedia LAKE DIR`: a hookpoint as Neuronpedia's bulk files."""

import argparse
from pathlib import Path

from delphi_assets.commands.command import Command, Facts
from delphi_assets.commands.export_arguments import add_choice, opened


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of the lake")
    parser.add_argument("dir", metavar="DIR", type=Path, help="folder that v1 lies or will lie in")
    add_choice(parser)
    parser.add_argument(
        "--windows",
        default="default",
        metavar="SELECTION",
        help="selection whose activating windows are written (default)",
    )
    parser.add_argument("--model-id", metavar="ID", help="the model's id at Neuronpedia")
    parser.add_argument("--layer", type=int, metavar="N", help="layer, where no number says it")
    parser.add_argument("--source-set", metavar="ID", help="source set; else module and run")
    parser.add_argument("--creator-id", metavar="ID", help="your account's id at Neuronpedia")
    parser.add_argument("--creator-name", default="", metavar="NAME", help="creator to be shown")
    parser.add_argument("--release", metavar="NAME", help="name of the release; else the run's")


def _run(asked: argparse.Namespace) -> Facts:
    from delphi_assets.exports.neuronpedia import export_bulk
    from delphi_assets.exports.neuronpedia_names import named
    from delphi_assets.lake.lake import Lake

    with opened(asked) as source:
        names = named(
            source.run,
            source.hookpoint,
            source.num_latents,
            Lake(asked.lake).run_settings(source.run),
            model_id=asked.model_id,
            layer=asked.layer,
            source_set=asked.source_set,
            creator_id=asked.creator_id,
            creator_name=asked.creator_name,
            release=asked.release,
        )
        return list(vars(export_bulk(source, names, asked.windows, asked.dir)).items())


COMMAND = Command(
    "export-neuronpedia", "write a hookpoint as Neuronpedia's bulk files", _arguments, _run
)
