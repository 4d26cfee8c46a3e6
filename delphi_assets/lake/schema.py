"""The tables of the lake: one definition that writers, Dagster and the documentation share.

A `Table` names its path keys (hive partitions, not stored in the files), its columns with type
and meaning, and the columns that identify a row. Writers cast to `Table.arrow`, Dagster shows
`Table.columns`, `reference` prints them. `VIEWS` describes what is computed from them alike.
"""

from typing import NamedTuple

import pyarrow as pa

from delphi_assets.errors import DataError

SCHEMA_VERSION = 5
"""Written with every unit; one more after a change that is a migration, `docs/compatibility.md`."""

FIRST_VERSION = 3
"""The oldest version that is still read."""


_DICTIONARIES = pa.list_(pa.dictionary(pa.int32(), pa.string()))
"""Lists of texts as they are written fastest."""


class Column(NamedTuple):
    """One column: its name, Arrow type and meaning."""

    name: str
    type: pa.DataType
    doc: str
    added: bool = False
    """Whether there are files from before it was there, in which it is null."""
    formerly: str | None = None
    """Its name in files of version 4 and before, which `delphi-assets upgrade` writes again."""


class Table(NamedTuple):
    """One table: path keys in the order of the folders, columns, and what identifies a row."""

    name: str
    doc: str
    keys: tuple[Column, ...]
    columns: tuple[Column, ...]
    identity: tuple[str, ...]

    @property
    def arrow(self) -> pa.Schema:
        """Schema of the Parquet files: the columns without the path keys."""
        return pa.schema([(column.name, column.type) for column in self.columns])

    @property
    def grows(self) -> bool:
        """Whether rows are added to it as they arrive, and the last one of a key counts."""
        return _generation in self.columns

    def conform(self, rows: pa.Table) -> pa.Table:
        """`rows` with exactly this table's columns, in order and cast; texts may be dictionaries.

        A column that was added is null where it is missing. Raises `DataError` when another one is,
        or one is left over.
        """
        rows = self.completed(rows)
        expected, got = set(self.arrow.names), set(rows.column_names)
        if expected != got:
            raise DataError(
                f"rows for table {self.name!r} lack {sorted(expected - got)} and carry unknown "
                f"{sorted(got - expected)}; write exactly the columns of delphi_assets.lake.schema."
            )
        given = [rows.schema.field(name) for name in self.arrow.names]
        fields = [
            other if other.type == _DICTIONARIES else field
            for field, other in zip(self.arrow, given, strict=True)
        ]
        return rows.select(self.arrow.names).cast(pa.schema(fields))

    @property
    def formerly(self) -> dict[str, str]:
        """Names of columns by those that they had in files of earlier versions."""
        return {column.formerly: column.name for column in self.columns if column.formerly}

    def completed(self, rows: pa.Table) -> pa.Table:
        """`rows` of an earlier version's file, with names of today, and nulls in later columns."""
        rows = rows.rename_columns([self.formerly.get(name, name) for name in rows.column_names])
        for column in self.columns:
            if column.added and column.name not in rows.column_names:
                rows = rows.append_column(column.name, pa.nulls(len(rows), column.type))
        return rows

    def empty(self) -> pa.Table:
        """No rows of this table."""
        return self.arrow.empty_table()

    @property
    def as_read(self) -> "Table":
        """The table as its view reads it: behind its columns, those names that some had before."""
        former = [
            column._replace(name=column.formerly, formerly=None)
            for column in self.columns
            if column.formerly
        ]
        columns = [column._replace(formerly=None) for column in self.columns]
        return self._replace(columns=(*columns, *former))

    def from_rows(self, rows: list[dict[str, object]]) -> pa.Table:
        """An Arrow table from Python rows whose keys are this table's columns."""
        return self.conform(pa.Table.from_pylist(rows, schema=self.arrow))


_text, _bool = pa.string(), pa.bool_()
_STRONGEST = "strongest activation in the window: the largest in magnitude, with its sign"
_i8, _i16, _i32, _i64 = pa.int8(), pa.int16(), pa.int32(), pa.int64()
_f32, _f64 = pa.float32(), pa.float64()
_when = pa.timestamp("us", tz="UTC")

_run = Column("run", _text, "name of the configuration (model, coder, corpus, cache settings)")
_hookpoint = Column(
    "hookpoint", _text, "module of the model; behind '@', which of its coders reads it"
)
_latent = Column("latent", _i32, "index of the latent in its coder")
_written = Column(
    "written_at",
    _when,
    "when the row was written, UTC; the last one wins, a success before a failure",
)
_generation = Column(
    "generation",
    _i64,
    "files that had been added to the folder when the row was, from 1: whatever the clocks say, a "
    "row that is written again has a larger one; null in rows from before it was counted",
    added=True,
)
_selection = Column("selection", _text, "name of the example selection")

_shard = Column("shard", _i32, "token shard")
_bucket = Column("bucket", _i32, "contiguous range of latents")


