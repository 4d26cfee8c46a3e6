"""The sections of a profile: what may stand in each, within which bounds, and what is taken unsaid.

In: a TOML table, as a dictionary. Out: a frozen section; descriptions of settings are their
documentation. Names are Delphi's where Delphi has one.
"""

import re
from typing import Any, Literal, Self, TypeGuard

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from delphi_assets.ground import key_shapes
from delphi_assets.ground.foreign_text import clean_text
from delphi_assets.ground.hookpoint_names import LONGEST_NAME, NAME
from delphi_assets.ground.registries import (
    CODER_FORMATS,
    EXPLAINERS,
    NEIGHBOUR_METHODS,
    SCORERS,
    SOURCES,
    TEST_SAMPLERS,
    TRAIN_SAMPLERS,
    TRANSPORTS,
)
from delphi_assets.ground.registry import Registry
from delphi_assets.ground.shown_values import nearest, shown
from delphi_assets.settings import options
from delphi_assets.settings.strict import Settings

TRAIN = "embedded:train"
"""The `coder.sparse_model` that is trained on the run's own contexts."""

RANDOM_ROWS = "embedded:random"
SHUFFLED_ROWS = "embedded:shuffled"
FLOORS = (RANDOM_ROWS, SHUFFLED_ROWS)
"""Those `coder.sparse_models` that are made from `coder.sparse_model` and know nothing."""

EMBEDDED_ENCODER = "embedded"
"""The `selection.sentence_encoder` that comes with the `demo` extra."""

Control = Literal["shuffled", "empty"]
PromptVersion = Literal["kept", "latest"]
Route = Literal["dense", "position", "token", "word"]
OptionTables = dict[str, dict[str, Any]]
"""Options, by the name of what takes them; what may stand in a table it says itself."""


LONGEST_CONTEXT = 2**20
"""Tokens that a context may have."""
MOST_SHARDS = 1_000_000
"""Token shards that a run may have: each is a partition of Dagster, and a file of a hookpoint."""

_A_DAY = 86_400
_LONGEST_TEXT = 4_096
_MOST = 2**31 - 1
_MOST_EXAMPLES = 1_000_000
_LEAST_SHARE, _LARGEST_SHARE = 1e-6, 1_000_000


class _Section(Settings):
    @field_validator("*", mode="before")
    @classmethod
    def _can_be_stored(cls, given: object, info: ValidationInfo) -> object:
        """Refuse, in any setting, numbers and texts that nothing further on can hold."""
        for value in options.scalars(given, deep=info.field_name == "options"):
            _check_scalar(value)
        # Negative zero is another number wherever settings are hashed as text.
        return 0.0 if isinstance(given, float) and given == 0 else given


class RunSettings(_Section):
    """What the run is called and where its tables live."""

    name: str = Field(
        pattern=NAME,
        max_length=LONGEST_NAME,
        description="name of this configuration in the lake",
    )
    lake: str = Field("lake", description="folder or object-store URL of the lake")
    seed: int = Field(22, ge=0, description="seed of every draw and of the SAE's training")


class ModelSettings(_Section):
    """The subject model."""

    name: str = Field(description="Hugging Face name, local folder, or embedded:gemma-3-270m")
    revision: str | None = Field(None, description="revision on the hub")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "bfloat16", description="precision of the forward pass"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")


class CorpusSettings(_Section):
    """The text the model reads."""

    dataset_repo: str = Field(
        description="Hugging Face dataset, folder or file of text / jsonl / Parquet, or "
        "embedded:python-docs"
    )
    dataset_name: str | None = Field(None, description="configuration of the dataset")
    dataset_split: str = Field("train", description="split of the dataset")
    dataset_column: str = Field("text", description="column that holds the text")
    shuffle_buffer: int = Field(
        0,
        ge=0,
        le=_MOST,
        description="documents held at a time, the next one drawn from them by run.seed; 0 keeps "
        "the corpus's order",
    )


