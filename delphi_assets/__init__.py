"""Explain and score the latents of sparse coders over a Parquet lake queried with DuckDB SQL.

In: a name of `__all__`. Out: the function or class, imported from its module when it is first asked
for, so that importing the library loads none of it. Modules of the library import from one another,
never from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from delphi_assets.caching.activations import merge_shards
    from delphi_assets.caching.capture import capture
    from delphi_assets.caching.coder_preparation import prepare_coder
    from delphi_assets.caching.contexts import build_contexts
    from delphi_assets.errors import (
        BudgetError,
        ConflictError,
        DataError,
        DelphiAssetsError,
        NoAnswerError,
        NotReadyError,
        ServerError,
        SettingError,
        StorageError,
    )
    from delphi_assets.explainers.explanations import explain
    from delphi_assets.explainers.registry import register as register_explainer
    from delphi_assets.explorer.writing import write_explorer
    from delphi_assets.ground.stage import StageReport
    from delphi_assets.lake.database import connect, query
    from delphi_assets.lake.lake import Lake
    from delphi_assets.latent_ranges import Latents, parse_latents
    from delphi_assets.reading.added_labels import add_labels, remove_labels
    from delphi_assets.reading.in_words import in_words
    from delphi_assets.reading.records import Example, LatentRecord
    from delphi_assets.reading.rendering import window_html
    from delphi_assets.runs.hookpoint import Hookpoint, Latent
    from delphi_assets.scorers.predictions import score
    from delphi_assets.scorers.registry import register as register_scorer
    from delphi_assets.selection.examples import choose_examples, select_examples
    from delphi_assets.selection.latents import describe_latents
    from delphi_assets.selection.neighbours import find_neighbours
    from delphi_assets.settings import (
        CacheSettings,
        CoderSettings,
        CorpusSettings,
        ExplainSettings,
        LLMSettings,
        ModelSettings,
        NeighbourSettings,
        Profile,
        ScoreSettings,
        SelectionSettings,
        load_profile,
        override,
        parse_profile,
    )

__all__ = [
    "BudgetError",
    "CacheSettings",
    "CoderSettings",
    "ConflictError",
    "CorpusSettings",
    "DataError",
    "DelphiAssetsError",
    "Example",
    "ExplainSettings",
    "Hookpoint",
    "LLMSettings",
    "Lake",
    "Latent",
    "LatentRecord",
    "Latents",
    "ModelSettings",
    "NeighbourSettings",
    "NoAnswerError",
    "NotReadyError",
    "Profile",
    "ScoreSettings",
    "SelectionSettings",
    "ServerError",
    "SettingError",
    "StageReport",
    "StorageError",
    "add_labels",
    "build_contexts",
    "capture",
    "choose_examples",
    "connect",
    "describe_latents",
    "explain",
    "find_neighbours",
    "in_words",
    "load_profile",
    "merge_shards",
    "override",
    "parse_latents",
    "parse_profile",
    "prepare_coder",
    "query",
    "register_explainer",
    "register_scorer",
    "remove_labels",
    "score",
    "select_examples",
    "window_html",
    "write_explorer",
]

_NAMES: dict[str, tuple[str, ...]] = {
    "caching.activations": ("merge_shards",),
    "caching.capture": ("capture",),
    "caching.coder_preparation": ("prepare_coder",),
    "caching.contexts": ("build_contexts",),
    "errors": (
        "BudgetError",
        "ConflictError",
        "DataError",
        "DelphiAssetsError",
        "NoAnswerError",
        "NotReadyError",
        "ServerError",
        "SettingError",
        "StorageError",
    ),
    "explainers.explanations": ("explain",),
    "explorer.writing": ("write_explorer",),
    "ground.stage": ("StageReport",),
    "runs.hookpoint": ("Hookpoint", "Latent"),
    "lake.database": ("connect", "query"),
    "lake.lake": ("Lake",),
    "latent_ranges": ("Latents", "parse_latents"),
    "reading.added_labels": ("add_labels", "remove_labels"),
    "reading.in_words": ("in_words",),
    "reading.records": ("Example", "LatentRecord"),
    "reading.rendering": ("window_html",),
    "scorers.predictions": ("score",),
    "selection.examples": ("choose_examples", "select_examples"),
    "selection.latents": ("describe_latents",),
    "selection.neighbours": ("find_neighbours",),
    "settings": (
        "CacheSettings",
        "CoderSettings",
        "CorpusSettings",
        "ExplainSettings",
        "LLMSettings",
        "ModelSettings",
        "NeighbourSettings",
        "Profile",
        "ScoreSettings",
        "SelectionSettings",
        "load_profile",
        "override",
        "parse_profile",
    ),
}
"""What modules give under their own names."""

_HOMES = {
    **{name: (module, name) for module, names in _NAMES.items() for name in names},
    "register_explainer": ("explainers.registry", "register"),
    "register_scorer": ("scorers.registry", "register"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    found: object = getattr(import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
