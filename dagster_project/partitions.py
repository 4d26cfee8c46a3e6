"""How assets are cut: by hookpoint, and what is captured by hookpoint and token shard.

A latent is never a partition (there are hundreds of thousands): ranges of latents are run config.
"""

from collections.abc import Iterable, Sequence

import dagster as dg

from dagster_project.profile import PROFILE


def shard_key(shard: int) -> str:
    """Partition key of a token shard; padded, so that keys sort as the shards do."""
    return f"{shard:05d}"


HOOKPOINTS = dg.StaticPartitionsDefinition(list(PROFILE.cache.hookpoints))
SHARDS = dg.StaticPartitionsDefinition([shard_key(shard) for shard in range(PROFILE.n_shards)])
CAPTURES = dg.MultiPartitionsDefinition({"hookpoint": HOOKPOINTS, "shard": SHARDS})
"""By hookpoint too, so that the UI shows what a hookpoint lacks that the profile got later."""

TO_HOOKPOINT = dg.MultiToSingleDimensionPartitionMapping("hookpoint")
"""Between an asset cut by `CAPTURES` and one cut by `HOOKPOINTS`, either way."""


def capture_key(hookpoint: str, shard: int) -> str:
    """Partition key of a token shard at a hookpoint."""
    return dg.MultiPartitionKey({"hookpoint": hookpoint, "shard": shard_key(shard)})


def captures(keys: Iterable[str]) -> tuple[Sequence[str], Sequence[int]]:
    """Hookpoints, in the profile's order, and shards that partition keys name."""
    named = [CAPTURES.get_partition_key_from_str(key).keys_by_dimension for key in keys]
    hookpoints = {dimensions["hookpoint"] for dimensions in named}
    shards = sorted({int(dimensions["shard"]) for dimensions in named})
    return [name for name in PROFILE.cache.hookpoints if name in hookpoints], shards