def _estimate(name: str, doc: str, interval: str, *, added: bool = False) -> tuple[Column, ...]:
    return (
        Column(name, _f64, doc, added),
        Column(f"{name}_low", _f64, f"lower end of its 95% interval: {interval}", added),
        Column(f"{name}_high", _f64, "upper end", added),
    )


CONTEXTS = Table(
    "contexts",
    "One packed context of the corpus, as the model read it.",
    (_run, _shard),
    (
        Column("context", _i64, "index of the context in the run"),
        Column("tokens", pa.list_(_i32), "token ids, BOS first where the tokenizer has one"),
        Column("document_ids", pa.list_(_text), "documents in the context, in order"),
        Column("document_starts", pa.list_(_i32), "offset at which each of them begins"),
    ),
    ("run", "context"),
)

VOCABULARY = Table(
    "vocabulary",
    "One token of the tokenizer, with its text and its count in the run's contexts.",
    (_run,),
    (
        Column("token", _i32, "token id"),
        Column("str_token", _text, "the token as text"),
        Column("special", _bool, "BOS, EOS, padding and the like"),
        Column("count", _i64, "occurrences in the contexts of the run"),
    ),
    ("run", "token"),
)

WEIGHTS = Table(
    "weights",
    "One latent of the coder, seen from its weights.",
    (_run, _hookpoint),
    (
        _latent,
        Column("decoder_norm", _f32, "L2 norm of the decoder row"),
        Column("encoder_norm", _f32, "L2 norm of the encoder row"),
        Column("encoder_decoder_cosine", _f32, "cosine of encoder and decoder row"),
        Column("encoder_bias", _f32, "bias of the encoder"),
    ),
    ("run", "hookpoint", "latent"),
)

_fired = (
    _latent,
    Column("position", _i64, "context * cache_ctx_len + offset in the context"),
    Column("activation", _f32, "activation, rounded to cache.activation_dtype"),
)

CAPTURED = Table(
    "captured",
    "One non-zero activation of one token shard, until the shards become `activations`.",
    (_run, _hookpoint, _shard, Column("part", _i32, "how often the buffer was full before")),
    _fired,
    ("run", "hookpoint", "latent", "position"),
)

ACTIVATIONS = Table(
    "activations",
    "One non-zero activation. A bucket is one file, sorted by latent, then position.",
    (_run, _hookpoint, _bucket),
    _fired,
    ("run", "hookpoint", "latent", "position"),
)

WINDOWS = Table(
    "windows",
    "One whole aligned window in which a latent fires. Files are sorted by latent, then place.",
    (_run, _hookpoint, Column("example_ctx_len", _i32, "tokens in a window"), _bucket),
    (
        _latent,
        Column("place", _i32, "1 for the latent's strongest window, the first of several"),
        Column("position", _i64, "position of the window's first token"),
        Column("max_activation", _f32, _STRONGEST),
    ),
    ("run", "hookpoint", "example_ctx_len", "latent", "place"),
)

LATENTS = Table(
    "latents",
    "One latent of the coder with what its activations and weights say; dead ones too.",
    (_run, _hookpoint),
    (
        _latent,
        Column("n_activations", _i64, "tokens on which the latent fires"),
        Column("n_contexts", _i64, "contexts in which it fires at least once"),
        Column(
            "n_windows",
            _i64,
            "whole aligned windows of example_ctx_len in which it fires; centred ones can be fewer",
        ),
        Column(
            "token_density",
            _f64,
            "n_activations / tokens of the run that can carry one: with filter_bos those that are "
            "not special",
        ),
        Column("context_density", _f64, "n_contexts / contexts of the run"),
        Column(
            "burstiness",
            _f32,
            "variance / mean of its activations a context, contexts without one included (index "
            "of dispersion): about 1 when scattered at random, above when in bunches, below when "
            "spread evenly; null when it never fires",
        ),
        Column("min_activation", _f32, "smallest activation; null when it never fires"),
        Column("max_activation", _f32, "largest activation; null when it never fires"),
        Column("mean_activation", _f32, "mean of the non-zero activations"),
        Column(
            "activation_quantiles",
            pa.list_(_f32),
            "0.1, 0.25, 0.5, 0.75, 0.9 quantiles of the non-zero activations, interpolated",
        ),
        Column(
            "activation_histogram",
            pa.list_(_i64),
            "activations in each of 20 equally wide bins from min_activation to max_activation; "
            "bin i begins at min_activation + i * (max_activation - min_activation) / 20; null "
            "when it never fires",
        ),
        Column(
            "top_tokens",
            pa.list_(_text),
            "up to 10 tokens with the most mass: the sum of the absolute activations on a token",
        ),
        Column("top_token_shares", pa.list_(_f32), "their shares of the latent's mass"),
        Column(
            "top_token_recall",
            _f32,
            "activations on the first of top_tokens / occurrences of that token in the run; with "
            "top_token_shares[1] it finds latents of a single token: both 1 when the latent fires "
            "on that token alone and every time; null when it never fires",
        ),
        Column("n_tokens_80", _i32, "fewest distinct tokens that carry 80% of the mass"),
        Column(
            "token_entropy",
            _f32,
            "entropy of the mass over tokens in bits, -sum(p log2 p) with p a token's share of "
            "it: 0 for one token; null when it never fires",
        ),
        Column(
            "first_token_share",
            _f32,
            "share of the mass on the first token of a context that can carry an activation; null "
            "when it never fires",
        ),
        Column(
            "special_token_share",
            _f32,
            "share of the mass on special tokens, 0 with filter_bos; null when it never fires",
        ),
        Column(
            "position_bias",
            _f32,
            "(mean offset in the context of its activations - that of the tokens that can carry "
            "one) / cache_ctx_len: below 0 early in the context, above 0 late; 0.29 / "
            "sqrt(n_activations) is usual by chance; null when it never fires",
        ),
        Column(
            "position_entropy",
            _f32,
            "entropy of the offsets of its activations in bits, -sum(p log2 p) with p the share of "
            "activations at an offset: at most log2(least(n_activations, cache_ctx_len)); null "
            "when it never fires",
        ),
        Column("decoder_norm", _f32, "L2 norm of the decoder row"),
        Column("encoder_norm", _f32, "L2 norm of the encoder row"),
        Column("encoder_decoder_cosine", _f32, "cosine of encoder and decoder row"),
        Column(
            "nearest_neighbour",
            _i32,
            "the latent of rank 1 in neighbours by neighbour_method; null when there is none",
        ),
        Column("neighbour_similarity", _f32, "its similarity, see neighbours"),
        Column(
            "neighbour_method",
            _text,
            "first of neighbours.methods; null when latents were described without neighbours",
        ),
        Column(
            "reason",
            _text,
            "dead: it never fires; else null. What a selection asks of a latent, eligibility says",
        ),
        _written,
    ),
    ("run", "hookpoint", "latent"),
)

