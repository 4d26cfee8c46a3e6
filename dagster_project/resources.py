"""What a step is given by Dagster: the profile, the lake, and how LLMs are called.

In: a profile's file. Out: three resources, which the UI shows under "Resources" with who uses them,
and which another code location, or a test, may replace. A launch may change how LLMs are called
(`resources: {llm: {config: {max_concurrent: 4}}}` in the Launchpad), and nothing else of them.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, create_model

from dagster_project.launch import launchable, launched
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import RunPlace
from delphi_assets.settings import LLMSettings, Profile, load_profile

PROFILE, LAKE, LLM = "profile", "lake", "llm"
"""Their names."""

_OF_PROFILES = {"transport", "options", "models"}
"""What a model is and how one reaches it: no wish of a single launch."""


class ProfileResource(dg.ConfigurableResource[None]):
    """The profile of the run."""

    file: str = Field(description="the profile's file, which every step reads anew")

    def load(self) -> Profile:
        """The profile, as its file is now."""
        return load_profile(self.file)


class LakeResource(dg.ConfigurableResource[None]):
    """The lake that holds the run's tables."""

    url: str = Field(description="folder or object-store URL of the lake")

    def open(self) -> Lake:
        """The lake."""
        return Lake(self.url)


if TYPE_CHECKING:
    LLMResource = dg.ConfigurableResource[None]
else:
    LLMResource = create_model(
        "LLMResource",
        __base__=dg.ConfigurableResource,
        __doc__="How LLMs are called; a field left empty is the profile's `llm`.",
        **launchable(LLMSettings, without=_OF_PROFILES),
    )


def resources_of(profile: Profile, file: str) -> dict[str, Any]:
    """The resources of a profile, by name."""
    return {
        PROFILE: ProfileResource(file=file),
        LAKE: LakeResource(url=profile.run.lake),
        LLM: LLMResource(),
    }


def of_step(profile: ProfileResource, lake: LakeResource, llm: LLMResource) -> RunPlace:
    """The run in its lake, with LLMs called as the launch says.

    Raises `SettingError` for what cannot be used.
    """
    read, opened = profile.load(), lake.open()
    run = read.run.model_copy(update={"lake": lake.url})
    called = launched(read.llm, LLM, llm)
    return RunPlace(read.model_copy(update={"run": run, "llm": called}), opened)
