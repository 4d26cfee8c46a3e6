"""Stage captured: one forward pass over a token shard, every non-zero activation kept.

In: the table `contexts` and the coders of the profile. Out: the table `captured`, a unit per
hookpoint and shard, which `activations` merges. Shards depend on nothing but their contexts: any
number of processes may capture different ones at once. Of each shard, the hookpoints that are not
there yet:

1. Batches of `batch_size` contexts run through the model once for all hookpoints, stopped after
   the last of them.
2. Padding is dropped, and with `filter_bos` the positions of special tokens; the model saw them.
3. Each hookpoint's coder encodes what is left into (position, latent, activation) entries. Dense
   [tokens, latents] pre-activations exist only for a block of tokens, at most 64 MB at a time.
   Activations are rounded to `activation_dtype`.
4. Entries are held until `buffer_mib` leaves a hookpoint no room for more, and at the end of the
   shard; then they are sorted by latent, then position, and written as a part, which is a file.
5. At the end of the shard its units are published. A process that dies loses the shard at hand.

A hookpoint at which nothing fires is warned of after the first batch. A whole shard of which no
latent fires is not published unless another one of the hookpoint has activations: the stage stops
there, and not where an explanation is missing.

Memory is that of the model, the coders, one batch and the buffer, whatever the number of tokens.

A coder is refused unless it is the one that the hookpoint's table `weights` describes, and a model
unless it is the one that captured the other shards, also when no shard is left to do.
"""

import hashlib
import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from delphi_assets.caching import origins, preflight
from delphi_assets.caching.batches import Batch, read_batches
from delphi_assets.caching.entries import Entries, capacity
from delphi_assets.caching.prepared_coder import check_unchanged, load_described
from delphi_assets.caching.published import (
    changes_since_merged,
    is_merged,
    published_contexts,
    silence,
)
from delphi_assets.coders.coder import Encoder
from delphi_assets.errors import DataError, SettingError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import Bar
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.buckets import Bucket, bucket_ranges
from delphi_assets.lake.code_versions import unsaid
from delphi_assets.lake.lake import Draft, File, Lake
from delphi_assets.lake.manifests import FINGERPRINT, Manifest
from delphi_assets.lake.place import RunPlace
from delphi_assets.lake.units import captured_unit
from delphi_assets.lake.versions import (
    Inputs,
    changes,
    code_versions,
    data_versions,
    rebuild_of,
)
from delphi_assets.models.subject import Hook, Subject, forward_to, load_subject, pick_device
from delphi_assets.settings import Profile

_TELLING = 1024
"""Tokens from which on it says something of a coder that none of its latents fires."""

