"""A run as a code location serves it: how it is cut, and under which names it stands there.

In: a profile, and the file that it was read from. Out: partitions, keys of assets, names of jobs,
resources and sensors, and the place in the lake at which a step works.

1. The only run of a code location, and the first of several, has plain names: `latents`, `explain`.
2. Every other has the name of its run before them: `pythia/latents`, `pythia__explain`.

A latent is never a partition (there are hundreds of thousands): ranges of latents are run config.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import dagster as dg

from dagster_project.resources import LAKE, LLM, PROFILE, of_step
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import Place, RunPlace
from delphi_assets.settings import Profile, load_profile, profile_path

TO_HOOKPOINT = dg.MultiToSingleDimensionPartitionMapping("hookpoint")
"""Between an asset cut by `captures` and one cut by `hookpoints`, either way."""

RUN_TAG, SELECTION_TAG, MODEL_TAG = (
    "delphi-assets/run",
    "delphi-assets/selection",
    "delphi-assets/model",
)
"""Tags of a Dagster run: what it worked on."""


class StepContext(Protocol):
    """What contexts of assets, checks and ops have in common."""

    @property
    def instance(self) -> dg.DagsterInstance:
        """Where the history is kept."""

    @property
    def resources(self) -> object:
        """What the step was given, by name."""

    @property
    def run(self) -> dg.DagsterRun:
        """The Dagster run."""


def shard_key(shard: int) -> str:
    """Partition key of a token shard; padded, so that keys sort as the shards do."""
    return f"{shard:05d}"


def capture_key(hookpoint: str, shard: int) -> str:
    """Partition key of a token shard at a hookpoint."""
    return dg.MultiPartitionKey({"hookpoint": hookpoint, "shard": shard_key(shard)})


@dataclass(frozen=True)
class ServedRun:
    """A profile in a code location."""

    profile: Profile
    file: Path
    """Where it was read, and is read by every step."""
    named: bool = False
    """Whether the run's name stands before every other name, as others are served beside it."""

    @classmethod
    def load(cls, profile: str | None = None, *, named: bool = False) -> "ServedRun":
        """A profile by its file or name, else the environment's (`settings.profile_files`).

        Raises `SettingError` for one that cannot be used, so a bad setting shows when the code
        location loads.
        """
        file = profile_path(profile)
        return cls(load_profile(str(file)), file, named)

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.profile.run.name

    @property
    def lake(self) -> Lake:
        """The lake of the profile, for what is known before a step runs."""
        return Lake(self.profile.run.lake)

    def key(self, asset: str) -> dg.AssetKey:
        """Key of an asset."""
        return dg.AssetKey([self.run, asset] if self.named else [asset])

    def keys(self, *assets: str) -> dg.AssetSelection:
        """Several assets, as a job or a sensor chooses them."""
        return dg.AssetSelection.assets(*map(self.key, assets))

    def name(self, of: str) -> str:
        """Name of a job, an op, a resource or a sensor, which may not hold a slash."""
        return self.key(of).to_python_identifier()

    def group(self, name: str) -> str:
        """Name of a group of assets."""
        return f"{dg.AssetKey(self.run).to_python_identifier()}/{name}" if self.named else name

    def code_version(self, *versions: int | str) -> str:
        """The version of an asset's code, with the run: what is another run's is out of date."""
        return f"{', '.join(map(str, versions))} of {self.run}"

    @cached_property
    def hookpoints(self) -> dg.StaticPartitionsDefinition:
        """A partition a hookpoint."""
        return dg.StaticPartitionsDefinition(list(self.profile.cache.hookpoints))

    @cached_property
    def captures(self) -> dg.MultiPartitionsDefinition:
        """A partition a token shard at a hookpoint.

        By hookpoint too, so that the UI shows what a hookpoint lacks that the profile got later.
        """
        shards = [shard_key(shard) for shard in range(self.profile.n_shards)]
        return dg.MultiPartitionsDefinition(
            {"hookpoint": self.hookpoints, "shard": dg.StaticPartitionsDefinition(shards)}
        )

    def captured(self, keys: Iterable[str]) -> tuple[Sequence[str], Sequence[int]]:
        """Hookpoints, in the profile's order, and shards that keys of `captures` name."""
        named = [self.captures.get_partition_key_from_str(key).keys_by_dimension for key in keys]
        hookpoints = {dimensions["hookpoint"] for dimensions in named}
        shards = sorted({int(dimensions["shard"]) for dimensions in named})
        return [name for name in self.profile.cache.hookpoints if name in hookpoints], shards

    @property
    def resource_keys(self) -> set[str]:
        """What a step requires."""
        return {self.name(resource) for resource in (PROFILE, LAKE, LLM)}

    def opened(self, context: StepContext, selection: str | None = None) -> RunPlace:
        """The run that a step works on, as its resources say.

        The Dagster run is tagged with it, and with the `selection` where a launch chose one, for
        whoever filters runs.
        """
        given = {one: getattr(context.resources, self.name(one)) for one in (PROFILE, LAKE, LLM)}
        place = of_step(given[PROFILE], given[LAKE], given[LLM])
        tags = {
            RUN_TAG: place.run,
            SELECTION_TAG: place.profile.selection.name,
            MODEL_TAG: place.profile.model.name,
        }
        run = context.instance.get_run_by_id(context.run.run_id)
        # A step that chooses no selection, as a check, does not say another one than those before.
        new = {name: value for name, value in tags.items() if run is None or name not in run.tags}
        if selection is not None:
            new[SELECTION_TAG] = selection
        if new:
            context.instance.add_run_tags(context.run.run_id, new)
        return place

    def place(self, context: dg.AssetExecutionContext, selection: str | None = None) -> Place:
        """The run at the hookpoint that a step was launched for."""
        return self.opened(context, selection).at(context.partition_key)