class CacheSettings(_Section):
    """How activations are cached."""

    n_tokens: int = Field(10_000_000, gt=0, description="tokens to run through the model")
    cache_ctx_len: int = Field(256, gt=1, le=LONGEST_CONTEXT, description="tokens in a context")
    batch_size: int = Field(8, gt=0, le=65_536, description="contexts in a forward pass")
    hookpoints: tuple[str, ...] = Field(
        strict=False,
        min_length=1,
        description="modules of the model that the coders read; 'layers.9@wide' reads layers.9 "
        "with the coder that coder.sparse_models names wide",
    )
    filter_bos: bool = Field(
        True, description="drop activations on special tokens; the model still sees them"
    )
    activation_dtype: Literal["float16", "float32"] = Field(
        "float16", description="precision that activations are rounded to before they are stored"
    )
    shard_tokens: int = Field(
        262_144, gt=0, lt=2**31, description="tokens in a shard: the unit of resuming and backfill"
    )
    n_buckets: int = Field(
        16, gt=0, le=65_536, description="latent ranges a hookpoint is split into"
    )
    buffer_mib: int = Field(
        128,
        ge=64,
        le=2**20,
        description="MiB that activations on their way to disk may take, all hookpoints together",
    )


class CoderSettings(_Section):
    """The sparse coders, one a hookpoint."""

    sparse_model: str | None = Field(
        None,
        description="coder of any known format by folder or hub name, a folder of the repository "
        "behind it, with {layer} or {hookpoint} for what differs between hookpoints; or "
        "embedded:train to train one",
    )
    sparse_models: dict[str, str] = Field(
        {},
        description="more coders by a name of their own, for hookpoints such as 'layers.9@wide'; "
        "or embedded:random or embedded:shuffled, a floor made from sparse_model",
    )
    format: str | None = Field(
        None,
        description=f"format of sparse_model: {', '.join(CODER_FORMATS.shipped())}, or "
        "package.module:name for one of your own; unless given, the one that its files tell",
    )
    formats: dict[str, str] = Field(
        {}, description="the same for coders of sparse_models, by the coder's name"
    )
    options: OptionTables = Field(
        {},
        description="options of coder formats of one's own, by the format's name: "
        '[coder.options."my_package.my_module:MyFormat"]',
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="precision of the encoder"
    )
    transcoder_subtracts_b_dec: bool = Field(
        False,
        description="sparsify transcoder trained before February 2025: subtract b_dec from its "
        "input too",
    )
    expansion_factor: int = Field(
        8, gt=0, le=65_536, description="trained coder: latents per input dimension"
    )
    k: int = Field(32, gt=0, le=_MOST, description="trained coder: active latents a token")
    train_tokens: int = Field(200_000, gt=0, description="trained coder: tokens to train on")
    epochs: int = Field(4, gt=0, le=100_000, description="trained coder: passes over those tokens")
    train_batch: int = Field(2_048, gt=0, le=2**24, description="trained coder: tokens in a step")
    lr: float = Field(2e-3, gt=0, le=100, description="trained coder: peak learning rate of Adam")

    @model_validator(mode="after")
    def _named_coders_exist(self) -> Self:
        if odd := [name for name in self.sparse_models if not re.fullmatch(NAME, name)]:
            raise ValueError(
                f"coder.sparse_models holds the name {odd[0]!r}; expected letters, digits, '.', "
                "'_' and '-', as it becomes part of a hookpoint's name"
            )
        if trained := [name for name, source in self.sparse_models.items() if source == TRAIN]:
            raise ValueError(
                f"coder.sparse_models.{trained[0]} = {TRAIN!r}; expected a coder that exists, as "
                "only coder.sparse_model is trained"
            )
        return self

    @model_validator(mode="after")
    def _floors_have_a_coder(self) -> Self:
        if self.sparse_model in FLOORS:
            raise ValueError(
                f"coder.sparse_model = {self.sparse_model!r}, which is made from a coder; expected "
                f"that coder, and {self.sparse_model!r} in coder.sparse_models under a name of its "
                "own"
            )
        floors = [name for name, source in self.sparse_models.items() if source in FLOORS]
        if floors and self.sparse_model is None:
            raise ValueError(
                f"coder.sparse_models.{floors[0]} = {self.sparse_models[floors[0]]!r} without "
                "coder.sparse_model, from which it is made; expected that coder"
            )
        if odd := sorted(set(floors) & set(self.formats)):
            raise ValueError(
                f"coder.formats.{odd[0]} = {self.formats[odd[0]]!r} with coder.sparse_models."
                f"{odd[0]} = {self.sparse_models[odd[0]]!r}, which is made from "
                "coder.sparse_model; expected no format for it"
            )
        return self

    @model_validator(mode="after")
    def _formats_exist(self) -> Self:
        if self.format is not None and self.sparse_model == TRAIN:
            raise ValueError(
                f"coder.format = {self.format!r} with coder.sparse_model = {TRAIN!r}, whose layout "
                "is known; expected no format for it"
            )
        if odd := sorted(set(self.formats) - set(self.sparse_models)):
            raise ValueError(
                f"coder.formats holds {odd[0]!r}; expected some of the names in "
                f"coder.sparse_models, {sorted(self.sparse_models)}"
            )
        named = {f"coder.formats.{name}": given for name, given in self.formats.items()}
        for setting, given in {"coder.format": self.format, **named}.items():
            _check_known(CODER_FORMATS, setting, given)
        _check_options(CODER_FORMATS, "coder.options", self.options)
        return self


