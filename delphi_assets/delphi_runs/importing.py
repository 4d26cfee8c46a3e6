"""Import of a Delphi run: its files become tables of the lake, whole or not at all.

In: `results/<name>` or a bare `latents` folder. Out: the tables contexts, vocabulary, weights,
activations, explanations and predictions, and a profile with which the later stages go on.

1. Every file is read and checked, one at a time; nothing is written before the last one is good.
2. The run's name is claimed with the settings that Delphi's configurations say.
3. The tables are written, a hookpoint after the other. What an interrupted import left is not
   written again; it must be from the same files, as their hashes say. Explanations and scores that
   the lake has are left as they are; another text is another explanation.

Delphi takes BOS out of the text and drops no activation on special tokens, so the run is one with
`cache.filter_bos` off. It keeps no weights: the table has a row for every latent, without values.
The corpus is one shard, and memory is that of its tokens and of one split file.
"""

import logging
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from delphi_assets.buckets import bucket_ranges
from delphi_assets.contexts import contexts_config, contexts_unit, token_texts
from delphi_assets.database import connect, query
from delphi_assets.delphi_runs import texts
from delphi_assets.delphi_runs.layout import CachedHookpoint, DelphiRun, SplitFile, read_layout
from delphi_assets.delphi_runs.profiles import imported_profile, profile_toml
from delphi_assets.delphi_runs.splits import (
    Array,
    Entries,
    SplitFacts,
    check_header,
    check_split,
    read_entries,
    read_tokens,
)
from delphi_assets.errors import ConflictError, DataError, DelphiAssetsError
from delphi_assets.lake import File, Lake, Unit
from delphi_assets.llm.rows import Row
from delphi_assets.schema import (
    ACTIVATIONS,
    CONTEXTS,
    EXPLANATIONS,
    PREDICTIONS,
    VOCABULARY,
    WEIGHTS,
)
from delphi_assets.settings import Profile
from delphi_assets.stage import StageReport
from delphi_assets.subject import load_tokenizer, special_ids

SOURCE = "delphi_sha256"
"""Name, among the facts of imported activations, of the hash of the files they are from."""

_FILES_AT_ONCE = 512

log = logging.getLogger(__name__)


class _Hookpoint(NamedTuple):
    """A hookpoint whose files are good: hash over them, and their activations."""

    cached: CachedHookpoint
    sha256: str
    rows: int


@dataclass(frozen=True)
class _Source:
    """A run whose files have been checked."""

    delphi: DelphiRun
    hookpoints: tuple[_Hookpoint, ...]
    shape: tuple[int, int]
    tokens_sha256: str
    tokens: Array
    tokenizer: Any

    @property
    def model(self) -> str:
        """The LLM that explained and judged."""
        return str(self.delphi.run_config.get("explainer_model") or "unknown")


def import_run(folder: str | Path, lake: Lake, run: str) -> StageReport:
    """Read a Delphi run into `lake` under the name `run`; rows are activations.

    The fact `profile` is where the lake holds a profile of the run, `str_tokens` whether its tokens
    have their texts, `left_out` what has no table to go to. Raises `DataError` naming the file that
    is not as it should be, `SettingError` for a name that cannot be one, `ConflictError` when the
    name stands for another run.
    """
    started = time.perf_counter()
    source = _check(read_layout(Path(folder)))
    profile = imported_profile(source.delphi, source.tokens.size, lake, run)
    _check_published(profile, lake, source)
    lake.claim_run(run, profile.run_config())
    _write_corpus(profile, lake, source)
    new_rows = sum(_write_hookpoint(profile, lake, source, held) for held in source.hookpoints)
    n_texts = _write_texts(lake, source, run)
    manifests = lake.manifests("activations", run=run)
    return StageReport(
        rows=sum(manifest.rows for manifest in manifests),
        new_rows=new_rows,
        seconds=time.perf_counter() - started,
        bytes=sum(manifest.bytes for manifest in manifests),
        facts={
            "hookpoints": len(source.hookpoints),
            "tokens": source.shape[0] * source.shape[1],
            **n_texts,
            "str_tokens": "ids only" if source.tokenizer is None else "texts",
            "left_out": ", ".join(source.delphi.left_out) or "nothing",
            "profile": _write_profile(profile, lake),
        },
    )


