"""The profile: all sections together, and what has to hold between them.

In: sections. Out: a `Profile`, or what does not go together; what a run and a hookpoint of it stand
for.
"""

from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import Field, model_validator

from delphi_assets.errors import SettingError
from delphi_assets.ground.hookpoint_names import coder_of, module_of, problem_of_hookpoint
from delphi_assets.ground.registries import CODER_FORMATS
from delphi_assets.latent_ranges import parse_latents, parse_wanted
from delphi_assets.settings.earlier import as_made, before
from delphi_assets.settings.options import told_of
from delphi_assets.settings.sections import (
    FLOORS,
    MOST_SHARDS,
    TRAIN,
    CacheSettings,
    CoderSettings,
    CorpusSettings,
    ExplainSettings,
    LLMSettings,
    ModelSettings,
    NeighbourSettings,
    RunSettings,
    ScoreSettings,
    SelectionSettings,
)
from delphi_assets.settings.strict import Settings

_LONGEST_LISTED = 4_096


class Profile(Settings):
    """Everything a run needs to know."""

    run: RunSettings
    model: ModelSettings
    corpus: CorpusSettings
    cache: CacheSettings
    coder: CoderSettings
    neighbours: NeighbourSettings = NeighbourSettings()
    selection: SelectionSettings = SelectionSettings()
    explain: ExplainSettings = Field(
        default_factory=lambda: ExplainSettings(explainer="lexical"),
        description="who explains, and how",
    )
    score: ScoreSettings = ScoreSettings()
    llm: LLMSettings = LLMSettings()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        context = self.cache.cache_ctx_len
        if problem := _window_problem(self.selection, context):
            raise ValueError(problem)
        unfound = set(self.selection.neighbour_methods) - set(self.neighbours.methods)
        if unfound:
            raise ValueError(
                f"selection.non_activating_source asks for neighbours by {sorted(unfound)}, but "
                f"neighbours.methods = {list(self.neighbours.methods)}; expected them there too"
            )
        if self.cache.shard_tokens % context:
            raise ValueError(
                f"cache.shard_tokens = {self.cache.shard_tokens} is not a multiple of "
                f"cache.cache_ctx_len = {context}; expected for example "
                f"{max(1, self.cache.shard_tokens // context) * context}"
            )
        if self.n_shards > MOST_SHARDS:
            raise ValueError(
                f"cache.n_tokens = {self.cache.n_tokens} is {self.n_shards} shards of "
                f"cache.shard_tokens = {self.cache.shard_tokens}; expected at most {MOST_SHARDS}: "
                "make shards larger"
            )
        if len(set(self.cache.hookpoints)) < len(self.cache.hookpoints):
            raise ValueError(
                f"cache.hookpoints = {list(self.cache.hookpoints)} names a hookpoint twice; "
                "expected each once"
            )
        for latents, parse in (
            (self.selection.latents, parse_latents),
            (self.explain.latents, parse_wanted),
            (self.score.latents, parse_wanted),
        ):
            try:
                parse(latents)
            except SettingError as error:
                raise ValueError(str(error)) from error
        coders = self.coder.sparse_models
        for hookpoint in self.cache.hookpoints:
            if problem := problem_of_hookpoint(
                hookpoint, coders, self.coder.sparse_model is not None
            ):
                raise ValueError(problem)
        return self

    def sparse_model_of(self, hookpoint: str) -> str:
        """Where the hookpoint's coder is: `coder.sparse_models` under the name after its '@'."""
        named = coder_of(hookpoint)
        source = self.coder.sparse_models[named] if named else self.coder.sparse_model
        assert source is not None, "a profile without it is refused"
        return source

    def read_as(self, hookpoint: str) -> str:
        """The hookpoint whose coder's files are read: of a floor the one of its trained coder."""
        floor = self.sparse_model_of(hookpoint) in FLOORS
        return module_of(hookpoint) if floor else hookpoint

    def coder_format_of(self, hookpoint: str) -> str | None:
        """The format that the hookpoint's coder is said to be in; None for what its files tell."""
        named = coder_of(hookpoint)
        return self.coder.formats.get(named) if named else self.coder.format

    def seed_of(self, selection: SelectionSettings) -> int:
        """Seed of a selection's draws."""
        return self.run.seed if selection.seed is None else selection.seed

    def draws_of(self, selection: SelectionSettings, hookpoint: str) -> str:
        """What a selection's draws depend on at a hookpoint, beside latent and window."""
        drawn = f"{self.seed_of(selection)} {self.run.name}"
        return f"{drawn} {hookpoint}" if selection.draw_by_hookpoint else drawn

    def run_config(self) -> dict[str, object]:
        """The settings that a run name stands for: those that change its cached data."""
        trains = self.coder.sparse_model == TRAIN
        sections: dict[str, dict[str, object]] = {
            "model": self.model.model_dump(include={"name", "revision", "dtype"}),
            "corpus": self.corpus.model_dump(),
            "cache": self.cache.model_dump(
                include={
                    "n_tokens",
                    "cache_ctx_len",
                    "filter_bos",
                    "activation_dtype",
                    "shard_tokens",
                    "n_buckets",
                }
            ),
            "coder": self.coder.model_dump(
                include=None if trains else {"sparse_model", "dtype", "transcoder_subtracts_b_dec"},
                exclude={"sparse_models", "format", "formats", "options"},
            )
            | _reading(self.coder),
            "run": self.run.model_dump(include={"seed"}),
        }
        return {
            f"{section}.{name}": value
            for section, settings in sections.items()
            for name, value in settings.items()
        }

    def hookpoint_config(self, hookpoint: str) -> dict[str, object]:
        """`run_config` with the hookpoint's own coder: what its activations are made with."""
        config = {**self.run_config(), "coder.sparse_model": self.sparse_model_of(hookpoint)}
        config.pop("coder.format", None)
        named = self.coder_format_of(hookpoint)
        return config if named is None else {**config, "coder.format": named}

    def as_made(self, stored: Mapping[str, object]) -> Self:
        """This profile for a run that was made with the settings `stored`, see `as_made`."""
        sections = {name.partition(".")[0] for name in self.run_config()}
        return self.model_copy(
            update={
                name: as_made(getattr(self, name), stored, f"{name}.") for name in sorted(sections)
            }
        )

    @property
    def asks_llm(self) -> bool:
        """Whether the explainer or the judge is an LLM."""
        return (self.explain.explainer_model, self.score.scorer_model) != ("lexical", "lexical")

    @property
    def n_shards(self) -> int:
        """Token shards of the run, counting the last, shorter one."""
        return -(-self.cache.n_tokens // self.cache.shard_tokens)


def _reading(coder: CoderSettings) -> dict[str, object]:
    """How coders are read, where that is said: what nobody says binds no run."""
    told = {
        name: others
        for name in coder.options
        if (others := told_of(CODER_FORMATS, "coder.options", coder.options, name))
    }
    return {
        **({} if coder.format is None else {"format": coder.format}),
        **({"options": told} if told else {}),
    }


def with_earlier(stored: Mapping[str, object], wanted: Iterable[str]) -> dict[str, object]:
    """Stored settings, and of those `wanted` that were not there yet what was done before them.

    Names are `section.setting`, or a setting of the section selection.
    """
    earlier = {
        name: value
        for name in wanted
        for section, _, setting in [name.rpartition(".")]
        if (field := Profile.model_fields.get(section or "selection"))
        and isinstance(field.annotation, type)
        and (value := before(field.annotation).get(setting, _NOT_BEFORE)) is not _NOT_BEFORE
    }
    return {**earlier, **stored}


_NOT_BEFORE = object()


def check_selection(selection: SelectionSettings, cache_ctx_len: int) -> None:
    """Refuse a selection whose windows do not fit the contexts, with a `SettingError`."""
    if problem := _window_problem(selection, cache_ctx_len):
        raise SettingError(f"{problem}.")


def _window_problem(selection: SelectionSettings, cache_ctx_len: int) -> str | None:
    if cache_ctx_len % selection.example_ctx_len == 0:
        return None
    return (
        f"selection.example_ctx_len = {selection.example_ctx_len} does not divide "
        f"cache.cache_ctx_len = {cache_ctx_len}; expected a divisor of it, one of "
        f"{_divisors(cache_ctx_len)}"
    )


def _divisors(number: int) -> list[int]:
    """Those up to the longest window that anybody reads, and the number itself."""
    small = range(1, min(number, _LONGEST_LISTED) + 1)
    return sorted({*(divisor for divisor in small if number % divisor == 0), number})
