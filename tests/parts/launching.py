"""One asset of a run with its checks, launched; the profile is in no file, the lake is there."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from dagster_project import assets, checks, resources
from dagster_project.served_run import ServedRun
from delphi_assets.lake.lake import Lake
from delphi_assets.settings import Profile


def launch(
    asset: str,
    profile: Profile,
    lake: Lake,
    config: Mapping[str, object] | None = None,
    llm: Mapping[str, object] | None = None,
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """What a launch at the only hookpoint gives; `config` and `llm` as in the Launchpad."""

    class Given(resources.ProfileResource):
        """The profile, as it was made."""

        def load(self) -> Profile:
            return profile

    served = ServedRun(profile, Path("none.toml"))
    (hookpoint,) = profile.cache.hookpoints
    return dg.materialize(
        [*assets.assets_of(served), *checks.checks_of(served)],
        selection=[served.key(asset)],
        instance=instance,
        partition_key=hookpoint,
        resources={
            resources.PROFILE: Given(file=""),
            resources.LAKE: resources.LakeResource(url=str(lake.root)),
            resources.LLM: resources.LLMResource(),
        },
        run_config={
            "ops": {asset: {"config": dict(config or {})}},
            "resources": {resources.LLM: {"config": dict(llm or {})}},
        }
        if config or llm
        else None,
        raise_on_error=False,
    )
