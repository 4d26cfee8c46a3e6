"""Where a stage works: a run in a lake, and a hookpoint of it.

In: a profile, as its run was made (`Lake.as_made`), and the lake. Out: what follows from these
alone. What else a stage is told stands in its own classes, which are places too.
"""

from dataclasses import dataclass

from delphi_assets.lake.lake import Lake
from delphi_assets.lake.manifests import Manifest
from delphi_assets.lake.units import weights_unit
from delphi_assets.settings import Profile


@dataclass(frozen=True)
class RunPlace:
    """A run in a lake."""

    profile: Profile
    lake: Lake

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.profile.run.name

    def at(self, hookpoint: str) -> "Place":
        """A hookpoint of it."""
        return Place(self.profile, self.lake, hookpoint)


@dataclass(frozen=True)
class Place(RunPlace):
    """A hookpoint of a run in a lake."""

    hookpoint: str

    @property
    def keys(self) -> dict[str, str | int]:
        """Path keys of what is the hookpoint's, in every table."""
        return {"run": self.run, "hookpoint": self.hookpoint}

    @property
    def config(self) -> dict[str, object]:
        """The settings that the hookpoint's activations are made with."""
        return self.profile.hookpoint_config(self.hookpoint)

    @property
    def seed(self) -> str:
        """Seed of what is drawn of the hookpoint for explainers and scorers."""
        return f"{self.profile.run.seed}|{self.run}|{self.hookpoint}"

    def weights(self) -> Manifest | None:
        """What is known of the hookpoint's table weights now."""
        return self.lake.manifest(weights_unit(self.run, self.hookpoint))
