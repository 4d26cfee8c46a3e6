"""Choosing examples for every latent of a cache that Delphi wrote.

    python -m benchmarks.examples --delphi-cache results/my-run/latents

1. Import the cache into a scratch lake.
2. Choose train, test and silent windows of every latent that has enough, twice under two names: the
   first selection of a window length ranks the windows, later ones find them ranked.
3. Choose examples for 100 latents from all over the coder with each sampler and another seed,
   without writing them, as `Hookpoint.select` does.
4. Print latents a second, rows, seconds of each step, and the peak of this process's memory in MiB.

A latent counts when it has examples; every window comes with its tokens as text.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from delphi_assets.delphi_runs.run_import import import_run
from delphi_assets.ground.registries import TRAIN_SAMPLERS
from delphi_assets.lake.lake import Lake
from delphi_assets.selection.examples import choose_examples, select_examples
from delphi_assets.settings import Profile, SelectionSettings, load_profile


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.examples", description=__doc__)
    parser.add_argument("--delphi-cache", type=Path, required=True)
    parser.add_argument("--min-examples", type=int, default=200)
    parser.add_argument("--train-type", default="quantiles")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp())
    try:
        said = measure(given.delphi_cache, folder, given.min_examples, given.train_type)
        json.dump(said, sys.stdout, indent=1)
        sys.stdout.write("\n")
    finally:
        shutil.rmtree(folder)


def measure(cache: Path, folder: Path, min_examples: int, train_type: str) -> dict[str, object]:
    """Everything the benchmark prints."""
    lake = Lake(folder)
    imported = import_run(cache, lake, "benchmark")
    profile = load_profile(str(imported.facts["profile"]))
    said: dict[str, object] = {
        "activations": imported.rows,
        "import_s": round(imported.seconds, 2),
        "min_examples": min_examples,
        "train_type": train_type,
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
            "rows": rows,
            "latents": latents,
            f"{name}_s": round(seconds, 2),
            f"{name}_latents_per_second": round(latents / seconds, 1),
        }
    for sampler in TRAIN_SAMPLERS.shipped():
        said[f"switch_to_{sampler}_s"] = round(switch(profile, lake, min_examples, sampler), 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**said, "peak_mib": round(peak, 1)}


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


if __name__ == "__main__":
    main()
