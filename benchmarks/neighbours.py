"""Neighbours of a Delphi cache's latents by co-occurrence, or of a random coder's by its weights.

    python -m benchmarks.neighbours --delphi-cache FOLDER [--lake FOLDER] [--n-neighbours 250]
    python -m benchmarks.neighbours --width 131072 --d-model 2048 [--n-neighbours 250]

1. Import the folder, `results/<name>` or a bare `latents`, into a lake: a scratch one, or one that
   is kept, so that the next time nothing is left to import. Or lay a random model and a coder of
   that width in a scratch folder, and describe the coder.
2. Find the neighbours of every hookpoint, by co-occurrence or by the decoder, reading the lake,
   writing the table.
3. Print JSON: a line of numbers a hookpoint, and apart from them the seconds of importing. The peak
   of memory is that of step 2, with the interpreter and what it has loaded.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.capture import Size, lay
from benchmarks.peak import peak, reset_peak
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.delphi_runs.run_import import import_run
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.units import neighbours_unit
from delphi_assets.selection.neighbours import find_neighbours
from delphi_assets.settings import NeighbourSettings, Profile, load_profile

RUN = "benchmark"


def main(arguments: Sequence[str] | None = None) -> None:
    """Import or lay, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.neighbours", description=__doc__)
    parser.add_argument("--delphi-cache", type=Path)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--width", type=int)
    parser.add_argument("--d-model", type=int, default=2_048)
    parser.add_argument("--n-neighbours", type=int, default=250)
    given = parser.parse_args(arguments)
    if (given.delphi_cache is None) == (given.width is None):
        parser.error("give --delphi-cache or --width")
    settings = NeighbourSettings(n_neighbours=given.n_neighbours)
    with tempfile.TemporaryDirectory() as scratch:
        if given.width is None:
            said = of_cache(given.delphi_cache, Lake(given.lake or scratch), settings)
        else:
            said = of_weights(given.width, given.d_model, Path(scratch), settings)
    json.dump(said, sys.stdout, indent=1)
    sys.stdout.write("\n")


def of_cache(cache: Path, lake: Lake, settings: NeighbourSettings) -> dict[str, object]:
    """What is printed of a Delphi cache."""
    imported = import_run(cache, lake, RUN)
    profile = load_profile(str(imported.facts["profile"]))
    return {
        "import_seconds": round(imported.seconds, 2),
        "activations": imported.rows,
        "tokens": imported.facts["tokens"],
        **measure(profile, lake, "co-occurrence", settings),
    }


def of_weights(
    width: int, d_model: int, folder: Path, settings: NeighbourSettings
) -> dict[str, object]:
    """What is printed of a random coder."""
    size = Size(256, width, 32, "topk", ["layers.0.mlp"], 1, d_model)
    profile, lake = lay(folder, size), Lake(folder / "lake")
    build_contexts(profile, lake)
    prepare_coder(profile, lake, size.hookpoints[0])
    measured = measure(profile, lake, "decoder", settings)
    return {"width": width, "d_model": d_model, **measured}


def measure(
    profile: Profile, lake: Lake, method: str, settings: NeighbourSettings
) -> dict[str, object]:
    """The numbers of every hookpoint."""
    found = {}
    for hookpoint in profile.cache.hookpoints:
        lake.remove("neighbours", **neighbours_unit(profile.run.name, hookpoint, method).keys)
        reset_peak()
        report = find_neighbours(profile, lake, hookpoint, method, settings)
        found[hookpoint] = {
            "seconds": round(report.seconds, 2),
            "rows": report.new_rows,
            "latents": report.facts["latents"],
            "peak_mib": round(peak()),
            "file_mib": round(report.bytes / 2**20, 1),
        }
    return {"method": method, "n_neighbours": settings.n_neighbours, "hookpoints": found}


if __name__ == "__main__":
    main()