class NeighbourSettings(_Section):
    """Which latents are alike."""

    methods: tuple[str, ...] = Field(
        ("co-occurrence",),
        strict=False,
        min_length=1,
        description="by what: co-occurrence (tokens on which both fire), decoder or encoder "
        "(cosine of weight rows), or package.module:name for one of your own",
    )
    n_neighbours: int = Field(
        250, ge=1, le=_MOST_EXAMPLES, description="neighbours a latent, the nearest first"
    )
    options: OptionTables = Field(
        {},
        description="options of methods of one's own, by the method's name: "
        '[neighbours.options."my_package.my_module:MyMethod"]',
    )

    @model_validator(mode="after")
    def _methods_exist(self) -> Self:
        for method in self.methods:
            _check_known(NEIGHBOUR_METHODS, "neighbours.methods", method, "holds")
        _check_options(NEIGHBOUR_METHODS, "neighbours.options", self.options)
        return self

    def options_told(self, method: str) -> dict[str, object]:
        """What neighbours by a method stand for, as far as its options go."""
        told = options.told_of(NEIGHBOUR_METHODS, "neighbours.options", self.options, method)
        return {"neighbours.options": told} if told else {}


class SelectionSettings(_Section):
    """Which windows represent a latent."""

    name: str = Field(
        "default",
        pattern=NAME,
        max_length=LONGEST_NAME,
        description="name of this selection in the lake",
    )
    latents: str = Field("all", description="latents to select for, e.g. '0-4, 17', or all")
    seed: int | None = Field(
        None, ge=0, description="seed of the draws; that of the run unless given"
    )
    example_ctx_len: int = Field(32, gt=0, le=LONGEST_CONTEXT, description="tokens in a window")
    min_examples: int = Field(
        200, gt=0, le=_MOST, description="fewest windows of an explained latent"
    )
    max_examples: int = Field(10_000, gt=0, le=_MOST, description="strongest windows considered")
    n_examples_train: int = Field(
        40, ge=1, le=_MOST_EXAMPLES, description="windows for the explainer"
    )
    n_examples_test: int = Field(
        50, ge=0, le=_MOST_EXAMPLES, description="activating windows for the scorers"
    )
    n_non_activating: int = Field(
        50, ge=0, le=_MOST_EXAMPLES, description="non-activating windows for the scorers"
    )
    n_non_activating_train: int = Field(
        0,
        ge=0,
        le=_MOST_EXAMPLES,
        description="non-activating windows for the explainer, from the same sources",
    )
    n_quantiles: int = Field(10, gt=0, le=10_000, description="rank bins")
    train_type: str = Field(
        "quantiles",
        description=f"sampler of the train windows: {', '.join(TRAIN_SAMPLERS.shipped())}, or "
        "package.module:name for one of your own",
    )
    test_type: str = Field(
        "quantiles",
        description="sampler of the test windows: quantiles (rank bins), activations (n_quantiles "
        "equally wide ranges of activation), or package.module:name for one of your own",
    )
    ratio_top: float = Field(0.2, ge=0, le=1, description="mix: share drawn from the top")
    center_examples: bool = Field(
        False, description="put the strongest token in the middle instead of aligning windows"
    )
    non_activating_source: dict[str, float] = Field(
        {"random": 1.0},
        description="where non-activating windows come from: random, co-occurrence, decoder, "
        "encoder (windows of neighbours by that method), semantic, package.module:name for one of "
        "your own, or several with their shares, asked in this order",
    )
    options: OptionTables = Field(
        {},
        description="options of sources and samplers of one's own, by the name: "
        '[selection.options."my_package.my_module:MySource"]',
    )
    sentence_encoder: str = Field(
        EMBEDDED_ENCODER,
        min_length=1,
        description="semantic: embedded (all-MiniLM-L6-v2), or a sentence-transformers model by "
        "folder or hub name",
    )

    @field_validator("non_activating_source", mode="before")
    @classmethod
    def _sources_have_shares(cls, given: object) -> object:
        shares = {given: 1.0} if isinstance(given, str) else given
        if not isinstance(shares, dict) or not shares or not _are_shares(shares):
            raise ValueError(
                f"selection.non_activating_source = {shown(given)}; expected one of "
                f"{SOURCES.shipped()}, or a table of some of them with shares "
                f"from {_LEAST_SHARE} to {_LARGEST_SHARE}, such as "
                "{ random = 0.5, co-occurrence = 0.5 }"
            )
        # What is normalized already stays as it is, to the last bit.
        total = sum(shares.values())
        return shares if _is_whole(total) else {k: v / total for k, v in shares.items()}

    split_documents: bool = Field(
        True,
        json_schema_extra={"before": False},
        description="keep test windows out of documents with a train window of the latent, where "
        "there are enough others",
    )
    draw_by_hookpoint: bool = Field(
        True,
        json_schema_extra={"before": False},
        description="draw other windows for the latent of the same number at another hookpoint",
    )
    semantic_gap: int = Field(
        1,
        ge=0,
        json_schema_extra={"before": 0},
        description="semantic: windows on either side of a train or test window that are left out",
    )

    @property
    def neighbour_methods(self) -> list[str]:
        """The methods whose neighbours give non-activating windows."""
        return [name for name in NEIGHBOUR_METHODS.shipped() if name in self.non_activating_source]

    @model_validator(mode="after")
    def _samplers_exist(self) -> Self:
        _check_known(TRAIN_SAMPLERS, "selection.train_type", self.train_type)
        _check_known(TEST_SAMPLERS, "selection.test_type", self.test_type)
        return self

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        for name, table in self.options.items():
            for registry in self._taking_options(name):
                _check_options(registry, "selection.options", {name: table})
        return self

    def _taking_options(self, name: str) -> list[Registry]:
        """Of what kinds `name` is here, or could be."""
        used = {
            SOURCES: [*self.non_activating_source],
            TRAIN_SAMPLERS: [self.train_type],
            TEST_SAMPLERS: [self.test_type],
        }
        here = [registry for registry, names in used.items() if name in names]
        return here or [next((one for one in used if one.is_known(name)), SOURCES)]

    @model_validator(mode="after")
    def _pool_is_large_enough(self) -> Self:
        wanted = max(self.min_examples, self.n_examples_train + self.n_examples_test)
        if self.max_examples < wanted:
            raise ValueError(
                f"selection.max_examples = {self.max_examples} is less than {wanted}, the larger "
                "of selection.min_examples and n_examples_train + n_examples_test; expected a "
                "pool that can fill them"
            )
        return self


