"""The corpus of a checked Delphi run, as the tables contexts and vocabulary.

In: a `Source`. Out: both tables; the contexts are one shard. Delphi does not say which documents
they are from. Tokens whose texts are not known are shown as `<id>`.
"""

import numpy as np
import pyarrow as pa

from delphi_assets.caching.contexts import contexts_config, token_texts, vocabulary_rows
from delphi_assets.delphi_runs.source import Source
from delphi_assets.errors import ConflictError
from delphi_assets.lake.lake import File
from delphi_assets.lake.place import RunPlace
from delphi_assets.lake.schema import CONTEXTS
from delphi_assets.lake.units import contexts_unit, vocabulary_unit
from delphi_assets.models.subject import special_ids


def check_corpus(place: RunPlace, source: Source) -> None:
    """Raise `ConflictError` when the lake's contexts of this run are other ones."""
    unit, config = contexts_unit(place.run, 0), contexts_config(place.profile)
    manifest = place.lake.ready(unit, config) or place.lake.manifest(unit)
    if manifest is not None and manifest.facts.get("tokens_sha256") != source.tokens_sha256:
        raise ConflictError(
            f"{unit} in the lake holds other tokens than these files; import them under another "
            "name (--run)."
        )


def write_corpus(place: RunPlace, source: Source) -> None:
    """Write contexts and vocabulary, as far as they are not there."""
    lake, config = place.lake, contexts_config(place.profile)
    contexts = contexts_unit(place.run, 0)
    if lake.ready(contexts, config) is None:
        facts = {
            "tokens": source.tokens.size,
            "documents": 0,
            "tokens_sha256": source.tokens_sha256,
        }
        lake.publish(contexts, [File(_context_rows(source))], config, facts)
    vocabulary = vocabulary_unit(place.run)
    if lake.ready(vocabulary, config) is None:
        lake.publish(vocabulary, [File(_vocabulary_rows(source))], config)


def _context_rows(source: Source) -> pa.Table:
    n_contexts, ctx_len = source.tokens.shape
    edges = np.arange(n_contexts + 1, dtype=np.int32) * ctx_len
    return pa.table(
        {
            "context": np.arange(n_contexts, dtype=np.int64),
            "tokens": pa.ListArray.from_arrays(edges, source.tokens.ravel()),
            "document_ids": [[] for _ in range(n_contexts)],
            "document_starts": [[] for _ in range(n_contexts)],
        },
        schema=CONTEXTS.arrow,
    )


def _vocabulary_rows(source: Source) -> pa.Table:
    tokenizer, size = source.tokenizer, source.vocabulary_size
    counts = np.bincount(source.tokens.ravel(), minlength=size)
    if tokenizer is None:
        return vocabulary_rows([f"<{token}>" for token in range(size)], [], counts)
    return vocabulary_rows(token_texts(tokenizer, size), special_ids(tokenizer), counts)