NEIGHBOURS = Table(
    "neighbours",
    "One latent among those most like another, by one method: an ordered pair.",
    (
        _run,
        _hookpoint,
        Column("method", _text, "what `similarity` compares: co-occurrence, decoder or encoder"),
    ),
    (
        _latent,
        Column("neighbour", _i32, "index of the latent that is like it, another one"),
        Column("rank", _i32, "1 the most similar; equally similar ones by their index"),
        Column(
            "similarity",
            _f32,
            "co-occurrence: tokens on which both fire / tokens on which either fires, above 0; "
            "decoder, encoder: cosine of the two latents' weight rows; else what the method says",
        ),
    ),
    ("run", "hookpoint", "method", "latent", "neighbour"),
)

EXAMPLES = Table(
    "examples",
    "One window shown to an explainer or a scorer.",
    (_run, _hookpoint, _selection),
    (
        _latent,
        Column("example", _i32, "index of the example within the latent and selection"),
        Column("activating", _bool, "whether the latent fires in the window"),
        Column("split", _text, "train (for the explainer) or test (for the scorers)"),
        Column("source", _text, "where the window comes from: a sampler or a negative source"),
        Column("quantile", _i32, "rank bin or range, 0 the strongest; null when not activating"),
        Column("position", _i64, "position of the window's first token"),
        Column("tokens", pa.list_(_i32), "token ids of the window"),
        Column("str_tokens", pa.list_(_text), "the same as text"),
        Column("activations", pa.list_(_f32), "activation of the latent on each token"),
        Column(
            "normalized",
            pa.list_(_i8),
            "ceil(10 * abs(activation / latent_max)) with the activation's sign, -10 to 10",
        ),
        Column("max_activation", _f32, _STRONGEST),
        Column(
            "latent_max",
            _f32,
            "strongest activation in the windows that could be drawn, with its sign",
        ),
        Column(
            "neighbour",
            _i32,
            "the latent alike that fires in a non-activating window; null from other sources",
        ),
        Column(
            "similarity",
            _f32,
            "of that neighbour; semantic: cosine of this window and the activating example most "
            "like it; null from other sources",
        ),
        Column(
            "neighbour_activations",
            pa.list_(_f32),
            "activation of the neighbour on each token; null without a neighbour",
        ),
        Column(
            "shared_document_share",
            _f32,
            "of the latent: share of its activating test windows in which a document of a train "
            "window stands; null without test windows, where documents are not known, and in "
            "selections made by versions that did not say",
            added=True,
        ),
        Column(
            "n_weaker",
            _i64,
            "of the latent: windows in which it fires that were not considered, for they are "
            "weaker than the max_examples strongest; null in selections made by versions that did "
            "not say",
            added=True,
        ),
        Column(
            "n_in_bin",
            _i64,
            "of an activating test window: the windows of its bin from which test windows were "
            "drawn, those that train left over; null elsewhere, and in selections made by versions "
            "that did not say",
            added=True,
        ),
    ),
    ("run", "hookpoint", "selection", "latent", "example"),
)

