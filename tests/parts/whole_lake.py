"""A lake with every table of a pipeline of tiny parts, made by the library's own stages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from delphi_assets.lake.lake import Lake
from delphi_assets.runs.library import run
from delphi_assets.runs.order import steps
from delphi_assets.settings import Profile, load_profile


def make_whole_lake(profile_file: Path, root: Path) -> Profile:
    """Run every stage of a profile into the lake at `root`."""
    profile, lake = load_profile(str(profile_file)), Lake(root)
    with _one_thread():
        for step in steps(profile, "predictions"):
            run(profile, lake, step)
    return profile


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tiny tensors are slower on several threads, much slower on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
