"""The profile this code location serves, read once: partitions are made from it.

In: the environment (`DELPHI_ASSETS_PROFILE`, `DELPHI_ASSETS_LAKE`). A profile that cannot be used
raises its `SettingError` here, so a bad setting shows when the code location loads.
"""

from delphi_assets.lake.lake import Lake
from delphi_assets.settings import Profile, load_profile

PROFILE: Profile = load_profile()


def open_lake() -> Lake:
    """The lake of the profile."""
    return Lake(PROFILE.run.lake)


def keys_of(hookpoint: str) -> dict[str, str]:
    """Path keys, and parameters of statements, that name a hookpoint of the run."""
    return {"run": PROFILE.run.name, "hookpoint": hookpoint}
