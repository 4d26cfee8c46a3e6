"""Activations: one forward pass over the contexts, every non-zero activation of every latent kept.

In: the table `contexts` and the coders of the profile. Out: the table `activations`, a unit per
hookpoint and shard. Of each shard, the hookpoints that are not there yet:

1. Batches of `batch_size` contexts run through the model once for all hookpoints, stopped after
   the last of them.
2. Padding is dropped, and with `filter_bos` the positions of special tokens; the model saw them.
3. Each hookpoint's coder encodes what is left into (position, latent, activation) entries. Dense
   [tokens, latents] pre-activations exist only for a block of tokens, at most 64 MB at a time.
   Activations are rounded to half precision.
4. At the end of the shard the entries are sorted by latent, then position, and published in one
   file per bucket of latents, an empty one where nothing fired.

Memory is that of one shard's entries of all hookpoints captured together, 14 bytes per activation,
and about 30 more for each of the hookpoint that is being sorted.

A coder is refused unless it is the one that the hookpoint's table `weights` describes.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor
from tqdm import tqdm

from delphi_assets import preflight
from delphi_assets.batches import Batch, read_batches
from delphi_assets.buckets import bucket_ranges
from delphi_assets.coders.coder import Coder
from delphi_assets.coders.preparation import FINGERPRINT, load_described
from delphi_assets.contexts import published_contexts
from delphi_assets.errors import DataError, NotReadyError, SettingError
from delphi_assets.lake import File, Lake, Manifest, Unit
from delphi_assets.schema import ACTIVATIONS
from delphi_assets.settings import Profile
from delphi_assets.stage import StageReport
from delphi_assets.subject import Subject, forward_to, load_subject, pick_device


@dataclass(frozen=True)
class Hooked:
    """A hookpoint of the profile, the module it names, and the coder that reads it."""

    hookpoint: str
    module: str
    coder: Coder


@dataclass
class Entries:
    """Activations of one hookpoint as they come: tensors [nnz] per batch, in order of position."""

    latents: list[Tensor] = field(default_factory=list)
    positions: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


def activations_unit(profile: Profile, hookpoint: str, shard: int) -> Unit:
    """The unit of one hookpoint and shard."""
    keys = {"run": profile.run.name, "hookpoint": hookpoint}
    return Unit("activations", keys, f"shard-{shard:05d}")


def capture(profile: Profile, lake: Lake, shards: Sequence[int]) -> StageReport:
    """Write the activations of `shards` for all hookpoints, as far as they are not there.

    Raises `NotReadyError` without the shard's contexts or the coder's weights, `DataError` for
    activations that half precision cannot hold, `SettingError` for a shard that the run does not
    have, `ConflictError` for data made with other settings or another coder, and what
    `preflight.check` raises.
    """
    started = time.perf_counter()
    _check_shards(profile, lake, shards)
    config = profile.run_config()
    missing = {
        shard: [
            hookpoint
            for hookpoint in profile.cache.hookpoints
            if lake.ready(activations_unit(profile, hookpoint, shard), config) is None
        ]
        for shard in shards
    }
    if any(missing.values()):
        _capture(profile, lake, {shard: names for shard, names in missing.items() if names})
    return _report(profile, lake, missing, time.perf_counter() - started)


def _check_shards(profile: Profile, lake: Lake, shards: Sequence[int]) -> None:
    for shard in shards:
        if not 0 <= shard < profile.n_shards:
            raise SettingError(
                f"shard {shard} does not exist; expected 0 to {profile.n_shards - 1}, as "
                f"cache.n_tokens = {profile.cache.n_tokens} and cache.shard_tokens = "
                f"{profile.cache.shard_tokens} give {profile.n_shards} of them."
            )
        published_contexts(profile, lake, shard)


def _capture(profile: Profile, lake: Lake, missing: Mapping[int, Sequence[str]]) -> None:
    """Run the shards of `missing` for the hookpoints named there."""
    checked = preflight.check(profile)
    lake.claim_run(profile.run.name, profile.run_config())
    device = pick_device(profile.model.device)
    hooked = {
        name: Hooked(name, checked[name].module, load_described(profile, lake, name, device))
        for name in profile.cache.hookpoints
        if any(name in names for names in missing.values())
    }
    subject = load_subject(profile.model)
    for shard, names in missing.items():
        _capture_shard(profile, lake, subject, shard, [hooked[name] for name in names])


def _capture_shard(
    profile: Profile, lake: Lake, subject: Subject, shard: int, hooked: Sequence[Hooked]
) -> None:
    manifest = published_contexts(profile, lake, shard)
    entries = {hook.hookpoint: Entries() for hook in hooked}
    started, tokens = time.perf_counter(), 0
    batches = read_batches(profile, lake, shard, subject, profile.cache.filter_bos)
    description = f"activations {shard + 1}/{profile.n_shards}"
    total = manifest.facts["tokens"]
    with tqdm(total=total, desc=description, unit="tok", unit_scale=True) as bar:
        for batch in batches:
            _encode(batch, subject, hooked, entries)
            tokens += int(batch.kept.sum())
            bar.update(int(batch.attention_mask.sum()))
    seconds = time.perf_counter() - started
    for hook in hooked:
        files = list(_files(entries.pop(hook.hookpoint), hook.coder, profile.cache.n_buckets))
        activations = sum(file.rows.num_rows for file in files)
        facts: dict[str, Any] = {
            "num_latents": hook.coder.shape.num_latents,
            "positions": total,
            "tokens": tokens,
            "tokens_per_second": round(total / seconds, 1),
            "activations_per_token": round(activations / max(tokens, 1), 3),
            FINGERPRINT: hook.coder.fingerprint,
        }
        unit = activations_unit(profile, hook.hookpoint, shard)
        lake.publish(unit, files, profile.run_config(), facts)


def _encode(
    batch: Batch, subject: Subject, hooked: Sequence[Hooked], entries: Mapping[str, Entries]
) -> None:
    """Run one batch and add what fires in it to the hookpoints' entries."""
    captured = forward_to(
        subject.model,
        {hook.module: hook.coder.shape.side for hook in hooked},
        batch.input_ids,
        batch.attention_mask,
    )
    positions = batch.positions[batch.kept]
    for hook in hooked:
        fired = hook.coder.encode(captured[hook.module][batch.kept])
        where = positions[fired.row]
        half = _to_half(hook.hookpoint, fired.latent, where, fired.value, subject.model.dtype)
        kept = half != 0
        into = entries[hook.hookpoint]
        into.latents.append(fired.latent[kept].to(torch.int32).cpu())
        into.positions.append(where[kept].cpu())
        into.values.append(half[kept].cpu())