EMBEDDINGS = Table(
    "embeddings",
    "One whole aligned window of the corpus as a sentence encoder sees it.",
    (
        _run,
        Column("sentence_encoder", _text, "name or folder of the encoder"),
        Column("example_ctx_len", _i32, "tokens in a window"),
        _shard,
    ),
    (
        Column("position", _i64, "position of the window's first token"),
        Column(
            "embedding",
            pa.list_(_i16),
            "vector of length 1 of the window's text, times 2,048, rounded",
        ),
    ),
    ("run", "sentence_encoder", "example_ctx_len", "position"),
)

SHORTFALLS = Table(
    "shortfalls",
    "One latent that got fewer examples than asked for in a selection, and why.",
    (_run, _hookpoint, _selection),
    (
        _latent,
        Column("pool", _i64, "activating windows that could be drawn"),
        Column("train", _i32, "train windows drawn"),
        Column("train_missing", _i32, "train windows asked for and not there"),
        Column("test", _i32, "test windows drawn"),
        Column("test_missing", _i32, "test windows asked for and not there"),
        Column("non_activating", _i32, "non-activating windows drawn"),
        Column("non_activating_missing", _i32, "non-activating windows not there"),
        Column(
            "reason",
            _text,
            "dead, too_few_windows: as in eligibility; too_few_activating, too_few_silent, "
            "too_few_of_both: it is explained, from fewer windows than asked for",
        ),
        Column(
            "lacking",
            _text,
            "sources that gave too few non-activating windows, with how many; null where none did",
            added=True,
        ),
    ),
    ("run", "hookpoint", "selection", "latent"),
)

ELIGIBILITY = Table(
    "eligibility",
    "Whether a latent that a selection asks for can be explained from it.",
    (_run, _hookpoint, _selection),
    (
        _latent,
        Column(
            "code",
            _text,
            "eligible; dead: it never fires; too_few_windows: it fires in fewer than min_examples",
        ),
        Column(
            "n_windows",
            _i64,
            "activating windows that may be shown; null where there were enough, in selections of "
            "versions that did not say",
        ),
        Column("min_examples", _i32, "fewest that it is explained from: selection.min_examples"),
    ),
    ("run", "hookpoint", "selection", "latent"),
)

EXPLANATIONS = Table(
    "explanations",
    "One explanation of one latent by one explainer, model and prompt; a failure is a row too.",
    (_run, _hookpoint),
    (
        Column("explanation_id", _text, "hash of latent, selection, explainer, model and prompt"),
        _latent,
        _selection,
        Column("explainer", _text, "explainer that wrote it"),
        Column(
            "explainer_model",
            _text,
            "LiteLLM model string, the explainer's name without an LLM, or routes for what a route "
            "made",
            formerly="model",
        ),
        Column("candidate", _i32, "best_of_k: which of the k, from 0; null from other explainers"),
        Column(
            "quick_score",
            _f64,
            "best_of_k: balanced accuracy of detection on train windows that the prompt did not "
            "show; null where it was not judged",
        ),
        Column(
            "chosen",
            _bool,
            "whether scorers judge it: true, but for candidates that lost or wait for the others",
        ),
        Column("explanation", _text, "the explanation; null when it failed"),
        Column("failure", _text, "why there is none; null when there is one"),
        Column("prompt_hash", _text, "hash of the instructions the explainer used"),
        Column("request", _text, "completion that gave it; null without an LLM"),
        Column("quick_request", _text, "completion that gave quick_score; null without one"),
        Column(
            "n_shown",
            _i32,
            "activating train windows that the explainer saw",
            formerly="n_examples",
        ),
        Column("prompt_tokens", _i64, "tokens sent"),
        Column("completion_tokens", _i64, "tokens received"),
        Column("cost", _f64, "US dollars; null when the provider's price is unknown"),
        Column("latency", _f64, "seconds from sending to the answer"),
        Column(
            "prompt_version",
            _i32,
            "version of the shipped prompts that the explainer used; null without an LLM, and in "
            "rows from before it was noted: 1",
            added=True,
        ),
        Column(
            "route",
            _text,
            "dense, position, token or word: the explainer's LLM was not asked, as the latent "
            "needs none; null where the explainer itself wrote the row",
            added=True,
        ),
        Column(
            "reason", _text, "the numbers that speak for the route; null without one", added=True
        ),
        _written,
        _generation,
    ),
    ("explanation_id",),
)

