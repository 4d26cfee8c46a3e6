"""Capture and merge on a disk that is too small, then on one that is large enough.

    unshare -rm python -m tests.parts.full_disk PROFILE.json

In: a profile whose lake's folder exists. Out: a line of JSON. In a mount namespace of its own:

1. A tmpfs is mounted on the lake's folder, large enough for contexts and weights.
2. Each stage gets a few kilobytes and must end in a `StorageError`, leave nothing staged, and keep
   what was published. Then it gets room, and must go on.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.errors import StorageError
from delphi_assets.lake.lake import Lake
from delphi_assets.settings import Profile

PLENTY = 64 * 2**20
TIGHT = {"captured": 128 * 2**10, "activations": 8 * 2**10}


def resize(folder: str, size: int) -> None:
    """Mount a tmpfs of `size` bytes on `folder`, or give the one there this size."""
    options = f"size={size}" if not os.path.ismount(folder) else f"remount,size={size}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)


def used(folder: str) -> int:
    """Bytes in use."""
    disk = os.statvfs(folder)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize


def squeezed(lake: Lake, table: str, work: Callable[[], Any]) -> dict[str, Any]:
    """What happens to `work` without room; then it is done with room."""
    resize(lake.root, used(lake.root) + TIGHT[table])
    error = None
    try:
        work()
    except StorageError as raised:
        error = str(raised)
    published = [manifest.unit.path for manifest in lake.manifests(table)]
    staged = [path.name for path in Path(lake.root, "staging").iterdir()]
    resize(lake.root, PLENTY)
    work()
    return {"error": error, "published": published, "staged": staged}


def main(profile: Profile) -> dict[str, Any]:
    """Both stages, first without room."""
    lake = Lake(profile.run.lake)
    resize(lake.root, PLENTY)
    build_contexts(profile, lake)
    for hookpoint in profile.cache.hookpoints:
        prepare_coder(profile, lake, hookpoint)

    def merge() -> None:
        for hookpoint in profile.cache.hookpoints:
            merge_shards(profile, lake, hookpoint)

    said = {
        "captured": squeezed(
            lake, "captured", lambda: capture(profile, lake, range(profile.n_shards))
        )
    }
    said["activations"] = squeezed(lake, "activations", merge)
    # The mount ends with this process.
    subprocess.run(["cp", "-r", lake.root, f"{lake.root}-kept"], check=True)
    return said


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = Profile.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(json.dumps(main(given)))