class ExplainSettings(_Section):
    """Who explains, and how."""

    latents: str = Field(
        "all",
        description="latents to explain: '0-4, 17', all, 'next 1000' (the first that were never "
        "tried), or failed",
    )
    explainer: str = Field(
        "default",
        description="default, contrastive, single_token or best_of_k (an LLM), lexical (counting), "
        "none (what is stored), or one of your own, as 'package.module:name'",
    )
    explainer_model: str = Field("lexical", description="LiteLLM model string of the explainer")
    threshold: float = Field(
        0.3, ge=0, lt=1, description="share of the maximum above which a token is highlighted"
    )
    show_activations: bool = Field(True, description="list (token, 0-10) pairs under a window")
    cot: bool = Field(False, description="ask for chain of thought before the explanation")
    prompts: str | None = Field(
        None, description="folder of prompt files that stand in for shipped ones of the same name"
    )
    prompt_version: PromptVersion = Field(
        "kept",
        description="shipped prompts: of the version that the selection's explanations by this "
        "explainer and model were made with, or the latest, which asks again what others answered",
    )
    routes: tuple[Route, ...] = Field(
        (),
        strict=False,
        description="latents that get a label without an LLM, where the explainer asks one: dense, "
        "position, token, word",
    )
    route_share: float = Field(
        0.8,
        gt=0.5,
        le=1,
        description="routes token, word, position: least share of the activation that is there",
    )
    route_recall: float = Field(
        0.5,
        ge=0,
        le=1,
        description="the same: least share of the token's occurrences, or of contexts, in which "
        "the latent fires",
    )
    route_density: float = Field(
        0.1, gt=0, le=1, description="route dense: least share of tokens on which the latent fires"
    )
    options: OptionTables = Field(
        {},
        description="options of explainers of one's own, by the explainer's name: "
        '[explain.options."my_package.my_module:my_explainer"]',
    )
    candidates_by: str = Field("default", description="best_of_k: explainer of the candidates")
    k: int = Field(5, ge=1, le=1_000, description="best_of_k: candidates a latent")
    candidate_temperature: float = Field(
        0.7, gt=0, le=100, description="best_of_k: sampling temperature of the candidates"
    )
    quick_windows: int = Field(
        5,
        ge=1,
        le=10_000,
        description="best_of_k: train windows of each kind, firing and silent, held out of the "
        "prompt to choose by",
    )

    @model_validator(mode="after")
    def _can_explain(self) -> Self:
        _check_options(EXPLAINERS, "explain.options", self.options)
        if problem := EXPLAINERS.problem_of(self):
            raise ValueError(problem)
        return self