PREDICTIONS = Table(
    "predictions",
    "One scorer's answer on one example, given one explanation; a failure is a row too.",
    (_run, _hookpoint),
    (
        Column(
            "explanation_id", _text, "the explanation that was judged; none: judged without one"
        ),
        _latent,
        _selection,
        Column("scorer", _text, "name of the scorer"),
        Column(
            "judge",
            _text,
            "who judged: a LiteLLM model string, 'lexical', or a local model",
            formerly="model",
        ),
        Column("judge_hash", _text, "how it was asked: hash of instructions and settings"),
        Column(
            "control",
            _text,
            "none: the latent's own explanation; shuffled: another latent's; empty: no text",
        ),
        Column("example", _i32, "the example that was judged; intruder: the odd one out"),
        Column(
            "variant",
            _text,
            "fuzz: true or false highlighting; intruder: default or internal; else plain",
        ),
        Column("truth", _bool, "the right answer; where one of several is picked, always true"),
        Column(
            "prediction",
            _bool,
            "the scorer's answer, or whether it picked right; null when it failed or says neither",
        ),
        Column("probability", _f64, "probability of true, where the judge gives one"),
        Column(
            "value",
            _f64,
            "score of a scorer that says neither yes nor no; higher is more like the truth",
        ),
        Column(
            "simulated",
            pa.list_(_f32),
            "simulation: activation expected on each token of the example",
        ),
        Column(
            "quantile",
            _i32,
            "rank bin of the example; null when not activating; intruder: of the other windows",
        ),
        Column(
            "chance",
            _f64,
            "where one of several is picked: share of right picks by a judge that knows nothing",
        ),
        Column("failure", _text, "why there is no answer; null when there is one"),
        Column("request", _text, "completion that gave it; null without an LLM"),
        Column(
            "prompt_version",
            _i32,
            "version of the shipped prompts that the judge read; null for a judge without prompts, "
            "and in rows from before it was noted: 1",
            added=True,
        ),
        _written,
        _generation,
    ),
    (
        "explanation_id",
        "latent",
        "selection",
        "scorer",
        "judge",
        "judge_hash",
        "control",
        "example",
        "variant",
    ),
)

COMPLETIONS = Table(
    "completions",
    "One LLM call, written before its answer is used.",
    (_run,),
    (
        Column("request", _text, "hash of model, messages and sampling parameters"),
        Column("role", _text, "explainer or the name of a scorer"),
        Column("model", _text, "LiteLLM model string"),
        Column("messages", _text, "the prompt, as JSON"),
        Column("answer", _text, "raw answer; null when the call failed"),
        Column("logprobs", _text, "token log-probabilities as JSON, when asked for and given"),
        Column("finish_reason", _text, "why the model stopped"),
        Column("prompt_tokens", _i64, "tokens sent"),
        Column("cached_tokens", _i64, "of these, tokens the provider had cached"),
        Column("completion_tokens", _i64, "tokens received"),
        Column("cost", _f64, "US dollars; null when the provider's price is unknown"),
        Column("latency", _f64, "seconds from sending to the answer, last attempt"),
        Column("attempts", _i32, "requests sent"),
        Column("error", _text, "what failed, without secrets; null when it worked"),
        _written,
        _generation,
    ),
    ("request",),
)

LABELS = Table(
    "labels",
    "One value that a user gave a latent, such as a rating, a cluster or a note.",
    (_run, _hookpoint, Column("source", _text, "who or what gave it, as a person or a site")),
    (
        _latent,
        Column("name", _text, "what it is, as the column was called that it came from"),
        Column(
            "value",
            _text,
            "the value as text; null in the files where it was withdrawn, which is no row of the "
            "view",
        ),
        Column("number", _f64, "the value as a finite number; null where it is none"),
        Column("written_at", _when, "when the row was written, UTC; the last one wins"),
        _generation,
    ),
    ("run", "hookpoint", "source", "latent", "name"),
)

PLANTED = Table(
    "planted",
    "One description of a latent that was planted, true or wrong in a known way, with what is "
    "known of the latent.",
    (_run, _hookpoint),
    (
        _latent,
        Column("name", _text, "name of its predicate"),
        Column(
            "kind",
            _text,
            "kind of its predicate: token, words, topic and so on; package.module:function for one "
            "that came with a file",
        ),
        Column(
            "relation",
            _text,
            "how the description stands to the truth: true, parent (too broad), child (too "
            "narrow), sibling, condition_missing, condition_extra, other (another latent's), empty",
        ),
        Column("number", _i32, "1 for the first description of this relation"),
        Column("text", _text, "the description; of the relation empty a text without a letter"),
        Column("sign", _i8, "of its activations: 1 or -1"),
        Column("base_rate", _f64, "n_true / tokens that are not special"),
        Column("n_true", _i64, "tokens on which its predicate holds"),
        Column("n_missed", _i64, "of these, tokens on which it does not fire, for any reason"),
        Column("n_false", _i64, "tokens on which it fires and its predicate does not hold"),
        Column("miss_rate", _f64, "planted share of missed tokens among those of n_true"),
        Column("absorbed_by", _i32, "latent on whose tokens it misses more; null without one"),
        Column("absorbed_rate", _f64, "planted share of those tokens"),
        Column("silent_rate", _f64, "planted share of contexts in which it does not fire at all"),
        Column(
            "false_fire_rate",
            _f64,
            "planted share of the tokens, in other contexts, on which its predicate does not hold "
            "and it fires",
        ),
        Column("stronger_at", _i32, "latent on whose tokens it is stronger; null without one"),
        Column("strength_factor", _f64, "how many times as strong it is there"),
    ),
    ("run", "hookpoint", "latent", "relation", "number"),
)

