"""Explain latents of the small lake from a process of its own.

    python -m tests.parts.explaining FOLDER URL HOOKPOINT [SETTING=VALUE ...]

In: the folder of `explained_lake`, a server, settings of [llm]. Out: new rows, on standard output.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import ALL
from delphi_assets.settings import ExplainSettings
from tests.parts.explained_lake import HOOKPOINT, SELECTION, profile
from tests.parts.tiny_project import ROOT

MODEL = "openai/tiny"


def start(
    folder: Path, url: str, hookpoint: str = HOOKPOINT, **llm: object
) -> "subprocess.Popen[str]":
    """A process that explains every latent."""
    settings = [f"{name}={json.dumps(value)}" for name, value in llm.items()]
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder), url, hookpoint, *settings],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def main(folder: str, url: str, hookpoint: str, *settings: str) -> None:
    """Explain, and say how many rows that gave."""
    llm = {name: json.loads(value) for name, value in (one.split("=", 1) for one in settings)}
    given, wanted = profile(api_base=url, **llm), ExplainSettings(explainer_model=MODEL)
    lake = Lake(Path(folder) / "lake")
    report = explain(given, lake, hookpoint, ALL, wanted, SELECTION)
    sys.stdout.write(f"{report.new_rows}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