class ScoreSettings(_Section):
    """Who scores, and how."""

    latents: str = Field(
        "all",
        description="latents to score: '0-4, 17', all, 'next 1000' (the first with an explanation "
        "that was never scored), or failed",
    )
    scorers: tuple[str, ...] = Field(
        ("detection", "fuzz"),
        strict=False,
        min_length=1,
        description=f"scorers to run: {', '.join(sorted(SCORERS.shipped()))}, or "
        "package.module:name for one of your own",
    )
    options: OptionTables = Field(
        {},
        description="options of scorers of one's own, by the scorer's name: "
        '[score.options."my_package.my_module:my_scorer"]',
    )
    scorer_model: str = Field(
        "lexical", description="LiteLLM model string of the judge, or lexical"
    )
    answer: Literal["list", "first_token"] = Field(
        "list",
        description="detection, fuzz: answers to several windows as a list, or (first_token) one "
        "window a question, answered by the log-probabilities of 1 and 0: for small models",
    )
    num_examples_per_scorer_prompt: int = Field(
        5, gt=0, le=10_000, description="examples a prompt, where answer is list"
    )
    log_prob: bool = Field(False, description="ask for log-probabilities, giving probabilities")
    controls: tuple[Control, ...] = Field(
        (),
        strict=False,
        description="floors, beside a latent's own explanation: shuffled (judge it by another "
        "latent's) and empty (by none)",
    )
    prompts: str | None = Field(
        None,
        description="folder of texts such as detection.txt that stand in for the shipped prompts",
    )
    prompt_version: PromptVersion = Field(
        "kept",
        description="shipped prompts: of the version that the selection's answers of this scorer "
        "and judge were made with, or the latest, which asks again what others answered",
    )
    fuzz_type: Literal["default", "active"] = Field(
        "default",
        description="fuzz: where wrong marks are put, in non-activating windows or (active) in "
        "activating ones",
    )
    intruder_type: Literal["default", "internal"] = Field(
        "default",
        description="intruder: a non-activating window, or (internal) one from another quantile",
    )
    intruder_windows: int = Field(
        5, ge=3, le=1_000, description="intruder: windows in a question, the odd one among them"
    )
    discrimination_alternatives: int = Field(
        4,
        ge=1,
        le=1_000,
        description="discrimination: explanations of neighbours beside the own one",
    )
    embedding_model: str = Field(
        EMBEDDED_ENCODER,
        description="embedding, example_embedding: embedded (all-MiniLM-L6-v2), or a "
        "sentence-transformers model by folder or hub name",
    )
    simulation_type: Literal["logprobs", "json"] = Field(
        "logprobs",
        description="simulation: activations expected by the causal model's log-probabilities, or "
        "(json) written down by the judge",
    )
    causal_model: str = Field(
        "embedded:gemma-3-270m",
        description="surprisal, simulation by logprobs: causal language model by folder or hub "
        "name, or embedded:gemma-3-270m; runs on model.device",
    )
    causal_dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="surprisal, simulation by logprobs: precision of the causal model"
    )

    @field_validator("scorers")
    @classmethod
    def _scorers_exist(cls, scorers: tuple[str, ...]) -> tuple[str, ...]:
        for name in scorers:
            _check_known(SCORERS, "score.scorers", name, "holds")
        return scorers

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        _check_options(SCORERS, "score.options", self.options)
        return self

    @property
    def asks_llm(self) -> bool:
        """Whether the judge may be an LLM."""
        return self.scorer_model != "lexical"