JUDGES = Table(
    "judges",
    "What a judge, asked in one way, makes of planted latents, whose descriptions are known to be "
    "true or wrong: its card. `delphi-assets calibrate` writes it.",
    (_run,),
    (
        Column("planted_run", _text, "run whose latents were planted, on this run's contexts"),
        Column("scorer", _text, "scorer, as in predictions"),
        Column("judge", _text, "LLM, as in predictions"),
        Column("judge_hash", _text, "how it was asked, as in predictions: by it scores find it"),
        Column("answer", _text, "list or first_token, as score.answer"),
        Column("n_windows_asked", _i32, "most windows a question"),
        Column(
            "log_prob",
            _bool,
            "whether windows are ranked by log-probabilities; else by yes and no",
        ),
        Column("best", _bool, "whether it is the way to ask that is best for the money"),
        Column("n_latents", _i64, "planted latents that it was asked about"),
        Column("n_answers", _i64, "answers asked for: windows under true and wrong descriptions"),
        *_estimate(
            "auroc",
            "given the true description, how often a window in which the latent fires is ranked "
            "above a silent one of the same latent, ties half; mean over latents",
            "Student's, over latents; null with fewer than three",
        ),
        Column("n_pairs", _i64, "true and wrong descriptions of a latent that were both judged"),
        *_estimate(
            "true_above_wrong",
            "share of the pairs in which that number is higher under the true description, ties "
            "half",
            "Wilson",
        ),
        *_estimate("yes_share", "share of yes under true descriptions", "Wilson"),
        Column(
            "bias",
            _f64,
            "yes_share less the share of these windows in which the latent fires: above 0 it says "
            "yes too often",
        ),
        *_estimate("failed_share", "share of the answers that failed", "Wilson"),
        Column("failures", _text, "reasons and how often, the most frequent first; null without"),
        Column("n_calls", _i64, "questions behind the answers"),
        Column("prompt_tokens", _i64, "tokens sent"),
        Column("cached_tokens", _i64, "of these, tokens that the server had read before"),
        Column("completion_tokens", _i64, "tokens received"),
        Column("dollars", _f64, "US dollars; null when the price is unknown"),
        Column("seconds", _f64, "seconds from sending to the answer, added up over the questions"),
        Column("calls_per_second", _f64, "n_calls / seconds: as if asked one after the other"),
        Column(
            "n_strong",
            _i64,
            "windows of the strong LLM's that were judged; 0 where none were asked about",
        ),
        *_estimate(
            "strong_agreement", "share of them on which the two give the same answer", "Wilson"
        ),
        Column(
            "strong_kappa",
            _f64,
            "Cohen's kappa of these answers; null where both always answer the same",
        ),
        *_estimate(
            "strong_auroc",
            "as auroc, with the strong LLM's yes and no in place of the truth",
            "Student's, over latents; null with fewer than three",
        ),
        Column("prompt_version", _i32, "version of the shipped prompts that it read"),
        Column("selection", _text, "name of the planted run's selection whose windows it judged"),
        _written,
        _generation,
    ),
    ("run", "planted_run", "scorer", "judge", "judge_hash"),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        CONTEXTS,
        VOCABULARY,
        WEIGHTS,
        ACTIVATIONS,
        WINDOWS,
        LATENTS,
        NEIGHBOURS,
        EMBEDDINGS,
        EXAMPLES,
        SHORTFALLS,
        ELIGIBILITY,
        EXPLANATIONS,
        PREDICTIONS,
        COMPLETIONS,
        LABELS,
        PLANTED,
        JUDGES,
    )
}

INTERMEDIATE: dict[str, Table] = {CAPTURED.name: CAPTURED}
"""What one stage writes and the next takes away: without a view, not in the table reference."""

_judged = (
    _run,
    _hookpoint,
    Column("latent", _i32, "the latent that the windows are of"),
    Column("explanation_id", _text, "the explanation that was judged"),
    _selection,
    Column("scorer", _text, "scorer, as in predictions"),
    Column("judge", _text, "who judged, as in predictions"),
    Column("judge_hash", _text, "how it was asked: hash of instructions and settings"),
    Column("control", _text, "none, shuffled or empty, as in predictions"),
)
_asked = (
    Column("n_examples", _i64, "answers asked for"),
    Column("n_failed", _i64, "of these, answers that failed; they count in nothing below"),
    Column("failed_share", _f64, "n_failed / n_examples"),
)


_accuracy = _estimate(
    "accuracy", "right answers / answers of yes or no; of picks, the share of right ones", "Wilson"
)
_chance = Column(
    "chance",
    _f64,
    "of picks, the accuracy of a judge that knows nothing, over those answered; null elsewhere",
)
_correlation = (
    *_estimate(
        "correlation",
        "of simulated with real activations: Pearson's, over all tokens of all windows laid end to "
        "end; 0 for a constant simulation, null when the real ones are constant",
        "the jackknife's over windows, on Fisher's z scale, with Student's quantile of as many "
        "degrees of freedom as windows carry it; null for a constant simulation. Too narrow where "
        "effective_windows is below 4 (docs/scorers.md has its coverage)",
    ),
    Column(
        "constant_simulation",
        _bool,
        "whether the judge expected the same activation on every token; null without a correlation",
    ),
    Column(
        "effective_windows",
        _f64,
        "number of windows on which the interval of the correlation rests; null without one",
    ),
)

