"""Choosing examples for every latent of a cache that Delphi wrote.

    python -m benchmarks examples --delphi-cache results/my-run/latents

1. Import the cache into a scratch lake.
2. Choose train, test and silent windows of every latent that has enough, twice under two names: the
   first selection of a window length ranks the windows, later ones find them ranked.
3. Choose examples for 100 latents from all over the coder with each sampler and another seed,
   without writing them, as `Hookpoint.select` does.
4. Tell latents a second, rows, seconds of each step, and the peak of this process's memory in MiB.

A latent counts when it has examples; every window comes with its tokens as text.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.parts.memory import peak
from benchmarks.parts.record import Measured, Numbers, in_unit
from delphi_assets.delphi_runs.run_import import import_run
from delphi_assets.ground.registries import TRAIN_SAMPLERS
from delphi_assets.lake.lake import Lake
from delphi_assets.selection.examples import choose_examples, select_examples
from delphi_assets.settings import Profile, SelectionSettings, load_profile


def arguments(parser: argparse.ArgumentParser) -> None:
    """The cache, and how its latents are selected."""
    parser.add_argument("--delphi-cache", type=Path, required=True)
    parser.add_argument("--min-examples", type=int, default=200)
    parser.add_argument("--train-type", default="quantiles")


def measure(given: argparse.Namespace) -> Measured:
    """Import the cache, and select."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        return Measured(_measured(given.delphi_cache, lake, given.min_examples, given.train_type))


def _measured(cache: Path, lake: Lake, min_examples: int, train_type: str) -> Numbers:
    imported = import_run(cache, lake, "benchmark")
    profile = load_profile(str(imported.facts["profile"]))
    said = {
        **in_unit("activations", activations=imported.rows),
        **in_unit("s", importing=round(imported.seconds, 2)),
    }
    for name in ("first", "second"):
        selection = SelectionSettings.model_validate(
            {"name": name, "min_examples": min_examples, "train_type": train_type}
        )
        start, rows, latents = time.perf_counter(), 0, 0
        for hookpoint in profile.cache.hookpoints:
            report = select_examples(profile, lake, hookpoint, selection)
            rows, latents = rows + report.rows, latents + int(report.facts["latents"])
        seconds = time.perf_counter() - start
        said |= {
            **in_unit("windows", windows=rows),
            **in_unit("latents", latents=latents),
            **in_unit("s", **{name: round(seconds, 2)}),
            **in_unit("latents/s", **{f"{name}_pace": round(latents / seconds, 1)}),
        }
    switches = {
        f"switch_to_{sampler}": round(switch(profile, lake, min_examples, sampler), 2)
        for sampler in TRAIN_SAMPLERS.shipped()
    }
    return {**said, **in_unit("s", **switches), **in_unit("MiB", peak=round(peak(), 1))}


def switch(profile: Profile, lake: Lake, min_examples: int, train_type: str) -> float:
    """Seconds of choosing for 100 latents of the first hookpoint."""
    hookpoint = profile.cache.hookpoints[0]
    num_latents = sum(
        held.rows for held in lake.manifests("weights", run="benchmark", hookpoint=hookpoint)
    )
    latents = ", ".join(str(place * num_latents // 100) for place in range(100))
    selection = SelectionSettings.model_validate(
        {"latents": latents, "seed": 1, "min_examples": min_examples, "train_type": train_type}
    )
    start = time.perf_counter()
    choose_examples(profile, lake, hookpoint, selection)
    return time.perf_counter() - start
