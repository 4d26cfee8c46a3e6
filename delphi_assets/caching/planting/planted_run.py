"""Stage plant: activations of latents that are known, where a coder's would be.

In: the contexts and the vocabulary of a run, and predicates. Out, under another run's name: the
same contexts and vocabulary, the tables weights and captured at the hookpoint `planted`, and the
table planted, which says what each latent is and what it is not.

1. The name is claimed with the settings of the run, but for its coder, which names the predicates:
   others under the same name are refused.
2. Contexts and vocabulary are copied (`copied_corpus`); weights have a row a latent and no values.
3. Shard by shard, every predicate is asked about every passage (`passages`, `predicates`), and what
   it holds on becomes activations with defects (`firing`). A shard that is there is not made again.
4. The table planted holds the descriptions, true and wrong, and what was counted.

Memory is that of one shard's contexts and activations. The later stages go on as in any run.
"""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from delphi_assets.caching.planting.copied_corpus import copy_corpus, published_corpus
from delphi_assets.caching.planting.descriptions import described_rows
from delphi_assets.caching.planting.firing import Counts, Fired, fire
from delphi_assets.caching.planting.passages import Mask, Passage, Vocabulary, passages_of
from delphi_assets.caching.planting.planted_coder import HOOKPOINT, planted_profile, write_weights
from delphi_assets.caching.planting.predicates import Predicates
from delphi_assets.caching.published import is_merged
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import Bar
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import File, Lake, Manifest, read_parquet
from delphi_assets.lake.manifests import FINGERPRINT
from delphi_assets.lake.place import Place, RunPlace
from delphi_assets.lake.schema import CAPTURED
from delphi_assets.lake.units import captured_unit, planted_unit, vocabulary_unit
from delphi_assets.lake.versions import data_version, data_versions
from delphi_assets.settings import Profile

_COUNTS = "planted_counts"
"""Fact of a shard: what was counted of each latent."""


@terminable()
def plant_activations(
    profile: Profile, lake: Lake, run: str, predicates: Predicates
) -> StageReport:
    """Write a planted run on the contexts of the profile's, as far as it is not there.

    Rows are those of `captured`; `merge_shards` makes activations of them. Raises `NotReadyError`
    when the run has no contexts, `ConflictError` when the name stands for other settings or other
    predicates, `SettingError` for the profile's own name, for one that a run cannot have, and for a
    predicate whose function or tagger fails, `DataError` for a damaged file.
    """
    started = time.perf_counter()
    source = RunPlace(lake.as_made(profile), lake)
    planted = planted_profile(source, run, predicates)
    place = Place(planted, lake, HOOKPOINT)
    published_corpus(source)
    # So that what a predicate lacks is said before anything is written.
    _try_on_nothing(predicates)
    lake.claim_run(run, planted.run_config())
    contexts = copy_corpus(source, place)
    write_weights(place, source.run, predicates)
    shards, new_rows = _write_shards(place, predicates, contexts)
    table = _write_descriptions(place, predicates, shards)
    rows = sum(shard.rows for shard in shards)
    return StageReport(
        rows=rows,
        new_rows=new_rows,
        seconds=time.perf_counter() - started,
        bytes=table.bytes,
        facts={
            "latents": len(predicates.all),
            "descriptions": table.rows,
            "tokens": sum(int(shard.facts["tokens"]) for shard in shards),
        },
        data_version=data_version(shards),
    )


def _try_on_nothing(predicates: Predicates) -> None:
    predicates.masks(Passage(["a", " word"]))


def _write_shards(
    place: Place, predicates: Predicates, contexts: Sequence[Manifest]
) -> tuple[list[Manifest], int]:
    """What is known of every shard, and how many rows are new."""
    merged, vocabulary = is_merged(place), None
    tokens = sum(int(shard.facts["tokens"]) for shard in contexts)
    made, new_rows = [], 0
    with Bar(total=tokens, desc="plant", unit="tok", unit_scale=True) as bar:
        for number, shard in enumerate(contexts):
            unit = captured_unit(place.run, HOOKPOINT, number)
            held = place.lake.manifest(unit) if merged else place.lake.ready(unit, place.config)
            if held is None:
                vocabulary = vocabulary or _vocabulary(place)
                held = _write_shard(place, predicates, number, shard, vocabulary)
                new_rows += held.rows
            made.append(held)
            bar.update(int(shard.facts["tokens"]))
    return made, new_rows