SCORES = Table(
    "scores",
    "One explanation, judged by one scorer and judge. A view of predictions "
    "(`sql/scores/scores.sql`). What is undefined is null: precision, f1, balanced_accuracy, auroc "
    "and auprc need true and false examples, auroc and auprc a probability or value for each; "
    "mass_found and mass_explained need answers of yes or no about windows: null where one of "
    "several is picked, or a number or activations are the answer.",
    (),
    (
        *_judged,
        *_asked,
        Column("true_positives", _i64, "true examples answered with yes"),
        Column("false_positives", _i64, "false examples answered with yes"),
        Column("true_negatives", _i64, "false examples answered with no"),
        Column("false_negatives", _i64, "true examples answered with no"),
        *_estimate(
            "precision",
            "true_positives / answers of yes",
            "Wilson's with the effective sample size precision (1 - precision) / variance, that "
            "which recall and specificity give it",
        ),
        *_estimate("recall", "true_positives / true examples answered", "Wilson"),
        *_estimate("specificity", "true_negatives / false examples answered", "Wilson"),
        *_estimate(
            "f1",
            "harmonic mean of precision and recall, 2 j / (1 + j) with "
            "j = true_positives / (true_positives + false_positives + false_negatives)",
            "Wilson's of j, transformed alike (Lam, Gopal and Qian 2023, indirect), with the "
            "effective sample size that recall and specificity give it",
        ),
        *_accuracy,
        _chance,
        *_estimate(
            "balanced_accuracy",
            "mean of recall and specificity",
            "of a sum, from their Wilson intervals (Newcombe 1998, method 10; Zou and Donner 2008)",
        ),
        *_estimate(
            "mass_found",
            "activation in windows answered with yes / activation in all windows in which the "
            "latent fires, estimated from the test windows, which stand for their bins "
            "(`sql/scores/masses.sql`)",
            "Wilson's with the effective sample size of the weights (Kish 1965)",
            added=True,
        ),
        *_estimate(
            "mass_explained",
            "mass_found less the share of false examples answered with yes: 1 for a judge that "
            "finds all and claims nothing else, 0 for one that answers whatever it sees",
            "of a difference, from those of mass_found and specificity, as of balanced_accuracy",
            added=True,
        ),
        *_estimate(
            "auroc",
            "how often a true example is ranked above a false one, ties half; by probability, by "
            "value where there is none",
            "Wilson's with the effective sample size auroc (1 - auroc) / variance, the variance "
            "DeLong's (1988), at most the number of answers; null with one true or false example",
        ),
        *_estimate(
            "auprc",
            "average precision: precision at each distinct answer, weighted by the recall it adds",
            "Wilson's with the effective sample size auprc (1 - auprc) / variance, the variance "
            "the jackknife's, at most 1.5 times the number of answers or 3 times that of true "
            "ones, with Student's quantile; null with one true or false example",
        ),
        Column(
            "auprc_chance",
            _f64,
            "what auprc would be on average, were the same answers dealt to the examples at "
            "random: a little above the share of true ones",
        ),
        *_correlation,
    ),
    tuple(column.name for column in _judged),
)

QUANTILE_SCORES = Table(
    "quantile_scores",
    "The same for one rank bin of windows. A view of predictions "
    "(`sql/scores/quantile_scores.sql`).",
    (),
    (
        *_judged,
        Column("quantile", _i32, "rank bin, 0 the strongest; null when not activating"),
        *_asked,
        Column("n_right", _i64, "right answers of yes or no"),
        *_accuracy,
        _chance,
        *_correlation,
    ),
    (*(column.name for column in _judged), "quantile"),
)

RUNS = Table(
    "runs",
    "One run: what it is of, and how large it is. From the manifests (`sql/derived/runs.sql`).",
    (),
    (
        _run,
        Column("model", _text, "subject model: model.name of the profile"),
        Column("model_revision", _text, "its revision; null where the profile says none"),
        Column("coder", _text, "sparse coder: coder.sparse_model"),
        Column("corpus", _text, "corpus: corpus.dataset_repo"),
        Column("corpus_name", _text, "corpus.dataset_name; null where the profile says none"),
        Column("corpus_split", _text, "corpus.dataset_split"),
        Column(
            "cache_ctx_len",
            _i64,
            "tokens in a context, in the last one at most; other tables need it only where a "
            "position is taken apart, which the views positions and top_windows do",
        ),
        Column("seed", _i64, "run.seed"),
        Column("n_contexts", _i64, "contexts that are there"),
        Column("n_tokens", _i64, "tokens in them, special ones too"),
        Column("begun_at", _when, "when the first shard of contexts was written; null without one"),
        Column("last_written_at", _when, "when the last shard was"),
        Column("schema_version", _i32, "the newest that a shard was written with"),
        Column(
            "library_version",
            _text,
            "of this library, when the last shard was written; null where it was not noted",
        ),
    ),
    ("run",),
)

