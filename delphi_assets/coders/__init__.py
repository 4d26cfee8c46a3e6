"""Sparse coders: reading anybody's, and training one.

In: where a coder is (hub name or folder) and the hookpoint it belongs to. Out: a `Coder`.

1. Each format of `FORMATS` is asked whether the source holds a coder for the hookpoint.
2. The first that does describes it (`describe_coder`, no weights) or loads it (`load_coder`).

A new format is a module with `find`, `describe` and `load`, and an entry in `FORMATS`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from delphi_assets.coders import sparsify
from delphi_assets.coders.coder import Coder, CoderShape
from delphi_assets.errors import DataError
from delphi_assets.subject import strip_wrapper

__all__ = ["Coder", "CoderShape", "Described", "Format", "describe_coder", "load_coder"]


class Described(NamedTuple):
    """What is known of a coder before its weights are read."""

    folder: Path
    """Where its files are."""
    shape: CoderShape


class Format(NamedTuple):
    """One layout of coders on disk."""

    name: str
    layout: str
    """Files by which it is known, for error messages."""
    patterns: Callable[[str], list[str]]
    """hookpoint -> files of a hub repository that finding and loading its coder needs."""
    find: Callable[[Path, str], Path | None]
    """(source, hookpoint) -> folder of the hookpoint's coder, None when it is another format."""
    describe: Callable[[Path], CoderShape]
    load: Callable[[Path, torch.device, torch.dtype], Coder]


FORMATS: tuple[Format, ...] = (
    Format(
        "sparsify",
        "<hookpoint>/cfg.json + sae.safetensors",
        sparsify.patterns,
        sparsify.find,
        sparsify.describe,
        sparsify.load,
    ),
)


def load_coder(
    source: str | Path,
    hookpoint: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Coder:
    """The coder of `hookpoint` at `source`, a folder or a repository of the hub.

    Raises `DataError` when there is none, its layout is unknown, or its files are damaged.
    """
    found, folder = _recognise(_folder(source, hookpoint, config_only=False), source, hookpoint)
    return found.load(folder, torch.device(device), dtype)


def describe_coder(source: str | Path, hookpoint: str) -> Described:
    """Folder, width, side and size of a coder, without its weights; raises as `load_coder`."""
    found, folder = _recognise(_folder(source, hookpoint, config_only=True), source, hookpoint)
    return Described(folder, found.describe(folder))


def _recognise(folder: Path, source: str | Path, hookpoint: str) -> tuple[Format, Path]:
    for candidate in FORMATS:
        if (found := candidate.find(folder, hookpoint)) is not None:
            return candidate, found
    held = sorted(path.name for path in folder.iterdir())
    supported = "; ".join(f"{known.name} ({known.layout})" for known in FORMATS)
    raise DataError(
        f"coder.sparse_model = {str(source)!r} holds no coder for hookpoint {hookpoint!r} in a "
        f"known layout; found {held[:20]}, supported: {supported}."
    )


def _folder(source: str | Path, hookpoint: str, config_only: bool) -> Path:
    """`source` as a local folder, downloading what the hookpoint needs from the hub."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    stripped = bare(hookpoint)
    patterns = [pattern for known in FORMATS for pattern in known.patterns(stripped)]
    try:
        return Path(
            snapshot_download(
                str(source),
                allow_patterns=patterns,
                ignore_patterns=["*.safetensors", "*.pt", "*.npz"] if config_only else None,
            )
        )
    except (OSError, ValueError, httpx.HTTPError, HFValidationError) as error:
        raise DataError(
            f"coder.sparse_model = {str(source)!r} is no folder and cannot be read from the "
            f"Hugging Face hub: {type(error).__name__}: {error}"
        ) from error


def bare(hookpoint: str) -> str:
    """A hookpoint's name without any wrapper prefix."""
    while (shorter := strip_wrapper(hookpoint)) != hookpoint:
        hookpoint = shorter
    return hookpoint
