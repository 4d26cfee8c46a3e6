"""The questions of a stage at a hookpoint of a run are one process's at a time.

In: a lake, a stage and a hookpoint. Out: a block in which no other process asks them, so that none
is paid for twice (`delphi_assets.lake.locks`).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from delphi_assets.lake.lake import Lake
from delphi_assets.lake.locks import claimed
from delphi_assets.lake.manifests import folder_of


def asking(lake: Lake, stage: str, keys: Mapping[str, str | int]) -> AbstractContextManager[None]:
    """Claim the questions that `stage` asks at the hookpoint of `keys`; see `claimed`."""
    place = " ".join(f"{name} {value!r}" for name, value in keys.items())
    path = f"{folder_of('claims', keys)}/{stage}.lock"
    return claimed(lake, path, f"ask for {stage} of {place}")
