"""Contexts and activations of a run, as Delphi's `latents/<hookpoint>`.

In: the tables contexts and activations, whose files' hashes are compared. Out: a split file for
each bucket that holds latents, and `config.json`.

Memory is that of the corpus and one bucket, about 80 bytes an activation of the largest one: it is
sorted by position for its file. More `cache.n_buckets` need less.

Delphi's contexts all have one length: where the corpus ended early, the last context and its
activations are left out. Its activations are in half precision, as the lake's are by default; of a
run in single precision they are rounded here, and those that round to zero are left out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from delphi_assets.delphi_runs.layout import SplitFile
from delphi_assets.delphi_runs.splits import Array, SplitEntries, write_split
from delphi_assets.errors import DataError, NotReadyError
from delphi_assets.ground.progress import with_bar
from delphi_assets.lake.buckets import bucket_ranges
from delphi_assets.lake.lake import Lake, Manifest, read_parquet


@dataclass(frozen=True)
class ExportedCorpus:
    """Tokens [n_contexts, ctx_len] int32, the settings that made them, and tokens left out."""

    tokens: Array
    config: dict[str, Any]
    n_left_out: int


class Written(NamedTuple):
    """Activations of a hookpoint that were written, and those that were left out."""

    rows: int
    n_left_out: int


def read_corpus(lake: Lake, run: str) -> ExportedCorpus:
    """The run's corpus; raises `NotReadyError` without it, `DataError` for a damaged file."""
    manifests = sorted(lake.manifests("contexts", run=run), key=lambda held: _number(held, "shard"))
    config = manifests[0].config if manifests else {}
    n_shards = -(-config["cache.n_tokens"] // config["cache.shard_tokens"]) if config else 1
    if len(manifests) < n_shards:
        raise NotReadyError(
            f"{lake!r} holds {len(manifests)} of {n_shards} token shards of the contexts of run "
            f"{run!r}; materialize the asset 'contexts' first."
        )
    files = [file for manifest in manifests for file in manifest.files]
    locations = lake.checked("contexts", files)
    contexts = read_parquet(lake, locations, ["context", "tokens"]).sort_by("context")
    tokens = contexts["tokens"].combine_chunks().flatten().to_numpy().astype(np.int32)
    ctx_len = config["cache.cache_ctx_len"]
    n_contexts = len(tokens) // ctx_len
    whole = tokens[: n_contexts * ctx_len].reshape(n_contexts, ctx_len)
    return ExportedCorpus(whole, config, len(tokens) - whole.size)


def write_latents(
    lake: Lake,
    manifests: Sequence[Manifest],
    num_latents: int,
    corpus: ExportedCorpus,
    folder: Path,
) -> Written:
    """Write a hookpoint's split files and configuration into `folder`, which is made.

    `manifests` are those of its buckets. Raises `NotReadyError` unless every bucket is there,
    `DataError` for a damaged file and for an activation above half precision.
    """
    buckets = sorted(manifests, key=lambda held: _number(held, "bucket"))
    ranges = bucket_ranges(num_latents, buckets[0].config["cache.n_buckets"])
    if len(buckets) < len(ranges):
        raise NotReadyError(
            f"{lake!r} holds {len(buckets)} of {len(ranges)} buckets of the activations of run "
            f"{buckets[0].keys['run']!r} at {buckets[0].keys['hookpoint']!r}; materialize the "
            "asset 'activations' first."
        )
    folder.mkdir(parents=True)
    rows = n_splits = 0
    for held, (_, first, last) in zip(
        with_bar(buckets, desc=f"export {folder.name}", unit="bucket"), ranges, strict=True
    ):
        if first < last:
            split = SplitFile(folder / f"{first}_{last - 1}.safetensors", first, last)
            entries = _entries(lake, held, corpus.tokens.size)
            write_split(split, entries, corpus.tokens)
            rows, n_splits = rows + len(entries.latents), n_splits + 1
    _write_config(folder, corpus, n_splits)
    return Written(rows, sum(held.rows for held in buckets) - rows)


def _entries(lake: Lake, held: Manifest, n_positions: int) -> SplitEntries:
    """The activations of a bucket on the positions that are exported, in half precision."""
    files = lake.checked("activations", held.files)
    rows = read_parquet(lake, files).combine_chunks()
    latents, positions, activations = (
        rows[name].to_numpy() for name in ("latent", "position", "activation")
    )
    with np.errstate(over="ignore"):
        halves = activations.astype(np.float16)
    if not np.isfinite(halves).all():
        place = int((~np.isfinite(halves)).argmax())
        raise DataError(
            f"latent {latents[place]} has the activation {activations[place]} at position "
            f"{positions[place]}; expected at most 65504, as Delphi's files are in half precision. "
            "A run with it cannot be exported."
        )
    kept = (positions < n_positions) & (halves != 0)
    return SplitEntries(latents[kept], positions[kept], halves[kept])


def _write_config(folder: Path, corpus: ExportedCorpus, n_splits: int) -> None:
    config = corpus.config
    settings = {
        "dataset_repo": config["corpus.dataset_repo"],
        "dataset_split": config["corpus.dataset_split"],
        "dataset_name": config["corpus.dataset_name"] or "",
        "dataset_column": config["corpus.dataset_column"],
        "cache_ctx_len": config["cache.cache_ctx_len"],
        "n_tokens": int(corpus.tokens.size),
        "n_splits": n_splits,
        "model_name": config["model.name"],
    }
    (folder / "config.json").write_text(json.dumps(settings, indent=4), encoding="utf-8")


def _number(manifest: Manifest, key: str) -> int:
    return int(manifest.keys[key] or 0)
