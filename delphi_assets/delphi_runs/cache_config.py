"""What Delphi's `latents/<hookpoint>/config.json` says: the settings a hookpoint was cached with.

In: the file. Out: a `CacheConfig`, with the spellings of older versions of Delphi resolved. Every
key and value is checked.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delphi_assets.coders.files import read_json
from delphi_assets.errors import DataError
from delphi_assets.settings import LONGEST_CONTEXT

_TEXTS = ("dataset_repo", "dataset_split", "dataset_name", "dataset_column", "dataset_row")
_NUMBERS = ("batch_size", "cache_ctx_len", "ctx_len", "n_tokens", "n_splits")
_KEYS = (*_TEXTS, *_NUMBERS, "model_name")


@dataclass(frozen=True)
class CacheConfig:
    """Settings of the cache; what a file leaves out is Delphi's default."""

    dataset_repo: str
    dataset_split: str
    dataset_name: str | None
    dataset_column: str
    cache_ctx_len: int
    n_splits: int | None
    model_name: str

    @property
    def shared(self) -> dict[str, object]:
        """The settings that hookpoints of one run have in common."""
        return {name: value for name, value in vars(self).items() if name != "n_splits"}


def read_cache_config(path: Path) -> CacheConfig:
    """The settings in `path`.

    Raises `DataError` for a file that is missing, an unknown key, a value that is none of its key,
    two spellings that disagree, and a file without length of context or model.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; expected Delphi's settings of the cache there.")
    raw = read_json(path)
    _check_keys(path, raw)
    column = _one_of(path, raw, "dataset_column", "dataset_row")
    length = _one_of(path, raw, "cache_ctx_len", "ctx_len")
    for key, value in (("cache_ctx_len", length), ("model_name", raw.get("model_name"))):
        if value is None:
            raise DataError(f"{path} has no {key}; expected the settings that Delphi writes.")
    if length > LONGEST_CONTEXT:
        raise DataError(
            f"{path} says cache_ctx_len = {length}; expected at most {LONGEST_CONTEXT}."
        )
    return CacheConfig(
        dataset_repo=raw.get("dataset_repo") or "unknown",
        dataset_split=raw.get("dataset_split") or "train",
        dataset_name=raw.get("dataset_name") or None,
        dataset_column=column or "text",
        cache_ctx_len=length,
        n_splits=raw.get("n_splits"),
        model_name=raw["model_name"],
    )


def _check_keys(path: Path, raw: dict[str, Any]) -> None:
    for key, value in raw.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise DataError(f"{path} has an unknown key {key!r}; expected {sorted(_KEYS)}{hint}")
        is_number = isinstance(value, int) and not isinstance(value, bool) and value > 0
        may_be_null = key == "dataset_name" and value is None
        if not (is_number if key in _NUMBERS else isinstance(value, str) or may_be_null):
            wanted = "a positive integer" if key in _NUMBERS else "a text"
            raise DataError(f"{path} says {key} = {value!r}; expected {wanted}.")


def _one_of(path: Path, raw: dict[str, Any], name: str, older: str) -> Any:
    """The value under either spelling; both may be there if they agree."""
    held = [raw[key] for key in (name, older) if key in raw]
    if len(held) == 2 and held[0] != held[1]:
        raise DataError(
            f"{path} says {name} = {held[0]!r} and {older} = {held[1]!r}; expected one value."
        )
    return held[0] if held else None
