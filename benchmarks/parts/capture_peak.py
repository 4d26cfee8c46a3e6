"""The peak of capture's memory, in a process of its own: nothing before it can hide it.

    python -m benchmarks.parts.capture_peak load|stages PROFILE.json
    python -m benchmarks.parts.capture_peak encode PROFILE.json X.npy

- `load`: load the model and the encoders, as the stage `captured` does.
- `stages`: capture and merge all shards of the profile's lake.
- `encode`: load one encoder and the array X [tokens, d]; what encoding X adds.

Prints MiB.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.parts.memory import peak, reset_peak, resident
from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.prepared_coder import load_described
from delphi_assets.coders import load_coder
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import RunPlace
from delphi_assets.models.subject import load_subject
from delphi_assets.settings import Profile


def main(what: str, profile: Profile, array: Path | None) -> float:
    """The peak in MiB."""
    lake, hookpoints = Lake(profile.run.lake), profile.cache.hookpoints
    if what == "encode":
        assert array is not None
        encoder = load_coder(profile.sparse_model_of(hookpoints[0]), hookpoints[0]).encoder
        x = torch.from_numpy(np.load(array))
        reset_peak()
        before = resident()
        encoder.encode(x)
        return peak() - before
    if what == "load":
        place = RunPlace(profile, lake)
        encoders = [load_described(place.at(hookpoint)) for hookpoint in hookpoints]
        assert load_subject(profile.model).model is not None
        assert encoders
    else:
        capture(profile, lake, range(profile.n_shards))
        for hookpoint in hookpoints:
            merge_shards(profile, lake, hookpoint)
    return peak()


if __name__ == "__main__":
    given = Profile.model_validate_json(Path(sys.argv[2]).read_text(encoding="utf-8"))
    sys.stdout.write(f"{main(sys.argv[1], given, Path(sys.argv[3]) if sys.argv[3:] else None)}\n")