_CONTEXTS_CODE = "contexts_code_version"
"""Fact of what was captured: the version of the code that made its contexts."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hooked:
    """A hookpoint of the profile, the place of the model it names, and the coder that reads it."""

    hookpoint: str
    hook: Hook
    coder: Encoder
    buckets: Sequence[Bucket]


@dataclass(frozen=True)
class Capturing:
    """A hookpoint in a shard that is being captured: what it holds, and the files written."""

    hooked: Hooked
    entries: Entries
    draft: Draft

    def hold(self, latents: Tensor, positions: Tensor, values: Tensor) -> None:
        """Take entries [nnz], in order of position, and write what there is no room for."""
        while len(latents):
            taken = self.entries.add(latents, positions, values)
            latents, positions, values = latents[taken:], positions[taken:], values[taken:]
            if self.entries.full:
                self.write()

    @property
    def fired(self) -> bool:
        """Whether any latent has."""
        return bool(len(self.entries) or self.draft.rows)

    def write(self) -> None:
        """Write what is held as a part."""
        part = self.entries.parts
        self.draft.add(File(self.entries.take(self.hooked.buckets), {"part": part}))


class Shard(NamedTuple):
    """A token shard that is asked for, and what there is of it."""

    number: int
    contexts: Manifest
    captured: Mapping[str, Manifest]
    """By hookpoint."""
    missing: Sequence[str]
    """Hookpoints that are neither merged nor captured, or are to be captured again."""
    again: bool
    """Whether what is there of these is captured again."""


class Pass(NamedTuple):
    """One pass over a shard: positions of its contexts, those that could fire, seconds."""

    positions: int
    tokens: int
    seconds: float


@terminable()
def capture(
    profile: Profile,
    lake: Lake,
    shards: Sequence[int],
    hookpoints: Sequence[str] | None = None,
    *,
    rebuild: bool = False,
) -> StageReport:
    """Write what fires in `shards` at `hookpoints`, all unless given, as far as it is not there.

    What is of an earlier version of the code or of other contexts stays, and is told of; `rebuild`
    captures it again, and also what `activations` has to merge again.

    Raises `NotReadyError` without the shard's contexts or the coder's weights, `DataError` for
    activations that `cache.activation_dtype` cannot hold and for a shard in which no latent fires,
    `SettingError` for a shard that the run does not have, `ConflictError` for data made with other
    settings, another coder or another model, `StorageError` when a file cannot be written, and what
    `preflight.check` raises.
    """
    started = time.perf_counter()
    place = RunPlace(lake.as_made(profile), lake)
    chosen = place.profile.cache.hookpoints if hookpoints is None else hookpoints
    found = _shards(place, _contexts(place, shards), chosen, rebuild=rebuild)
    weights = {hookpoint: place.at(hookpoint).weights() for hookpoint in chosen}
    for hookpoint in chosen:
        check_unchanged(place.at(hookpoint), weights[hookpoint])
    made: dict[int, dict[str, Manifest]] = {}
    if missing := [shard for shard in found if shard.missing]:
        made = _capture(place, missing, weights)
    report = _report(found, made, len(chosen), time.perf_counter() - started)
    if report.outdated:
        log.warning("captured: %s", report.outdated)
    return report


def _contexts(place: RunPlace, shards: Sequence[int]) -> dict[int, Manifest]:
    """What is known of the shards' contexts, all of which are there."""
    profile, there = place.profile, {}
    for shard in shards:
        if not 0 <= shard < profile.n_shards:
            raise SettingError(
                f"shard {shard} does not exist; expected 0 to {profile.n_shards - 1}, as "
                f"cache.n_tokens = {profile.cache.n_tokens} and cache.shard_tokens = "
                f"{profile.cache.shard_tokens} give {profile.n_shards} of them."
            )
        there[shard] = published_contexts(place, shard)
    return there


def _shards(
    place: RunPlace,
    contexts: Mapping[int, Manifest],
    hookpoints: Sequence[str],
    *,
    rebuild: bool,
) -> list[Shard]:
    """What there is of the shards of these contexts at the given hookpoints.

    To `rebuild`, what is there has to be as it would come out now.
    """
    merged = {
        hookpoint
        for hookpoint in hookpoints
        if is_merged(place.at(hookpoint))
        and not (rebuild and changes_since_merged(place.at(hookpoint)))
    }
    config = {hookpoint: place.at(hookpoint).config for hookpoint in hookpoints}
    shards = []
    for number, made in contexts.items():
        captured, missing = {}, []
        for hookpoint in hookpoints:
            unit = captured_unit(place.run, hookpoint, number)
            whole = hookpoint in merged
            # An imported run has activations, and no shards that they were captured in.
            held = place.lake.manifest(unit) if whole else place.lake.ready(unit, config[hookpoint])
            if rebuild and held is not None and changes(held, {"contexts": [made]}):
                held, whole = None, False
            if held is not None:
                captured[hookpoint] = held
            elif not whole:
                missing.append(hookpoint)
        shards.append(Shard(number, made, captured, missing, rebuild))
    return shards