def _to_half(
    hookpoint: str, latents: Tensor, positions: Tensor, values: Tensor, dtype: torch.dtype
) -> Tensor:
    """`values` in half precision; raises `DataError` naming the first that it cannot hold.

    `dtype` is the precision of the forward pass that they come from.
    """
    half = values.to(torch.float16)
    wrong = ~torch.isfinite(half)
    if wrong.any():
        first = int(wrong.nonzero()[0])
        value = float(values[first])
        raise DataError(
            f"latent {int(latents[first])} of hookpoint {hookpoint!r} has activation {value} at "
            f"position {int(positions[first])}; {_way_out(value, dtype)}"
        )
    return half


def _way_out(value: float, dtype: torch.dtype) -> str:
    if math.isfinite(value):
        return (
            "activations are stored in half precision, up to 65504, and those of this coder are "
            "too large for it. Check that coder and model belong together, or use a coder with "
            "smaller activations."
        )
    wider = "" if dtype == torch.float32 else ", or set model.dtype = 'float32'"
    return f"expected a finite number. Check that coder and model belong together{wider}."


def _files(entries: Entries, coder: Coder, n_buckets: int) -> Iterator[File]:
    """The entries of a shard, sorted by latent and position, a file per bucket."""
    latents = torch.cat(entries.latents) if entries.latents else torch.empty(0, dtype=torch.int32)
    positions = torch.cat(entries.positions) if entries.positions else torch.empty(0).long()
    values = torch.cat(entries.values) if entries.values else torch.empty(0)
    for parts in (entries.latents, entries.positions, entries.values):
        parts.clear()
    # Batches and rows come in order of position, so a stable sort by latent is enough.
    latents, order = latents.sort(stable=True)
    positions, values = positions[order], values[order].float()
    for bucket in bucket_ranges(coder.shape.num_latents, n_buckets):
        edges = torch.tensor([bucket.first, bucket.last], dtype=torch.int32)
        first, last = (int(edge) for edge in torch.searchsorted(latents, edges))
        rows = pa.table(
            {
                "latent": latents[first:last].numpy(),
                "position": positions[first:last].numpy(),
                "activation": values[first:last].numpy(),
            },
            schema=ACTIVATIONS.arrow,
        )
        yield File(rows, {"bucket": bucket.number})


def _report(
    profile: Profile, lake: Lake, missing: Mapping[int, Sequence[str]], seconds: float
) -> StageReport:
    rows = new_rows = size = tokens = new_positions = 0
    for shard, made in missing.items():
        for hookpoint in profile.cache.hookpoints:
            manifest = _published(lake, activations_unit(profile, hookpoint, shard))
            rows, size = rows + manifest.rows, size + manifest.bytes
            tokens += int(manifest.facts["tokens"])
            new_rows += manifest.rows if hookpoint in made else 0
        new_positions += int(manifest.facts["positions"]) if made else 0
    return StageReport(
        rows=rows,
        new_rows=new_rows,
        seconds=seconds,
        bytes=size,
        facts={
            "tokens": tokens // len(profile.cache.hookpoints),
            "tokens_per_second": round(new_positions / seconds, 1),
            "activations_per_token": round(rows / max(tokens, 1), 3),
        },
    )


def _published(lake: Lake, unit: Unit) -> Manifest:
    manifest = lake.manifest(unit)
    if manifest is None:
        raise NotReadyError(f"{lake!r} lost {unit} while it was counted; materialize it again.")
    return manifest
