"""A lake of random contexts and activations, written without a model, for tests of the SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from delphi_assets.lake.buckets import bucket_ranges
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.settings import Profile, parse_profile

RUN, HOOKPOINT = "random", "layers.0"
VOCABULARY = 50


@dataclass(frozen=True)
class RandomLake:
    """The lake, its profile, and the same data as plain Python."""

    lake: Lake
    profile: Profile
    tokens: list[int]
    fired: dict[int, dict[int, float]]
    """Activation by position, by latent."""


def profile_of(
    n_tokens: int,
    ctx_len: int,
    n_buckets: int,
    run: str = RUN,
    hookpoint: str = HOOKPOINT,
    **selection: object,
) -> Profile:
    """A profile whose model and coder are never loaded."""
    return parse_profile(
        {
            "run": {"name": run},
            "model": {"name": "none"},
            "corpus": {"dataset_repo": "none"},
            "cache": {
                "n_tokens": n_tokens,
                "cache_ctx_len": ctx_len,
                "hookpoints": [hookpoint],
                "shard_tokens": -(-n_tokens // (2 * ctx_len)) * ctx_len,
                "n_buckets": n_buckets,
            },
            "coder": {"sparse_model": "none"},
            "selection": selection,
        }
    )


def random_lake(
    folder: Path | str,
    *,
    seed: int = 0,
    n_tokens: int = 1_000,
    ctx_len: int = 32,
    num_latents: int = 12,
    n_buckets: int = 3,
    run: str = RUN,
    hookpoint: str = HOOKPOINT,
    signed: bool = False,
    **selection: object,
) -> RandomLake:
    """Latent 0 never fires, the last fires nearly everywhere, the others in between.

    Activations are multiples of 1/8, so that ties are common and single precision is exact. Half of
    those of a `signed` coder are negative.
    """
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, VOCABULARY, n_tokens).tolist()
    fired: dict[int, dict[int, float]] = {0: {}}
    for latent in range(1, num_latents):
        density = 0.9 if latent == num_latents - 1 else rng.uniform(0.002, 0.15)
        positions = np.flatnonzero(rng.random(n_tokens) < density)
        values = rng.integers(1, 80, len(positions)) / 8
        values *= rng.choice([-1, 1], len(positions)) if signed else 1
        fired[latent] = dict(zip(positions.tolist(), values.tolist(), strict=True))
    profile = profile_of(n_tokens, ctx_len, n_buckets, run, hookpoint, **selection)
    lake = Lake(folder)
    lake.claim_run(run, profile.run_config())
    write_corpus(lake, profile, tokens)
    write_activations(lake, profile, fired, num_latents)
    return RandomLake(lake, profile, tokens, fired)


def write_corpus(
    lake: Lake,
    profile: Profile,
    tokens: list[int],
    documents: Sequence[str | None] | None = None,
) -> None:
    """`documents` names the document of each token, None one that is in no document."""
    of = documents or ["document"] * len(tokens)
    ctx_len, shard_tokens = profile.cache.cache_ctx_len, profile.cache.shard_tokens
    for shard in range(profile.n_shards):
        starts = range(shard * shard_tokens, min((shard + 1) * shard_tokens, len(tokens)), ctx_len)
        rows = pa.table(
            {
                "context": [start // ctx_len for start in starts],
                "tokens": [tokens[start : start + ctx_len] for start in starts],
                "document_ids": [[of[at] for at in begins(of, start, ctx_len)] for start in starts],
                "document_starts": [
                    [at - start for at in begins(of, start, ctx_len)] for start in starts
                ],
            }
        )
        keys: dict[str, str | int] = {"run": profile.run.name, "shard": shard}
        facts = {"tokens": len(tokens[shard * shard_tokens : (shard + 1) * shard_tokens])}
        lake.publish(Unit("contexts", keys), [File(rows)], profile.run_config(), facts)
    rows = pa.table(
        {
            "token": range(VOCABULARY),
            "str_token": [f" t{token}" for token in range(VOCABULARY)],
            "special": [token == 0 for token in range(VOCABULARY)],
            "count": np.bincount(tokens, minlength=VOCABULARY),
        }
    )
    lake.publish(Unit("vocabulary", {"run": profile.run.name}), [File(rows)], {})


def begins(documents: Sequence[str | None], start: int, ctx_len: int) -> list[int]:
    """Positions of a context at which a document begins or goes on from the context before."""
    return [
        at
        for at in range(start, min(start + ctx_len, len(documents)))
        if documents[at] is not None and (at == start or documents[at] != documents[at - 1])
    ]


def write_activations(
    lake: Lake, profile: Profile, fired: Mapping[int, Mapping[int, float]], num_latents: int
) -> None:
    keys = {"run": profile.run.name, "hookpoint": profile.cache.hookpoints[0]}
    ones = np.ones(num_latents)
    names = ("decoder_norm", "encoder_norm", "encoder_decoder_cosine", "encoder_bias")
    weights = pa.table({"latent": range(num_latents), **dict.fromkeys(names, ones)})
    lake.publish(Unit("weights", keys), [File(weights)], {})
    schema = pa.schema(
        [("latent", pa.int32()), ("position", pa.int64()), ("activation", pa.float32())]
    )
    for bucket in bucket_ranges(num_latents, profile.cache.n_buckets):
        rows = [
            {"latent": latent, "position": position, "activation": value}
            for latent in range(bucket.first, bucket.last)
            for position, value in sorted(fired[latent].items())
        ]
        unit = Unit("activations", {**keys, "bucket": bucket.number})
        facts = {"num_latents": num_latents, "tokens": profile.cache.n_tokens}
        config = profile.hookpoint_config(profile.cache.hookpoints[0])
        lake.publish(unit, [File(pa.Table.from_pylist(rows, schema))], config, facts)
