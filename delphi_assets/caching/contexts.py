"""Contexts: the corpus as the model reads it, packed into rows of equal length.

In: a profile. Out: the tables `contexts` (a unit per shard of `shard_tokens`) and `vocabulary`.

1. Documents are tokenized without special tokens; each ends in EOS where the tokenizer has one.
2. Their tokens, one stream, are cut into contexts of `cache_ctx_len`, each beginning with BOS where
   the tokenizer adds one by default. No token is lost: the last context may be shorter, and none
   is padded. The stream stops at `n_tokens` positions or where the corpus ends.
3. Contexts are numbered through the run and written shard by shard, one shard in memory next to
   the documents being tokenized (and, when the corpus is shuffled, its buffer). When the corpus
   ends early the remaining shards are written empty, so that later stages know.
4. A shard's facts hold a hash of its tokens. When a run is continued, or its corpus or tokenizer
   looks changed, the corpus is read again, and shards that are there must come out of it as they
   are.
5. Every token of the vocabulary is written with its text and its count in the contexts.
"""

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from delphi_assets.caching import origins, preflight
from delphi_assets.caching.corpus import Document, read_documents
from delphi_assets.errors import ConflictError, DataError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import Bar
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import File, Lake, Manifest, Unit, read_parquet
from delphi_assets.lake.manifests import TOKENS
from delphi_assets.lake.place import RunPlace
from delphi_assets.lake.schema import CONTEXTS, VOCABULARY
from delphi_assets.lake.units import contexts_unit, vocabulary_unit
from delphi_assets.lake.versions import (
    changes,
    code_versions,
    data_version,
    data_versions,
    rebuild_of,
)
from delphi_assets.models.subject import (
    leading_bos,
    load_config,
    load_tokenizer,
    special_ids,
    vocabulary_size,
)
from delphi_assets.settings import Profile

_DOCUMENTS_AT_ONCE = 64
# A tokenizer takes hundreds of bytes for a character, and gives little of it back after long texts.
_CHARACTERS_AT_ONCE = 1 << 18
_CONTEXT_SETTINGS = (
    "model.name",
    "model.revision",
    "cache.n_tokens",
    "cache.cache_ctx_len",
    "cache.shard_tokens",
)

log = logging.getLogger(__name__)


class Piece(NamedTuple):
    """A document's tokens, its EOS among them."""

    document: str
    tokens: list[int]


@dataclass
class Context:
    """One packed context: its tokens, and which documents begin at which of its offsets."""

    tokens: list[int]
    document_ids: list[str] = field(default_factory=list)
    document_starts: list[int] = field(default_factory=list)


def contexts_config(profile: Profile) -> dict[str, Any]:
    """The settings that change the contexts; the seed is one where the corpus is shuffled."""
    shuffled = profile.corpus.shuffle_buffer > 0
    return {
        name: value
        for name, value in profile.run_config().items()
        if name in _CONTEXT_SETTINGS
        or name.startswith("corpus.")
        or (name == "run.seed" and shuffled)
    }


