"""The profile of an imported run: what Delphi's configurations say, as settings of this project.

In: a run's layout and its number of tokens. Out: a `Profile`. What Delphi does not
say (revision and precision of the model) is the default.
"""

from collections.abc import Mapping
from typing import Any

from delphi_assets.delphi_runs.layout import DelphiRun
from delphi_assets.lake.lake import Lake
from delphi_assets.settings import CacheSettings, Profile, parse_profile

_SELECTION = {
    "constructor_cfg": ("min_examples", "n_non_activating", "example_ctx_len"),
    "sampler_cfg": ("n_examples_train", "n_examples_test", "n_quantiles"),
}


def imported_profile(delphi: DelphiRun, n_tokens: int, lake: Lake, run: str) -> Profile:
    """Settings of the run; raises `SettingError` for a name that a run or hookpoint cannot have."""
    cache, config = delphi.cache, delphi.run_config
    seed = config.get("seed")
    return parse_profile(
        {
            "run": {
                "name": run,
                "lake": lake.location(""),
                **({"seed": seed} if isinstance(seed, int) else {}),
            },
            "model": {"name": cache.model_name},
            "corpus": {
                "dataset_repo": cache.dataset_repo,
                "dataset_name": cache.dataset_name,
                "dataset_split": cache.dataset_split,
                "dataset_column": cache.dataset_column,
            },
            "cache": {
                "n_tokens": n_tokens,
                "cache_ctx_len": cache.cache_ctx_len,
                "hookpoints": [cached.hookpoint for cached in delphi.hookpoints],
                "filter_bos": False,
                "shard_tokens": n_tokens,
                "n_buckets": _n_buckets(delphi),
            },
            "coder": {"sparse_model": str(config.get("sparse_model") or "unknown")},
            "selection": _selection(config, cache.cache_ctx_len),
        },
        origin=f"the Delphi run to be imported as {run!r}",
    )


def _n_buckets(delphi: DelphiRun) -> int:
    """As many as any run has, or as Delphi has files, if those are more."""
    n_splits = max(len(cached.splits) for cached in delphi.hookpoints)
    default: int = CacheSettings.model_fields["n_buckets"].default
    return max(default, n_splits)


def _selection(config: Mapping[str, Any], ctx_len: int) -> dict[str, object]:
    """Delphi's numbers of examples, and the longest windows up to its own that fit a context."""
    found: dict[str, object] = {}
    for section, names in _SELECTION.items():
        held = config.get(section)
        if isinstance(held, dict):
            found |= {name: held[name] for name in names if isinstance(held.get(name), int)}
    wanted = found.get("example_ctx_len", 32)
    assert isinstance(wanted, int)
    fitting = [size for size in range(1, min(wanted, ctx_len) + 1) if ctx_len % size == 0]
    return {**found, "example_ctx_len": max(fitting, default=ctx_len)}
