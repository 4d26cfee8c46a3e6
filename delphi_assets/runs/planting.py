"""A planted run, from predicates to examples: what `delphi-assets plant` does.

In: a profile whose run has contexts, a name, and predicates. Out: a run of that name, ready to be
explained, and what its stages said.

1. `caching.planting.planted_run` stands in for coder and forward pass.
2. The stages from `activations` to `examples` go on as in any run.
3. The run's profile is written into the lake, at `profiles/<name>/profile.toml`: with it, and from
   this lake, later stages go on.
"""

from typing import NamedTuple

from delphi_assets.caching.planting.planted_coder import planted_profile
from delphi_assets.caching.planting.planted_run import plant_activations
from delphi_assets.caching.planting.predicates import Predicates
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import RunPlace
from delphi_assets.runs import library
from delphi_assets.runs.order import STAGES, Outcome, Step, steps
from delphi_assets.settings import Profile
from delphi_assets.settings.profile_files import profile_toml

_FIRST, _LAST = STAGES.index("activations"), STAGES.index("examples")


class PlantedRun(NamedTuple):
    """A planted run that is ready to be explained."""

    profile: Profile
    profile_file: str
    """Where the lake holds it."""
    planted: StageReport
    outcomes: dict[Step, Outcome]
    """Of the stages behind it."""


def plant_run(profile: Profile, lake: Lake, run: str, predicates: Predicates) -> PlantedRun:
    """Plant a run and select its examples, as far as that is not done.

    Raises as `plant_activations` and the stages `activations` to `examples`.
    """
    planted = plant_activations(profile, lake, run, predicates)
    made = planted_profile(RunPlace(lake.as_made(profile), lake), run, predicates)
    path = f"profiles/{run}/profile.toml"
    lake.create_text(path, profile_toml(made, "plant"))
    outcomes = {
        step: library.run(made, lake, step)
        for step in steps(made, STAGES[_LAST])
        if STAGES.index(step.stage) >= _FIRST
    }
    return PlantedRun(made, lake.location(path), planted, outcomes)