def _capture(
    place: RunPlace, shards: Sequence[Shard], weights: Mapping[str, Manifest | None]
) -> dict[int, dict[str, Manifest]]:
    """Run the shards for the hookpoints that they lack; returns what was made, by both."""
    profile, lake = place.profile, place.lake
    checked = preflight.check(profile)
    lake.claim_run(profile.run.name, profile.run_config())
    lake.sweep()
    device = pick_device(profile.model.device)
    hooked = {}
    for name in profile.cache.hookpoints:
        if any(name in shard.missing for shard in shards):
            coder = load_described(place.at(name), device, weights=weights[name])
            buckets = bucket_ranges(coder.shape.num_latents, profile.cache.n_buckets)
            hooked[name] = Hooked(name, checked[name].hook, coder, buckets)
    subject = load_subject(profile.model)
    return {
        shard.number: _capture_shard(
            place, subject, shard, [hooked[name] for name in shard.missing]
        )
        for shard in shards
    }


def _capture_shard(
    place: RunPlace, subject: Subject, shard: Shard, hooked: Sequence[Hooked]
) -> dict[str, Manifest]:
    profile, positions = place.profile, shard.contexts.facts["tokens"]
    started, tokens, made = time.perf_counter(), 0, {}
    label = f"captured {shard.number + 1}/{profile.n_shards}"
    with (
        ExitStack() as stack,
        Bar(total=positions, desc=label, unit="tok", unit_scale=True) as bar,
    ):
        capturing = _begin(place, shard, hooked, stack)
        for batch in read_batches(place, shard.contexts, subject, profile.cache.filter_bos):
            _encode(profile, batch, subject, capturing)
            if not tokens:
                _warn_of_silence(capturing, int(batch.kept.sum()))
            tokens += int(batch.kept.sum())
            bar.update(int(batch.attention_mask.sum()))
        for each in capturing:
            each.write()
        done = Pass(positions, tokens, time.perf_counter() - started)
        silent = _silent(place, capturing, tokens)
        for each in capturing:
            if (hookpoint := each.hooked.hookpoint) in silent:
                continue
            facts = {
                **_facts(subject, each, done),
                **origins.model_facts(profile.model),
                _CONTEXTS_CODE: shard.contexts.code,
            }
            inputs = data_versions({"contexts": [shard.contexts]})
            made[hookpoint] = each.draft.publish(place.at(hookpoint).config, facts, inputs)

    if silent:
        raise DataError("\n".join(silence(hookpoint, tokens) for hookpoint in silent))
    return made


def _warn_of_silence(capturing: Sequence[Capturing], tokens: int) -> None:
    for each in capturing:
        if tokens and not each.fired:
            log.warning("after the first batch: %s", silence(each.hooked.hookpoint, tokens))


def _silent(place: RunPlace, capturing: Sequence[Capturing], tokens: int) -> list[str]:
    """Hookpoints at which nothing fires, in this shard or in those that were captured."""
    quiet = [each.hooked.hookpoint for each in capturing if not each.fired]
    return [
        hookpoint
        for hookpoint in quiet
        if tokens >= _TELLING
        and not any(
            shard.rows for shard in place.lake.manifests("captured", **place.at(hookpoint).keys)
        )
    ]


def _begin(
    place: RunPlace, shard: Shard, hooked: Sequence[Hooked], stack: ExitStack
) -> list[Capturing]:
    """Room for the entries of every hookpoint, and a unit to write them to."""
    cache = place.profile.cache
    size = capacity(cache.buffer_mib * 2**20, len(hooked))
    first, dtype = shard.number * cache.shard_tokens, _stored_dtype(place.profile)
    drafts = [
        stack.enter_context(place.lake.draft(unit, versioned=shard.again))
        for hook in hooked
        for unit in [captured_unit(place.run, hook.hookpoint, shard.number)]
    ]
    return [
        Capturing(hook, Entries(size, first, dtype), draft)
        for hook, draft in zip(hooked, drafts, strict=True)
    ]


def _encode(
    profile: Profile, batch: Batch, subject: Subject, capturing: Sequence[Capturing]
) -> None:
    """Run one batch and hold what fires in it at every hookpoint."""
    hooks = {each.hooked.hook for each in capturing}
    read = forward_to(subject.model, hooks, batch.input_ids, batch.attention_mask)
    positions = batch.positions[batch.kept]
    for each in capturing:
        fired = each.hooked.coder.encode(read[each.hooked.hook][batch.kept])
        where = positions[fired.row]
        values = _rounded(profile, each.hooked.hookpoint, fired.latent, where, fired.value)
        fires = values != 0
        each.hold(fired.latent[fires], where[fires], values[fires])


