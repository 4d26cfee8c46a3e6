"""Neighbours by co-occurrence of the latents of a Delphi cache.

    python -m benchmarks.neighbours --delphi-cache FOLDER [--lake FOLDER] [--n-neighbours 250]

1. Import the folder, `results/<name>` or a bare `latents`, into a lake: a scratch one, or one that
   is kept, so that the next time nothing is left to import.
2. Find the neighbours of every hookpoint, reading the lake, writing the table.
3. Print JSON: a line of numbers a hookpoint, and apart from them the seconds of importing. The peak
   of memory is that of step 2, with the interpreter and what it has loaded.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peak import peak, reset_peak
from delphi_assets.delphi_runs.importing import import_run
from delphi_assets.lake import Lake
from delphi_assets.neighbours import find_neighbours, neighbours_unit
from delphi_assets.settings import NeighbourSettings, load_profile

RUN = "benchmark"


def main(arguments: Sequence[str] | None = None) -> None:
    """Import, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.neighbours", description=__doc__)
    parser.add_argument("--delphi-cache", type=Path, required=True)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--n-neighbours", type=int, default=250)
    given = parser.parse_args(arguments)
    settings = NeighbourSettings(n_neighbours=given.n_neighbours)
    with tempfile.TemporaryDirectory() as scratch:
        said = measure(given.delphi_cache, Lake(given.lake or scratch), settings)
    json.dump(said, sys.stdout, indent=1)
    sys.stdout.write("\n")


def measure(cache: Path, lake: Lake, settings: NeighbourSettings) -> dict[str, object]:
    """What is printed."""
    imported = import_run(cache, lake, RUN)
    profile = load_profile(str(imported.facts["profile"]))
    found = {}
    for hookpoint in profile.cache.hookpoints:
        lake.remove("neighbours", **neighbours_unit(profile, hookpoint, "co-occurrence").keys)
        reset_peak()
        report = find_neighbours(profile, lake, hookpoint, "co-occurrence", settings)
        found[hookpoint] = {
            "seconds": round(report.seconds, 2),
            "rows": report.new_rows,
            "latents": report.facts["latents"],
            "peak_mib": round(peak()),
            "file_mib": round(report.bytes / 2**20, 1),
        }
    return {
        "import_seconds": round(imported.seconds, 2),
        "activations": imported.rows,
        "tokens": imported.facts["tokens"],
        "n_neighbours": settings.n_neighbours,
        "hookpoints": found,
    }


if __name__ == "__main__":
    main()
