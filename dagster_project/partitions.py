"""How assets are cut: by hookpoint, and the activations by token shard.

A latent is never a partition (there are hundreds of thousands): ranges of latents are run config.
"""

import dagster as dg

from dagster_project.profile import PROFILE


def shard_key(shard: int) -> str:
    """Partition key of a token shard; padded, so that keys sort as the shards do."""
    return f"{shard:05d}"


HOOKPOINTS = dg.StaticPartitionsDefinition(list(PROFILE.cache.hookpoints))
SHARDS = dg.StaticPartitionsDefinition([shard_key(shard) for shard in range(PROFILE.n_shards)])
