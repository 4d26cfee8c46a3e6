"""Neighbours of a Delphi cache's latents by co-occurrence, or of a random coder's by its weights.

    python -m benchmarks neighbours --delphi-cache FOLDER [--lake FOLDER] [--n-neighbours 250]
    python -m benchmarks neighbours --width 131072 --d-model 2048 [--n-neighbours 250]

1. Import the folder, `results/<name>` or a bare `latents`, into a lake: a scratch one, or one that
   is kept, so that the next time nothing is left to import. Or lay a random model and a coder of
   that width in a scratch folder, and describe the coder.
2. Find the neighbours of every hookpoint, by co-occurrence or by the decoder, reading the lake,
   writing the table.
3. Tell numbers of each hookpoint, and apart from them the seconds of importing. The peak
   of memory is that of step 2, with the interpreter and what it has loaded.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.capture import Size, lay
from benchmarks.parts.memory import peak, reset_peak
from benchmarks.parts.record import Measured, Numbers, in_unit, of
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.delphi_runs.run_import import import_run
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.units import neighbours_unit
from delphi_assets.selection.neighbours import find_neighbours
from delphi_assets.settings import NeighbourSettings, Profile, load_profile

RUN = "benchmark"


def arguments(parser: argparse.ArgumentParser) -> None:
    """A cache or a size."""
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--delphi-cache", type=Path)
    either.add_argument("--width", type=int)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--d-model", type=int, default=2_048)
    parser.add_argument("--n-neighbours", type=int, default=250)


def measure(given: argparse.Namespace) -> Measured:
    """Import or lay, and find neighbours."""
    settings = NeighbourSettings(n_neighbours=given.n_neighbours)
    with tempfile.TemporaryDirectory() as scratch:
        if given.width is None:
            lake = Lake(given.lake or scratch)
            return Measured(of_cache(given.delphi_cache, lake, settings))
        return Measured(of_weights(given.width, given.d_model, Path(scratch), settings))


def of_cache(cache: Path, lake: Lake, settings: NeighbourSettings) -> Numbers:
    """Of a Delphi cache."""
    imported = import_run(cache, lake, RUN)
    profile = load_profile(str(imported.facts["profile"]))
    return {
        **in_unit("s", importing=round(imported.seconds, 2)),
        **in_unit("activations", activations=imported.rows),
        **in_unit("tokens", tokens=int(imported.facts["tokens"])),
        **of_hookpoints(profile, lake, "co-occurrence", settings),
    }


def of_weights(width: int, d_model: int, folder: Path, settings: NeighbourSettings) -> Numbers:
    """Of a random coder."""
    size = Size(256, width, 32, "topk", ["layers.0.mlp"], 1, d_model)
    profile, lake = lay(folder, size), Lake(folder / "lake")
    build_contexts(profile, lake)
    prepare_coder(profile, lake, size.hookpoints[0])
    return of_hookpoints(profile, lake, "decoder", settings)


def of_hookpoints(
    profile: Profile, lake: Lake, method: str, settings: NeighbourSettings
) -> Numbers:
    """Of every hookpoint."""
    found: Numbers = {}
    for hookpoint in profile.cache.hookpoints:
        lake.remove("neighbours", **neighbours_unit(profile.run.name, hookpoint, method).keys)
        reset_peak()
        report = find_neighbours(profile, lake, hookpoint, method, settings)
        numbers = {
            **in_unit("s", finding=round(report.seconds, 2)),
            **in_unit("neighbours", neighbours=report.new_rows),
            **in_unit("latents", latents=int(report.facts["latents"])),
            **in_unit("MiB", peak=round(peak()), file=round(report.bytes / 2**20, 1)),
        }
        found |= of(f"{hookpoint}, {method}", numbers)
    return found
