"""The units of a run's tables: what each stage publishes, by the names of its parts.

In: a profile, and which part. Out: a `Unit`.
"""

from delphi_assets.lake.lake import Unit
from delphi_assets.settings import NeighbourMethod, Profile


def contexts_unit(profile: Profile, shard: int) -> Unit:
    """The unit of one shard's contexts."""
    return Unit("contexts", {"run": profile.run.name, "shard": shard})


def weights_unit(profile: Profile, hookpoint: str) -> Unit:
    """The unit of one hookpoint's weights."""
    return Unit("weights", {"run": profile.run.name, "hookpoint": hookpoint})


def captured_unit(profile: Profile, hookpoint: str, shard: int) -> Unit:
    """The unit of what one token shard gave at a hookpoint."""
    return Unit("captured", {"run": profile.run.name, "hookpoint": hookpoint, "shard": shard})


def bucket_unit(run: str, hookpoint: str, bucket: int) -> Unit:
    """The unit of a hookpoint's activations in one bucket of latents."""
    return Unit("activations", {"run": run, "hookpoint": hookpoint, "bucket": bucket})


def neighbours_unit(profile: Profile, hookpoint: str, method: NeighbourMethod) -> Unit:
    """The unit of a hookpoint's neighbours by one method."""
    return Unit("neighbours", {"run": profile.run.name, "hookpoint": hookpoint, "method": method})
