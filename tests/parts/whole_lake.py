"""A lake with every table of a pipeline of tiny parts, made by the library's own stages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import ALL
from delphi_assets.scorers.predictions import score
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.selection.neighbours import find_neighbours
from delphi_assets.settings import Profile, load_profile


def make_whole_lake(profile_file: Path, root: Path) -> Profile:
    """Run every stage of a profile with one hookpoint into the lake at `root`."""
    profile, lake = load_profile(str(profile_file)), Lake(root)
    (hookpoint,) = profile.cache.hookpoints
    build_contexts(profile, lake)
    with _one_thread():
        prepare_coder(profile, lake, hookpoint)
        capture(profile, lake, range(profile.n_shards))
    merge_shards(profile, lake, hookpoint)
    for method in profile.neighbours.methods:
        find_neighbours(profile, lake, hookpoint, method, profile.neighbours)
    describe_latents(profile, lake, hookpoint)
    select_examples(profile, lake, hookpoint, profile.selection)
    name = profile.selection.name
    explain(profile, lake, hookpoint, ALL, profile.explain, name)
    score(profile, lake, hookpoint, ALL, profile.score, name)
    return profile


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tiny tensors are slower on several threads, much slower on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