class ServerSettings(_Section):
    """Where one model is and how much of it may be asked; what is not given is as in [llm]."""

    transport: str | None = Field(None, description="how it is reached")
    api_base: str | None = Field(None, description="base URL of an OpenAI-compatible server")
    max_concurrent: int | None = Field(None, gt=0, le=10_000, description="requests in flight")
    requests_per_minute: float | None = Field(None, ge=0.001, description="most requests a minute")
    tokens_per_minute: float | None = Field(None, ge=0.001, description="most tokens a minute")

    @model_validator(mode="after")
    def _transport_exists(self) -> Self:
        _check_known(TRANSPORTS, "llm.models.<model>.transport", self.transport)
        return self


class LLMSettings(_Section):
    """How LLMs are called. Keys come from the environment, never from a profile."""

    transport: str | None = Field(
        None,
        description="how models are reached: litellm, or package.module:name for one of your own; "
        "unless given, the one that the model's name begins with, else litellm",
    )
    options: OptionTables = Field(
        {},
        description="options of transports of one's own, by the transport's name: "
        '[llm.options."my_package.my_module:MyTransport"]',
    )
    api_base: str | None = Field(None, description="base URL of an OpenAI-compatible server")
    max_concurrent: int = Field(10, gt=0, le=10_000, description="requests in flight")
    processes: int = Field(
        1,
        gt=0,
        le=1_024,
        description="processes that make calls, some 150 a second each; 1: this one alone",
    )
    requests_per_minute: float | None = Field(
        None, ge=0.001, description="most requests a minute to a model, retries among them"
    )
    tokens_per_minute: float | None = Field(
        None, ge=0.001, description="most tokens a minute to and from a model"
    )
    timeout: float = Field(
        120.0, gt=0, le=_A_DAY, description="seconds until a request is given up"
    )
    max_reply_mib: int = Field(
        16,
        gt=0,
        le=1_024,
        description="largest reply, as it is sent and unpacked; a larger one is a failure",
    )
    max_retries: int = Field(5, ge=0, le=1_000, description="retries of what can be retried")
    max_failures_in_a_row: int = Field(
        100,
        gt=0,
        description="questions of a model, none answered between them, whose every try was lost "
        "or broken, at which a stage stops; not for batches",
    )
    max_tokens: int = Field(1_000, gt=0, le=10_000_000, description="longest answer in tokens")
    temperature: float = Field(0.0, ge=0, le=100, description="sampling temperature")
    json_schema: bool = Field(
        False, description="ask the server to hold answers to a JSON schema, where it can"
    )
    repair: bool = Field(
        True, description="ask once more, saying what was wrong, when an answer does not parse"
    )
    budget_dollars: float | None = Field(
        None, ge=0, description="US dollars that all calls of the run may cost, earlier ones too"
    )
    budget_tokens: int | None = Field(
        None, ge=0, description="tokens that all calls of the run may take, earlier ones too"
    )
    budget_calls: int | None = Field(
        None, ge=0, description="calls that the run may make, earlier ones too"
    )
    batch: bool = Field(
        False, description="ask through the provider's batch endpoint: half price, within a day"
    )
    batch_size: int = Field(
        5_000, gt=0, le=50_000, description="batch: requests in a batch, held in memory until then"
    )
    batches: int = Field(4, gt=0, le=1_000, description="batch: batches that are open at a time")
    batch_poll: float = Field(
        60.0, gt=0, le=_A_DAY, description="batch: seconds between looks at a batch"
    )
    models: dict[str, ServerSettings] = Field(
        {}, description="what differs for a model, by its LiteLLM model string"
    )

    @model_validator(mode="after")
    def _transport_exists(self) -> Self:
        _check_known(TRANSPORTS, "llm.transport", self.transport)
        _check_options(TRANSPORTS, "llm.options", self.options)
        return self

    def of(self, model: str) -> Self:
        """These settings with what `models` says about one model."""
        if model not in self.models:
            return self
        given = self.models[model].model_dump(exclude_none=True)
        return self.model_copy(update=given)

    @property
    def max_reply_bytes(self) -> int:
        """The largest reply in bytes."""
        return self.max_reply_mib * 2**20

    @property
    def workers(self) -> int:
        """Questions that a stage should have open: enough to fill the places, or the batches."""
        return self.batch_size * self.batches if self.batch else 2 * self.max_concurrent