def _check(delphi: DelphiRun) -> _Source:
    ctx_len = delphi.cache.cache_ctx_len
    splits = [split for cached in delphi.hookpoints for split in cached.splits]
    for split in splits:
        check_header(split, ctx_len)
    facts: dict[SplitFile, SplitFacts] = {}
    for split in tqdm(splits, desc="check activations", unit="file"):
        facts[split] = check_split(split, ctx_len)
        first = facts[splits[0]]
        if (facts[split].shape, facts[split].tokens_sha256) != (first.shape, first.tokens_sha256):
            raise DataError(
                f"{split.path} holds other tokens than {splits[0].path}; expected the same in "
                "every file, as hookpoints of one run share their corpus."
            )
    _check_texts(delphi)
    tokens, tokenizer = read_tokens(splits[0]), _local_tokenizer(delphi.cache.model_name)
    if tokenizer is not None and int(tokens.max()) >= (size := _vocabulary_size(delphi, tokenizer)):
        raise DataError(
            f"{splits[0].path} holds token {tokens.max()}, but model_name = "
            f"{delphi.cache.model_name!r} in config.json has a tokenizer of {size}; expected the "
            "tokenizer that made the tokens."
        )
    return _Source(
        delphi=delphi,
        hookpoints=tuple(_summary(cached, facts) for cached in delphi.hookpoints),
        shape=facts[splits[0]].shape,
        tokens_sha256=facts[splits[0]].tokens_sha256,
        tokens=tokens,
        tokenizer=tokenizer,
    )


def _summary(cached: CachedHookpoint, facts: Mapping[SplitFile, SplitFacts]) -> _Hookpoint:
    held = [facts[split] for split in cached.splits]
    return _Hookpoint(
        cached, " ".join(fact.sha256 for fact in held), sum(fact.rows for fact in held)
    )


def _check_texts(delphi: DelphiRun) -> None:
    for file in tqdm(delphi.explanations, desc="check explanations", unit="file"):
        texts.read_explanation(file)
    for scorer, files in delphi.scores.items():
        for file in tqdm(files, desc=f"check {scorer}", unit="file"):
            texts.read_answers(file)


def _local_tokenizer(name: str) -> Any | None:
    """The tokenizer, if it can be had without a download."""
    from transformers import AutoTokenizer

    from delphi_assets.settings import ModelSettings

    try:
        if name.startswith("embedded:"):
            return load_tokenizer(ModelSettings(name=name))
        return AutoTokenizer.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError, DelphiAssetsError) as error:
        log.warning(
            "the tokenizer of model_name = %r is not on this machine (%s); tokens are shown as "
            "<id>. Load it once with transformers and import under another name to have texts.",
            name,
            type(error).__name__,
        )
        return None


