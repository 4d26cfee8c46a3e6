"""Job `capture`: one forward pass over token shards for several hookpoints, as one run.

In: hookpoints and shards, as run config. Out: what launching these partitions of `captured`
together writes, and a materialization of each.

A backfill of `captured` that is launched in the UI becomes a run a hookpoint, each with a pass of
its own: Dagster makes ranges of one dimension at a time. A run config has no such ranges.
"""

import dagster as dg
from pydantic import Field

from dagster_project.assets.captured import reported
from dagster_project.served_run import ServedRun
from delphi_assets.errors import SettingError
from delphi_assets.settings import Profile


class CaptureConfig(dg.Config):
    """What one pass is to do; as it stands, all of the profile."""

    hookpoints: list[str] = Field(
        default=[], description="hookpoints of the profile to capture; empty: all of them"
    )
    first_shard: int = Field(default=0, description="number of the first token shard")
    last_shard: int | None = Field(
        default=None, description="number of the last; empty: of the run"
    )
    rebuild: bool = Field(default=False, description="as in the Launchpad of `captured`")


def chosen(profile: Profile, config: CaptureConfig) -> tuple[list[str], range]:
    """Hookpoints, in the profile's order, and shards; raises `SettingError` for others."""
    known, last = profile.cache.hookpoints, profile.n_shards - 1
    if unknown := [name for name in config.hookpoints if name not in known]:
        raise SettingError(
            f"hookpoints = {unknown}: the profile has none of these; expected some of "
            f"{list(known)}. Add them to `cache.hookpoints` of the profile and press Reload "
            "definitions."
        )
    first, end = config.first_shard, last if config.last_shard is None else config.last_shard
    if not 0 <= first <= end <= last:
        raise SettingError(
            f"first_shard = {first}, last_shard = {end}: expected two numbers from 0 to {last}, "
            "the first not after the last."
        )
    wanted = set(config.hookpoints or known)
    return [name for name in known if name in wanted], range(first, end + 1)


def capture_job(served: ServedRun) -> dg.JobDefinition:
    """The job of a run."""

    @dg.op(
        name=served.name("capture_together"),
        description="One forward pass over each token shard for all the hookpoints, as far as they "
        "are not there.",
        pool="gpu",
        out=dg.Out(dg.Nothing),
        required_resource_keys=served.resource_keys,
    )
    def capture_together(context: dg.OpExecutionContext, config: CaptureConfig) -> None:
        """Capture, then say of every partition that it is there."""
        hookpoints, shards = chosen(served.profile, config)
        from delphi_assets.caching.capture import capture

        place = served.opened(context)
        report = capture(place.profile, place.lake, shards, hookpoints, rebuild=config.rebuild)
        for captured in reported(served.key("captured"), place, hookpoints, shards, report):
            context.log_event(captured)

    @dg.job(
        name=served.name("capture"),
        description="One forward pass for several hookpoints at once, where a backfill of "
        "`captured` makes one a hookpoint. Open the Launchpad: as it stands it captures every "
        "hookpoint of the profile; `hookpoints`, `first_shard` and `last_shard` say which. "
        "`sparse_coder` comes before, for each of them; `activations` after. What is captured is "
        "not captured again.",
    )
    def capture_all() -> None:
        """A single op."""
        capture_together()

    return capture_all