def _stored_dtype(profile: Profile) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, profile.cache.activation_dtype)
    return dtype


def _rounded(
    profile: Profile, hookpoint: str, latents: Tensor, positions: Tensor, values: Tensor
) -> Tensor:
    """`values` as they are stored; raises `DataError` naming the first that cannot be."""
    rounded = values.to(_stored_dtype(profile))
    wrong = ~torch.isfinite(rounded)
    if wrong.any():
        first = int(wrong.nonzero()[0])
        value = float(values[first])
        raise DataError(
            f"latent {int(latents[first])} of hookpoint {hookpoint!r} has activation {value} at "
            f"position {int(positions[first])}; {_way_out(value, profile)}"
        )
    return rounded


def _way_out(value: float, profile: Profile) -> str:
    if math.isfinite(value):
        return (
            "activations are stored in half precision, up to 65504, and those of this coder are "
            "too large for it. Check that coder and model belong together, or set "
            "cache.activation_dtype = 'float32'."
        )
    narrow = [
        name
        for name, dtype in (("model", profile.model.dtype), ("coder", profile.coder.dtype))
        if dtype != "float32"
    ]
    wider = "".join(f", or set {name}.dtype = 'float32'" for name in narrow)
    return f"expected a finite number. Check that coder and model belong together{wider}."


def _facts(subject: Subject, made: Capturing, done: Pass) -> dict[str, Any]:
    """What a unit's manifest says beside its settings, which hold the precisions."""
    device = subject.device
    return {
        "num_latents": made.hooked.coder.shape.num_latents,
        "positions": done.positions,
        "tokens": done.tokens,
        "seconds": round(done.seconds, 2),
        "tokens_per_second": round(done.positions / done.seconds, 1),
        "activations_per_token": round(made.draft.rows / max(done.tokens, 1), 3),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "torch": torch.__version__,
        FINGERPRINT: made.hooked.coder.fingerprint,
    }


def _report(
    shards: Sequence[Shard],
    made: Mapping[int, Mapping[str, Manifest]],
    n_hookpoints: int,
    seconds: float,
) -> StageReport:
    new = [manifest for captured in made.values() for manifest in captured.values()]
    all_of = [*new, *(manifest for shard in shards for manifest in shard.captured.values())]
    rows, tokens = sum(held.rows for held in all_of), sum(held.facts["tokens"] for held in all_of)
    made_from: dict[str, Inputs] = {
        manifest.unit.path: {"contexts": [shard.contexts]}
        for shard in shards
        for manifest in shard.captured.values()
    }
    of_all = sum(shard.contexts.facts["tokens"] for shard in shards)
    cost = f"takes a forward pass over the {of_all:,} tokens of these {len(shards)} shards"
    new_positions = sum(shard.contexts.facts["tokens"] for shard in shards if shard.missing)
    return StageReport(
        rows=rows,
        new_rows=sum(manifest.rows for manifest in new),
        seconds=seconds,
        bytes=sum(manifest.bytes for manifest in all_of),
        facts={
            "tokens": tokens // max(n_hookpoints, 1),
            "tokens_per_second": round(new_positions / seconds, 1),
            "activations_per_token": round(rows / max(tokens, 1), 3),
        },
        data_version=_data_version(all_of),
        code_versions=code_versions(all_of),
        outdated=rebuild_of((held for held in all_of if held not in new), cost, made_from),
    )


def _data_version(captured: Sequence[Manifest]) -> str:
    """Of what was captured, the same for whichever shards and hookpoints it is asked.

    Settings, model and coder of a run do not change, and its contexts change with their code alone.
    """
    made = {
        f"{held.code} {held.facts.get(_CONTEXTS_CODE, unsaid('contexts'))}" for held in captured
    }
    return hashlib.sha256("\n".join(sorted(made)).encode()).hexdigest()[:16]
