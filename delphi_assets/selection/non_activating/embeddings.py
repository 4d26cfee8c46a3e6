"""What the corpus's windows are about: the vector of a sentence encoder for each of them.

In: the tables contexts and vocabulary of a run. Out: the table embeddings, a unit per token shard,
for an encoder and a window length; written when it is first asked for, shard by shard, and again
when the code or the contexts are others.

1. The text of a window is that of its tokens, joined, special tokens left out.
2. The encoder's vector of length 1 is multiplied by 2,048 and rounded to whole numbers (int16).

The product of two such vectors is a sum of whole numbers whose sizes add up to less than 2^24:
every partial sum is exact in single precision, in whatever order it is taken. So which windows are
near does not depend on threads, blocks or devices once the table is there. The cosine comes out
within (sqrt(d) + 1) / 2,048 of the exact one: 0.01 for d = 384, in practice 0.001.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from delphi_assets.caching.hookpoint_tables import HookpointTables
from delphi_assets.caching.published import published_contexts
from delphi_assets.errors import ConflictError
from delphi_assets.ground.flat_file import FlatFile
from delphi_assets.ground.progress import Bar
from delphi_assets.lake.lake import File, Lake, Manifest, read_parquet
from delphi_assets.lake.place import RunPlace
from delphi_assets.lake.units import embeddings_unit
from delphi_assets.lake.versions import Inputs, changes, data_versions

SCALE = 2_048

_FINGERPRINT = "encoder_fingerprint"

Array = npt.NDArray[Any]


def window_embeddings(
    place: RunPlace,
    tables: HookpointTables,
    *,
    sentence_encoder: str,
    example_ctx_len: int,
) -> Array:
    """Embeddings [n_windows, d] int16 of a run's whole aligned windows, written if need be.

    They lie in a file without a name in the system's temporary folder, mapped into memory. Raises
    as `sentence_encoder.load_sentence_encoder`, `ConflictError` for embeddings made with other
    settings or with an encoder whose files were replaced since, `DataError` for a damaged file.
    """
    profile, lake = place.profile, place.lake
    config = profile.run_config()
    units = [
        embeddings_unit(place.run, sentence_encoder, example_ctx_len, shard)
        for shard in range(profile.n_shards)
    ]
    made_from = {shard: _made_from(place, shard) for shard in range(profile.n_shards)}
    there = {shard: lake.ready(unit, config) for shard, unit in enumerate(units)}
    made = {
        shard: manifest
        for shard, manifest in there.items()
        if manifest is not None and not changes(manifest, made_from[shard])
    }
    from delphi_assets.models.sentence_encoder import fingerprint_here, load_sentence_encoder

    if made and (here := fingerprint_here(sentence_encoder)) is not None:
        for manifest in made.values():
            _check_fingerprint(manifest, here)
    if missing := [shard for shard in range(profile.n_shards) if shard not in made]:
        encoder = load_sentence_encoder(sentence_encoder, profile.model.device)
        for manifest in made.values():
            _check_fingerprint(manifest, encoder.fingerprint)
        texts = _token_texts(lake, tables.vocabulary)
        total = min(
            len(missing) * profile.cache.shard_tokens // example_ctx_len,
            tables.size.n_tokens // example_ctx_len,
        )
        with Bar(total=total, desc=f"embeddings {sentence_encoder}", unit="window") as bar:
            for shard in missing:
                windows = _window_texts(place, shard, texts, example_ctx_len)
                vectors = encoder.encode(windows, bar.update)
                first = shard * profile.cache.shard_tokens
                rows = _rows(vectors, first, example_ctx_len)
                facts = {_FINGERPRINT: encoder.fingerprint}
                made[shard] = lake.publish(
                    units[shard],
                    [File(rows)],
                    config,
                    facts,
                    inputs=data_versions(made_from[shard]),
                    versioned=there[shard] is not None,
                )
    return _mapped(lake, [made[shard] for shard in range(profile.n_shards)])


def _made_from(place: RunPlace, shard: int) -> Inputs:
    return {"contexts": [published_contexts(place, shard)]}


def _check_fingerprint(made: Manifest, fingerprint: str) -> None:
    if made.facts.get(_FINGERPRINT) != fingerprint:
        raise ConflictError(
            f"the encoder selection.sentence_encoder = {made.keys['sentence_encoder']!r} has "
            f"fingerprint {fingerprint}, but {made.unit} was made from one with "
            f"{made.facts.get(_FINGERPRINT)}: its files were replaced. Restore them, or give the "
            "encoder another name (a copy of its folder)."
        )


def _token_texts(lake: Lake, vocabulary: list[str]) -> pa.Array:
    """The text of every token, empty for special ones."""
    rows = read_parquet(lake, vocabulary, ["token", "str_token", "special"]).sort_by("token")
    return pc.if_else(rows["special"], "", rows["str_token"]).combine_chunks()


def _window_texts(place: RunPlace, shard: int, texts: pa.Array, length: int) -> list[str]:
    """The text of each whole aligned window of a shard, in order."""
    files = place.lake.checked("contexts", published_contexts(place, shard).files)
    tokens = read_parquet(place.lake, files, ["tokens"])["tokens"].combine_chunks().flatten()
    n_windows = len(tokens) // length
    edges = pa.array(np.arange(n_windows + 1, dtype=np.int32) * length)
    taken = pc.take(texts, tokens[: n_windows * length])
    joined: list[str] = pc.binary_join(pa.ListArray.from_arrays(edges, taken), "").to_pylist()
    return joined


def _rows(vectors: Array, first: int, length: int) -> pa.Table:
    n_windows, width = vectors.shape
    whole = np.rint(vectors * SCALE).astype(np.int16)
    edges = pa.array(np.arange(n_windows + 1, dtype=np.int32) * width)
    return pa.table(
        {
            "position": first + np.arange(n_windows, dtype=np.int64) * length,
            "embedding": pa.ListArray.from_arrays(edges, pa.array(whole.ravel())),
        }
    )


def _mapped(lake: Lake, shards: list[Manifest]) -> Array:
    width = 1
    with FlatFile(np.int16) as flat:
        for shard in shards:
            for location in lake.checked("embeddings", shard.files):
                rows = read_parquet(lake, [location], ["embedding"])["embedding"].combine_chunks()
                if len(rows):
                    width = len(rows[0])
                flat.append(rows.flatten().to_numpy())
        return flat.mapped().reshape(-1, width)
