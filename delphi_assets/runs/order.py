"""The stages of a run, in the order of the data's way: each reads what those before it wrote.

In: a profile. Out: its steps, and what a step says of itself. This is the one place that
knows the order.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple, get_args

from delphi_assets.settings import Profile

Stage = Literal[
    "contexts",
    "sparse_coder",
    "captured",
    "activations",
    "neighbours",
    "latents",
    "examples",
    "explanations",
    "predictions",
    "scores",
]
"""Also the name of the Dagster asset."""

STAGES: tuple[Stage, ...] = get_args(Stage)
ASKING = STAGES.index("explanations")
"""From here on an LLM may be asked."""

REBUILT: tuple[Stage, ...] = ("contexts", "captured", "activations", "neighbours")
"""What is written again only where somebody says so: it costs a forward pass, or others drew on
it."""


class Step(NamedTuple):
    """One stage for one part of the run: what is done, and reported, at once."""

    stage: Stage
    parts: tuple[str, ...] = ()
    """A hookpoint; `hookpoint|shard` of everything that is captured; none for all of the run."""
    rebuild: bool = False
    """Whether to write again what stands, where the code or what it is made from has changed."""

    @property
    def label(self) -> str:
        """The step as one line names it."""
        if not self.parts:
            return self.stage
        first, last = self.parts[0], self.parts[-1]
        return f"{self.stage} {first}" if first == last else f"{self.stage} {first}...{last}"


class Outcome(NamedTuple):
    """What a step said."""

    rows: int
    new_rows: int
    seconds: float
    facts: Mapping[str, object]
    checks: str = ""
    """How the checks of the data went, in words; empty without any."""
    failed_checks: tuple[str, ...] = ()
    error: str | None = None
    """Why it failed, where its runner keeps the trace elsewhere."""


def steps(
    profile: Profile, until: Stage = STAGES[-1], rebuild: Collection[Stage] = ()
) -> Iterator[Step]:
    """Every step of the profile, in order, up to those of the stage `until`."""
    hookpoints = profile.cache.hookpoints
    for stage in STAGES[: STAGES.index(until) + 1]:
        if stage == "contexts":
            yield Step(stage, rebuild=stage in rebuild)
        elif stage == "captured":
            # One forward pass over a shard does for all hookpoints.
            shards = range(profile.n_shards)
            parts = [f"{name}|{shard:05d}" for name in hookpoints for shard in shards]
            yield Step(stage, tuple(parts), stage in rebuild)
        else:
            yield from (Step(stage, (name,), stage in rebuild) for name in hookpoints)