@terminable()
def build_contexts(profile: Profile, lake: Lake, *, rebuild: bool = False) -> StageReport:
    """Write the run's contexts and vocabulary, as far as they are not there.

    What an earlier version of the code wrote stays, and is told of; `rebuild` writes it again, and
    what was captured from other tokens has to be captured again then.

    Raises `DataError` when the corpus holds no tokens or the tokenizer does not belong to the
    model, `ConflictError` when the run name stands for other settings or corpus or tokenizer have
    changed since the shards that are there were written, and what `preflight.check` raises.
    """
    started = time.perf_counter()
    profile = lake.as_made(profile)
    place, config = RunPlace(profile, lake), contexts_config(profile)
    shards = range(profile.n_shards)
    there = {shard: lake.ready(contexts_unit(place.run, shard), config) for shard in shards}
    outdated = {shard for shard in shards if (known := there[shard]) and changes(known)}
    missing = {shard for shard in shards if there[shard] is None or (rebuild and shard in outdated)}
    made, origin = dict[int, Manifest](), origins.contexts_origin(profile)
    if not missing and not origins.looks_unchanged(lake, place.run, origin):
        log.info("corpus or tokenizer look changed: reading them again to compare their tokens")
        _check_shards(place, load_tokenizer(profile.model), set(shards), rebuild=rebuild)
        origins.note_origin(lake, place.run, origin)
    vocabulary = lake.ready(vocabulary_unit(place.run), config)
    if rebuild and vocabulary is not None:
        of_shards = {"contexts": [shard for shard in there.values() if shard is not None]}
        vocabulary = None if missing or changes(vocabulary, of_shards) else vocabulary
    if missing or vocabulary is None:
        preflight.check(profile)
        tokenizer = load_tokenizer(profile.model)
        made = _write_shards(place, tokenizer, missing, rebuild=rebuild)
        if missing:
            origins.note_origin(lake, place.run, origin)
    held = [shard for shard in {**there, **made}.values() if shard is not None]
    if vocabulary is None:
        _write_vocabulary(place, tokenizer, held, rebuild=rebuild)
    lake.claim_run(place.run, profile.run_config())
    report = _report(place, held, sum(shard.rows for shard in made.values()), started)
    if report.outdated:
        log.warning("contexts: %s", report.outdated)
    return report


def _write_shards(
    place: RunPlace, tokenizer: Any, missing: set[int], *, rebuild: bool
) -> dict[int, Manifest]:
    """Write the shards that are missing; returns what was made, by shard."""
    profile, lake = place.profile, place.lake
    if not missing:
        lake.claim_run(place.run, profile.run_config())
        return {}
    vocabulary = vocabulary_size(load_config(profile.model))
    _check_later_shards(place, tokenizer, missing, rebuild=rebuild)
    shards = _shards(profile, tokenizer, vocabulary)
    config, made = contexts_config(profile), dict[int, Manifest]()
    for shard, rows in enumerate(shards):
        if shard == 0:
            # Not before the first shard was read: an empty corpus leaves no trace.
            lake.claim_run(place.run, profile.run_config())
        unit = contexts_unit(place.run, shard)
        # A damaged shard has a manifest, too, and is written as it was.
        _check_tokens(lake, unit, rows, rebuild=rebuild)
        if shard not in missing:
            continue
        facts = {
            "tokens": _count(rows, "tokens"),
            "documents": _count(rows, "document_ids"),
            TOKENS: _digest(rows),
        }
        made[shard] = lake.publish(unit, [File(rows)], config, facts, versioned=rebuild)
        if len(made) == len(missing):
            # Those behind it were checked before anything was written.
            break
    return made


def _check_later_shards(
    place: RunPlace, tokenizer: Any, missing: set[int], *, rebuild: bool
) -> None:
    """Before a shard is written, check those behind it: written, it would hide the difference."""
    there = {*range(place.profile.n_shards)} - missing
    if there and max(there) > min(missing):
        _check_shards(place, tokenizer, there, rebuild=rebuild)


def _check_shards(place: RunPlace, tokenizer: Any, wanted: set[int], *, rebuild: bool) -> None:
    """Read the corpus as far as it takes to compare these shards."""
    vocabulary = vocabulary_size(load_config(place.profile.model))
    shards = enumerate(_shards(place.profile, tokenizer, vocabulary))
    for shard, rows in islice(shards, max(wanted) + 1):
        if shard in wanted:
            _check_tokens(place.lake, contexts_unit(place.run, shard), rows, rebuild=rebuild)