def _are_shares(given: dict[object, object]) -> bool:
    """Whether they are shares of sources, as they are given or as they are normalized."""
    if not all(isinstance(source, str) and SOURCES.is_known(source) for source in given):
        return False
    shares = [share for share in given.values() if _is_number(share)]
    if len(shares) < len(given):
        return False
    if all(_LEAST_SHARE <= share <= _LARGEST_SHARE for share in shares):
        return True
    # A millionth beside a million.
    least = _LEAST_SHARE / (_LARGEST_SHARE * len(shares))
    return all(least <= share <= 1 for share in shares) and _is_whole(sum(shares))


def _is_number(given: object) -> TypeGuard[int | float]:
    return isinstance(given, int | float) and not isinstance(given, bool)


def _is_whole(total: float) -> bool:
    return abs(total - 1) < 1e-9


def _check_known(registry: Registry, setting: str, name: str | None, verb: str = "=") -> None:
    if name is not None and not registry.is_known(name):
        known = registry.known()
        raise ValueError(
            f"{setting} {verb} {name!r}; expected one of {known}, or 'package.module:name' for one "
            f"of your own{nearest(name, known)}"
        )


def _check_options(registry: Registry, setting: str, tables: OptionTables) -> None:
    if problem := options.problem_of(registry, setting, tables):
        raise ValueError(problem)


def _check_scalar(value: object) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise PydanticCustomError("too_large", "expected a number of 64 bits")
    if not isinstance(value, str):
        return
    if key_shapes.KEY.search(value):
        raise PydanticCustomError("holds_a_key", "")
    if "\0" in value or len(value) > _LONGEST_TEXT or clean_text(value) != value:
        raise PydanticCustomError(
            "no_text",
            "expected a text of at most {most} characters, without NUL and halves of characters",
            {"most": _LONGEST_TEXT},
        )