DOCUMENTS = Table(
    "documents",
    "One document of a run's corpus, as far as it was read. A view of contexts "
    "(`sql/derived/documents.sql`).",
    (),
    (
        _run,
        Column("document", _text, "id of the document"),
        Column("contexts", _i64, "number of contexts in which it stands"),
        Column(
            "tokens",
            _i64,
            "number of its tokens in them; those of all documents are the run's but for the BOS "
            "of each context",
        ),
        Column("source", _text, "where the document is from; null: not noted yet"),
    ),
    ("run", "document"),
)

POSITIONS = Table(
    "positions",
    "One token of a run, where it stands and in which document. A view of contexts and vocabulary "
    "(`sql/derived/positions.sql`); a filter of run and position reads the contexts with those "
    "positions alone.",
    (),
    (
        _run,
        Column("position", _i64, "as in activations, windows and examples"),
        Column("context", _i64, "index of the context in the run"),
        Column("offset", _i64, "of the token in its context, from 0; SQL wants its name in quotes"),
        Column("document", _text, "its document; null for BOS, and where none is known"),
        Column("token", _i32, "token id"),
        Column("text", _text, "the token as text"),
    ),
    ("run", "position"),
)

TOP_WINDOWS = Table(
    "top_windows",
    "One whole aligned window in which a latent fires, and its context. A view of windows "
    "(`sql/derived/top_windows.sql`); `window_text(run, position, example_ctx_len)` is its text.",
    (),
    (
        _run,
        _hookpoint,
        Column("example_ctx_len", _i32, "tokens in the window"),
        _latent,
        Column("place", _i32, "1 for the latent's strongest window, the first of several"),
        Column("position", _i64, "position of the window's first token"),
        Column("context", _i64, "index of its context in the run"),
        Column("offset", _i64, "of its first token in that context"),
        Column("max_activation", _f32, _STRONGEST),
    ),
    ("run", "hookpoint", "example_ctx_len", "latent", "place"),
)

KEPT_SCORES = Table(
    "kept_scores",
    "The rows of the view scores, as the stages kept them: what statements read. A connection "
    "computes the rows of hookpoints whose predictions have gone on since.",
    SCORES.columns[:2],
    SCORES.columns[2:],
    SCORES.identity,
)
TABLES[KEPT_SCORES.name] = KEPT_SCORES

_of_windows = "on the same windows, by the same judge, asked in the same way; null where not judged"

SCORED_LATENTS = Table(
    "scored_latents",
    "One explanation of a latent, judged by one scorer, with its floors beside it, and what is "
    "known of the latent. A view (`sql/scores/scored_latents.sql`).",
    (),
    (
        _run,
        _hookpoint,
        _latent,
        Column("explainer", _text, "explainer that wrote it; none: judged without an explanation"),
        Column("explainer_model", _text, "its model, as in explanations"),
        Column("scorer", _text, "scorer, as in predictions"),
        Column("judge", _text, "who judged, as in predictions"),
        Column("explanation", _text, "the explanation; null when judged without one"),
        Column(
            "metric",
            _text,
            "what score is: balanced_accuracy where the scorer answers yes or no, accuracy where "
            "it picks, correlation where it simulates, auroc where it only ranks (metric_of)",
        ),
        Column("score", _f64, "the metric of the explanation; null where it is undefined"),
        Column("low", _f64, "lower end of its 95% interval, as in scores"),
        Column("high", _f64, "upper end"),
        Column("floor", _f64, "the higher of shuffled and empty; null without controls"),
        Column(
            "chance",
            _f64,
            "what a judge that knows nothing gets: 0.5, 0 of a correlation; of picks as in scores",
        ),
        Column("n_answers", _i64, "answers asked for"),
        Column("n_failed", _i64, "of these, answers that failed"),
        _selection,
        Column("judge_hash", _text, "how it was asked: hash of instructions and settings"),
        Column("explanation_id", _text, "the explanation; none: judged without one"),
        *_estimate(
            "shuffled", f"the metric of another latent's explanation {_of_windows}", "as low"
        ),
        *_estimate("empty", f"the metric of no text {_of_windows}", "as low"),
        *(
            Column(name, _f64, "as in scores")
            for name in (
                "precision",
                "recall",
                "f1",
                "accuracy",
                "balanced_accuracy",
                "mass_found",
                "mass_explained",
                "mass_explained_low",
                "mass_explained_high",
                "auroc",
                "correlation",
            )
        ),
        *(column for column in LATENTS.columns if column not in (_latent, _written)),
    ),
    tuple(column.name for column in _judged if column.name != "control"),
)

VIEWS: dict[str, Table] = {
    view.name: view
    for view in (
        RUNS,
        DOCUMENTS,
        POSITIONS,
        TOP_WINDOWS,
        SCORED_LATENTS,
        SCORES,
        QUANTILE_SCORES,
    )
}
"""What is computed from the tables when it is asked for, see `sql/derived/` and `sql/scores/`."""