def _check_tokens(lake: Lake, unit: Unit, rows: pa.Table, *, rebuild: bool) -> None:
    """Raise `ConflictError` unless a published shard holds the tokens of `rows`.

    One of another version of the code need not when it is written again.
    """
    manifest, now = lake.manifest(unit), _digest(rows)
    if manifest is None or (stored := manifest.facts.get(TOKENS)) == now:
        return
    if told := changes(manifest):
        if not rebuild:
            raise ConflictError(
                f"{unit} is of {', '.join(told)}, which gives other tokens, so that later shards "
                "would repeat or lose documents. Launch contexts with rebuild = true, then "
                "captured and activations, or go on with the version of delphi-assets that wrote "
                "it."
            )
    else:
        raise ConflictError(
            f"the corpus (corpus.dataset_repo) or the tokenizer of model.name has changed since "
            f"{unit} was written: the SHA-256 of its tokens was {stored}, now it is {now}; later "
            "shards would repeat or lose documents. Restore what changed, or give the run "
            "(run.name) another name."
        )


def _digest(rows: pa.Table) -> str:
    """SHA-256 of the tokens as little-endian int32, one context after the other."""
    return hashlib.sha256(_tokens(rows).astype("<i4", copy=False).tobytes()).hexdigest()


def _tokens(rows: pa.Table) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Tokens [n] of all contexts, one after the other."""
    flat = rows.column("tokens").combine_chunks().flatten()
    tokens: np.ndarray[Any, np.dtype[np.int32]] = flat.to_numpy(zero_copy_only=False)
    return tokens


def _count(rows: pa.Table, column: str) -> int:
    """Elements of all lists of a column."""
    return len(rows.column(column).combine_chunks().flatten())


def _shards(profile: Profile, tokenizer: Any, vocabulary: int) -> Iterator[pa.Table]:
    """Rows of every shard of the run, in order; the last ones empty when the corpus ends."""
    cache = profile.cache
    bos = leading_bos(tokenizer)
    contexts = pack(
        tokenize(read_documents(profile.corpus, profile.run.seed), tokenizer),
        cache.cache_ctx_len,
        bos,
        cache.n_tokens,
    )
    per_shard = cache.shard_tokens // cache.cache_ctx_len
    with Bar(total=cache.n_tokens, desc="contexts", unit="tok", unit_scale=True) as bar:
        for shard in range(profile.n_shards):
            rows = _rows(list(islice(contexts, per_shard)), shard * per_shard)
            tokens = _tokens(rows)
            if (largest := tokens.max(initial=0)) >= vocabulary:
                raise DataError(
                    f"model.name = {profile.model.name!r}: the tokenizer gives token {largest}, "
                    f"but the model's embedding has {vocabulary} rows; expected the tokenizer and "
                    "the model to belong together."
                )
            if not len(tokens) and shard == 0:
                raise DataError(
                    f"corpus.dataset_repo = {profile.corpus.dataset_repo!r} gives no token; "
                    "expected some text."
                )
            bar.update(len(tokens))
            yield rows
        if bar.n < cache.n_tokens:
            log.warning("the corpus ends after %d of cache.n_tokens = %d", bar.n, cache.n_tokens)


def tokenize(documents: Iterable[Document], tokenizer: Any) -> Iterator[Piece]:
    """Tokens of every document, without special tokens but for EOS at the end."""
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    for batch in _batches(documents):
        texts = [document.text for document in batch]
        encoded = tokenizer(
            texts, add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        for document, tokens in zip(batch, encoded["input_ids"], strict=True):
            yield Piece(document.id, tokens + end)


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents to tokenize together: few when they are long."""
    batch: list[Document] = []
    characters = 0
    for document in documents:
        longer = characters + len(document.text)
        if batch and (len(batch) == _DOCUMENTS_AT_ONCE or longer > _CHARACTERS_AT_ONCE):
            yield batch
            batch, characters = [], 0
        batch.append(document)
        characters += len(document.text)
    if batch:
        yield batch