def _vocabulary_size(delphi: DelphiRun, tokenizer: Any) -> int:
    """Ids that the tokenizer or, where its configuration is at hand, the model knows."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(delphi.cache.model_name, local_files_only=True)
        rows = int(config.get_text_config().vocab_size)
    except (OSError, ValueError, KeyError, AttributeError):
        rows = 0
    return max(len(tokenizer), rows)


def _check_published(profile: Profile, lake: Lake, source: _Source) -> None:
    """Refuse to go on with a run that was made from other files, before anything is written."""
    made = [(contexts_unit(profile, 0), contexts_config(profile), "tokens_sha256")]
    made += [
        (_activations(profile, held), profile.run_config(), SOURCE) for held in source.hookpoints
    ]
    hashes = [source.tokens_sha256, *(held.sha256 for held in source.hookpoints)]
    for (unit, config, fact), expected in zip(made, hashes, strict=True):
        manifest = lake.ready(unit, config)
        if manifest is not None and manifest.facts.get(fact) != expected:
            raise ConflictError(
                f"{unit} in the lake is not from these files ({fact} differs); import them under "
                "another name (--run)."
            )


def _activations(profile: Profile, held: _Hookpoint) -> Unit:
    keys = {"run": profile.run.name, "hookpoint": held.cached.hookpoint}
    return Unit("activations", keys, "shard-00000")


def _write_corpus(profile: Profile, lake: Lake, source: _Source) -> None:
    config = contexts_config(profile)
    contexts = contexts_unit(profile, 0)
    if lake.ready(contexts, config) is None:
        facts = {
            "tokens": source.tokens.size,
            "documents": 0,
            "tokens_sha256": source.tokens_sha256,
        }
        lake.publish(contexts, [File(_context_rows(source.tokens))], config, facts)
    vocabulary = Unit("vocabulary", {"run": profile.run.name})
    if lake.ready(vocabulary, config) is None:
        lake.publish(vocabulary, [File(_vocabulary_rows(source))], config)


def _context_rows(tokens: Array) -> pa.Table:
    """Rows of contexts; Delphi does not say which documents they are from."""
    n_contexts, ctx_len = tokens.shape
    edges = np.arange(n_contexts + 1, dtype=np.int32) * ctx_len
    return pa.table(
        {
            "context": np.arange(n_contexts, dtype=np.int64),
            "tokens": pa.ListArray.from_arrays(edges, tokens.ravel()),
            "document_ids": [[] for _ in range(n_contexts)],
            "document_starts": [[] for _ in range(n_contexts)],
        },
        schema=CONTEXTS.arrow,
    )


def _vocabulary_rows(source: _Source) -> pa.Table:
    tokenizer, largest = source.tokenizer, int(source.tokens.max())
    if tokenizer is None:
        size = largest + 1
        shown = [f"<{token}>" for token in range(size)]
    else:
        size = max(_vocabulary_size(source.delphi, tokenizer), largest + 1)
        shown = token_texts(tokenizer, size)
    special = np.zeros(size, dtype=bool)
    special[special_ids(tokenizer) if tokenizer is not None else []] = True
    return pa.table(
        {
            "token": np.arange(size, dtype=np.int32),
            "str_token": shown,
            "special": special,
            "count": np.bincount(source.tokens.ravel(), minlength=size),
        },
        schema=VOCABULARY.arrow,
    )


def _write_hookpoint(profile: Profile, lake: Lake, source: _Source, held: _Hookpoint) -> int:
    """Write weights and activations of a hookpoint; returns new activations."""
    weights = Unit("weights", {"run": profile.run.name, "hookpoint": held.cached.hookpoint})
    config, num_latents = profile.run_config(), held.cached.num_latents
    coder = {name: value for name, value in config.items() if name.startswith("coder.")}
    if lake.ready(weights, coder) is None:
        lake.publish(
            weights, [File(_weight_rows(num_latents))], coder, {"num_latents": num_latents}
        )
    unit = _activations(profile, held)
    if lake.ready(unit, config) is not None:
        return 0
    facts: dict[str, Any] = {
        "num_latents": num_latents,
        "positions": source.tokens.size,
        "tokens": source.tokens.size,
        "activations_per_token": round(held.rows / source.tokens.size, 3),
        SOURCE: held.sha256,
    }
    ctx_len, n_buckets = profile.cache.cache_ctx_len, profile.cache.n_buckets
    files = _bucket_files(held.cached, ctx_len, n_buckets)
    bar = tqdm(files, desc=f"import {held.cached.hookpoint}", total=n_buckets, unit="bucket")
    return lake.publish(unit, bar, config, facts).rows


def _weight_rows(num_latents: int) -> pa.Table:
    nulls = pa.nulls(num_latents, pa.float32())
    columns = dict.fromkeys(WEIGHTS.arrow.names, nulls)
    return pa.table(columns | {"latent": np.arange(num_latents, dtype=np.int32)}, WEIGHTS.arrow)


def _bucket_files(cached: CachedHookpoint, ctx_len: int, n_buckets: int) -> Iterator[File]:
    """The activations of every bucket, from the files that hold its latents."""
    held: SplitFile | None = None
    entries: Entries | None = None
    for bucket in bucket_ranges(cached.num_latents, n_buckets):
        parts = [ACTIVATIONS.arrow.empty_table()]
        for split in cached.splits:
            if split.last <= bucket.first or bucket.last <= split.first:
                continue
            if entries is None or split != held:
                held, entries = split, None
                entries = read_entries(split, ctx_len)
            first, last = np.searchsorted(entries.latents, [bucket.first, bucket.last])
            parts.append(
                pa.table(
                    {
                        "latent": entries.latents[first:last],
                        "position": entries.positions[first:last],
                        "activation": entries.activations[first:last].astype(np.float32),
                    },
                    schema=ACTIVATIONS.arrow,
                )
            )
        yield File(pa.concat_tables(parts), {"bucket": bucket.number})


def _write_texts(lake: Lake, source: _Source, run: str) -> dict[str, int]:
    """Write explanations and predictions that are not there; returns how many there are of each."""
    counts = {"explanations": 0, "failed_explanations": 0, "predictions": 0}
    for held in source.hookpoints:
        keys = {"run": run, "hookpoint": held.cached.hookpoint}
        counts["explanations"] += len(_write_explanations(lake, source, keys))
        counts["predictions"] += sum(
            _write_predictions(lake, source, keys, scorer) for scorer in source.delphi.scores
        )
        counts["failed_explanations"] += sum(
            row["failure"] is not None and row["selection"] == texts.DELPHI
            for row in _stored(lake, "explanations/outcomes", **keys)
        )
    return counts


def _stored(lake: Lake, name: str, **parameters: str) -> list[dict[str, Any]]:
    con = connect(lake)
    rows: list[dict[str, Any]] = query(con, name, **parameters).to_pylist()
    con.close()
    return rows


def _write_explanations(lake: Lake, source: _Source, keys: dict[str, str]) -> list[str]:
    there = {row["explanation_id"] for row in _stored(lake, "explanations/outcomes", **keys)}
    identities = []
    files = [file for file in source.delphi.explanations if file.hookpoint == keys["hookpoint"]]
    for some in _chunks(tqdm(files, desc=f"explanations {keys['hookpoint']}", unit="file")):
        rows: list[Row] = []
        for file in some:
            text = texts.read_explanation(file)
            identity = texts.explanation_id(keys["run"], file, text, source.model)
            identities.append(identity)
            if identity not in there:
                rows.append(texts.explanation_row(identity, file, text, source.model))
        lake.append(EXPLANATIONS, keys, _table(EXPLANATIONS.arrow, rows))
    return identities


def _write_predictions(lake: Lake, source: _Source, keys: dict[str, str], scorer: str) -> int:
    settled = _stored(
        lake, "predictions/settled", **keys, selection=texts.DELPHI, model=source.model
    )
    there = {row["explanation_id"] for row in settled if row["scorer"] == scorer}
    hookpoint, count = keys["hookpoint"], 0
    explained = {
        file.latent: file for file in source.delphi.explanations if file.hookpoint == hookpoint
    }
    files = [file for file in source.delphi.scores[scorer] if file.hookpoint == hookpoint]
    for some in _chunks(tqdm(files, desc=f"{scorer} {hookpoint}", unit="file")):
        rows: list[Row] = []
        for file in some:
            judged = explained[file.latent]
            text = texts.read_explanation(judged)
            identity = texts.explanation_id(keys["run"], judged, text, source.model)
            answers = texts.read_answers(file)
            count += len(answers)
            if identity not in there:
                rows += texts.prediction_rows(identity, file, scorer, source.model, answers)
        lake.append(PREDICTIONS, keys, _table(PREDICTIONS.arrow, rows))
    return count


def _table(schema: pa.Schema, rows: list[Row]) -> pa.Table:
    """Rows as a table; columns that a row leaves out are null."""
    return pa.Table.from_pylist(rows, schema=schema)


def _chunks(files: Iterable[Any]) -> Iterator[list[Any]]:
    stream = iter(files)
    while some := list(islice(stream, _FILES_AT_ONCE)):
        yield some


def _write_profile(profile: Profile, lake: Lake) -> str:
    """Put the profile into the lake, where it is not; returns its location."""
    folder = f"profiles/{profile.run.name}"
    if not lake.exists(folder):
        with tempfile.TemporaryDirectory() as made:
            (Path(made) / "profile.toml").write_text(profile_toml(profile), encoding="utf-8")
            lake.put_folder(Path(made), folder)
    return lake.location(f"{folder}/profile.toml")