def _vocabulary(place: Place) -> Vocabulary:
    held = place.lake.manifest(vocabulary_unit(place.run))
    assert held is not None, "it was copied"
    rows = read_parquet(place.lake, place.lake.checked("vocabulary", held.files))
    rows = rows.sort_by("token")
    return Vocabulary(rows["str_token"].to_pylist(), rows["special"].to_pylist())


def _write_shard(
    place: Place, predicates: Predicates, number: int, contexts: Manifest, vocabulary: Vocabulary
) -> Manifest:
    started, cache = time.perf_counter(), place.profile.cache
    held = _held(place, predicates, contexts, vocabulary)
    fired = [
        fire(one, held.positions, cache.cache_ctx_len, held.masks, str(place.profile.run.seed))
        for one in predicates.all
    ]
    seconds, n_tokens = time.perf_counter() - started, len(held.positions)
    n_fired = sum(len(one.positions) for one in fired)
    # What a manifest says of a shard that a model has read.
    facts = {
        "num_latents": len(predicates.all),
        "positions": contexts.facts["tokens"],
        "tokens": n_tokens,
        "seconds": round(seconds, 2),
        "tokens_per_second": round(n_tokens / seconds, 1),
        "activations_per_token": round(n_fired / max(n_tokens, 1), 3),
        "device": "none",
        "torch": "none",
        FINGERPRINT: predicates.sha256,
        _COUNTS: [[one.counts.n_true, one.counts.n_missed, one.counts.n_false] for one in fired],
    }
    files = [File(_rows(fired, cache.activation_dtype), {"part": 0})]
    unit = captured_unit(place.run, HOOKPOINT, number)
    inputs = data_versions({"contexts": [contexts]})
    return place.lake.publish(unit, files, place.config, facts, inputs=inputs)


class _Held(NamedTuple):
    """Positions [n] of a shard that belong to passages, and where each predicate holds [n]."""

    positions: np.ndarray[tuple[int], np.dtype[np.int64]]
    masks: Mapping[str, Mask]


def _held(
    place: Place, predicates: Predicates, contexts: Manifest, vocabulary: Vocabulary
) -> _Held:
    rows = read_parquet(place.lake, place.lake.checked("contexts", contexts.files))
    positions = [np.zeros(0, dtype=np.int64)]
    masks: dict[str, list[Mask]] = {
        one.name: [np.zeros(0, dtype=np.bool_)] for one in predicates.all
    }
    for row in rows.to_pylist():
        first = row.pop("context") * place.profile.cache.cache_ctx_len
        for passage, offset in passages_of(**row, vocabulary=vocabulary):
            positions.append(first + offset + np.arange(len(passage.tokens)))
            for name, mask in predicates.masks(passage).items():
                masks[name].append(mask)
    return _Held(
        np.concatenate(positions), {name: np.concatenate(parts) for name, parts in masks.items()}
    )


def _rows(fired: Sequence[Fired], activation_dtype: str) -> pa.Table:
    """Rows of `captured`, in order; values are rounded as those of a coder are."""
    latents = np.repeat(
        np.arange(len(fired), dtype=np.int32), [len(one.positions) for one in fired]
    )
    values = np.concatenate([one.values for one in fired]).astype(activation_dtype)
    return pa.table(
        {
            "latent": latents,
            "position": np.concatenate([one.positions for one in fired]),
            "activation": values.astype(np.float32),
        },
        schema=CAPTURED.arrow,
    )


def _write_descriptions(
    place: Place, predicates: Predicates, shards: Sequence[Manifest]
) -> Manifest:
    unit = planted_unit(place.run, HOOKPOINT)
    held = place.lake.ready(unit, place.config)
    if held is not None:
        return held
    counts = [
        sum((Counts(*shard.facts[_COUNTS][latent]) for shard in shards), Counts())
        for latent in range(len(predicates.all))
    ]
    n_tokens = sum(int(shard.facts["tokens"]) for shard in shards)
    rows = File(described_rows(predicates, counts, n_tokens, place.seed))
    inputs = data_versions({"captured": shards})
    return place.lake.publish(unit, [rows], place.config, inputs=inputs)