def pack(pieces: Iterable[Piece], length: int, bos: int | None, n_tokens: int) -> Iterator[Context]:
    """Cut the stream of tokens into contexts of at most `length` positions, BOS included.

    Every context but the last has exactly `length`; together they have at most `n_tokens`. A
    document that continues from the context before begins at the first offset after BOS.
    """
    head = [] if bos is None else [bos]
    context, room = Context([*head]), min(length, n_tokens)
    for piece in pieces:
        taken = 0
        while taken < len(piece.tokens):
            if room <= len(head):
                return
            part = piece.tokens[taken : taken + room - len(context.tokens)]
            context.document_ids.append(piece.document)
            context.document_starts.append(len(context.tokens))
            context.tokens += part
            taken += len(part)
            if len(context.tokens) == room:
                yield context
                n_tokens -= room
                context, room = Context([*head]), min(length, n_tokens)
    if len(context.tokens) > len(head):
        yield context


def _rows(contexts: list[Context], first: int) -> pa.Table:
    return pa.table(
        {
            "context": np.arange(first, first + len(contexts), dtype=np.int64),
            "tokens": [context.tokens for context in contexts],
            "document_ids": [context.document_ids for context in contexts],
            "document_starts": [context.document_starts for context in contexts],
        },
        schema=CONTEXTS.arrow,
    )


def _write_vocabulary(
    place: RunPlace, tokenizer: Any, shards: Sequence[Manifest], *, rebuild: bool
) -> None:
    profile, lake = place.profile, place.lake
    size = max(len(tokenizer), vocabulary_size(load_config(profile.model)))
    counts = np.zeros(size, dtype=np.int64)
    for shard in shards:
        files = lake.checked("contexts", shard.files)
        tokens = _tokens(read_parquet(lake, files, ["tokens"]))
        counts += np.bincount(tokens, minlength=size)
    rows = vocabulary_rows(token_texts(tokenizer, size), special_ids(tokenizer), counts)
    unit, config = vocabulary_unit(place.run), contexts_config(profile)
    inputs = data_versions({"contexts": shards})
    lake.publish(unit, [File(rows)], config, inputs=inputs, versioned=rebuild)


def vocabulary_rows(
    texts: list[str], special: list[int], counts: np.ndarray[Any, np.dtype[np.int64]]
) -> pa.Table:
    """Rows of the table vocabulary from the text and the count of every token."""
    is_special = np.zeros(len(texts), dtype=bool)
    is_special[special] = True
    return pa.table(
        {
            "token": np.arange(len(texts), dtype=np.int32),
            "str_token": texts,
            "special": is_special,
            "count": counts,
        },
        schema=VOCABULARY.arrow,
    )


def token_texts(tokenizer: Any, size: int) -> list[str]:
    """Text of the tokens 0 to `size`, each decoded alone; empty for ids that are no token.

    SentencePiece decoders drop the space that a first token begins with; it is put back.
    """
    ids = list(range(min(size, len(tokenizer))))
    pieces = tokenizer.convert_ids_to_tokens(ids)
    known = [token for token, piece in zip(ids, pieces, strict=True) if piece is not None]
    decoded = tokenizer.batch_decode(
        [[token] for token in known],
        skip_special_tokens=False,
        clean_up_tokenization_spaces=False,
    )
    texts = [""] * size
    for token, text in zip(known, decoded, strict=True):
        lost = pieces[token].startswith("▁") and not text.startswith(" ")
        texts[token] = " " + text if lost else text
    return texts


def _report(
    place: RunPlace, held: Sequence[Manifest], new_rows: int, started: float
) -> StageReport:
    vocabulary = place.lake.manifest(vocabulary_unit(place.run))
    return StageReport(
        rows=sum(manifest.rows for manifest in held),
        new_rows=new_rows,
        seconds=time.perf_counter() - started,
        bytes=sum(manifest.bytes for manifest in held),
        facts={
            "tokens": sum(manifest.facts["tokens"] for manifest in held),
            "shards": len(held),
        },
        data_version=data_version([*held, *([vocabulary] if vocabulary else [])]),
        code_versions=code_versions(held),
        outdated=rebuild_of(held, "tokenizes the corpus, and what it changes is captured again"),
    )
