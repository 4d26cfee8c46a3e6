"""Sparse coders: reading anybody's, and training one.

In: where a coder is (folder, or hub name with a folder inside) and the hookpoint it belongs to,
`module` or `module@name`: the module decides which coder of a source it is, the name only which
setting an error is about. Out: a `Coder`.

1. `sources.fetch` gives a local folder, from the hub as far as the module needs it.
2. Each format of `FORMATS` is asked whether the folder holds a coder for the module.
3. The first that does describes it (`describe_coder`, no weights) or loads it (`load_coder`).

A new format is a module with `patterns`, `find`, `files_of`, `describe` and `load`, and an entry in
`FORMATS`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from delphi_assets.coders import dictionary_learning, gemma_scope, saelens, sources, sparsify
from delphi_assets.coders.coder import Coder, CoderShape, Encoder
from delphi_assets.coders.hooks import bare
from delphi_assets.errors import DataError, SettingError
from delphi_assets.ground.hookpoint_names import module_of

__all__ = [
    "Coder",
    "CoderDescription",
    "CoderShape",
    "Encoder",
    "Format",
    "describe_coder",
    "files_at_hand",
    "load_coder",
]


class CoderDescription(NamedTuple):
    """What is known of a coder before its weights are read."""

    folder: Path
    """Where its files are."""
    shape: CoderShape
    hook: str | None = None
    """What its files say it reads, a name for `hooks.locate`; None where they do not say."""


class Format(NamedTuple):
    """One layout of coders on disk. Its functions know hookpoints by their modules alone."""

    name: str
    layout: str
    """Files by which it is known, for error messages."""
    patterns: Callable[[str], list[str]]
    """module -> files of a hub repository that finding and loading its coder needs."""
    find: Callable[[Path, str], Path | None]
    """(source, module) -> folder of the module's coder, None when it is another format."""
    files_of: Callable[[Path], list[Path]]
    """folder -> files whose content is the coder."""
    describe: Callable[[Path, str], tuple[CoderShape, str | None]]
    """(folder, module) -> shape and hook."""
    load: Callable[[Path, str, torch.device, torch.dtype], Coder]


class _Found(NamedTuple):
    """A coder's format, and the folder that holds it."""

    format: Format
    folder: Path


SPARSIFY = Format(
    "sparsify",
    "<hookpoint>/cfg.json + sae.safetensors",
    sparsify.patterns,
    sparsify.find,
    sparsify.files_of,
    sparsify.describe,
    sparsify.load,
)

FORMATS: tuple[Format, ...] = (
    Format(
        "SAELens",
        "cfg.json + sae_weights.safetensors, also in <hookpoint>/ or blocks.N.hook_.../",
        saelens.patterns,
        saelens.find,
        saelens.files_of,
        saelens.describe,
        saelens.load,
    ),
    Format(
        "Gemma Scope",
        "params.npz or params.safetensors, in the folder of one coder",
        gemma_scope.patterns,
        gemma_scope.find,
        gemma_scope.files_of,
        gemma_scope.describe,
        gemma_scope.load,
    ),
    Format(
        "dictionary_learning",
        "config.json + ae.pt, in the folder of one coder",
        dictionary_learning.patterns,
        dictionary_learning.find,
        dictionary_learning.files_of,
        dictionary_learning.describe,
        dictionary_learning.load,
    ),
    SPARSIFY,
)


def load_coder(
    source: str | Path,
    hookpoint: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    transcoder_subtracts_b_dec: bool = False,
) -> Coder:
    """The coder of `hookpoint` at `source`, a folder or a repository of the hub.

    `source` may hold the placeholders of `sources.fetch`, `transcoder_subtracts_b_dec` is the
    setting of that name. Raises `DataError` when there is no coder, its layout is unknown, or its
    files are damaged, `SettingError` for a placeholder or switch that does not fit.
    """
    found, folder = _recognise(source, hookpoint, config_only=False)
    module = module_of(hookpoint)
    if not transcoder_subtracts_b_dec:
        return found.load(folder, module, torch.device(device), dtype)
    _check_switch(found, hookpoint, folder)
    return sparsify.load(folder, module, torch.device(device), dtype, True)


def describe_coder(
    source: str | Path, hookpoint: str, transcoder_subtracts_b_dec: bool = False
) -> CoderDescription:
    """What is known of a coder without its weights; raises as `load_coder`."""
    found, folder = _recognise(source, hookpoint, config_only=True)
    if transcoder_subtracts_b_dec:
        _check_switch(found, hookpoint, folder)
    return CoderDescription(folder, *found.describe(folder, module_of(hookpoint)))


def files_at_hand(source: str | Path, hookpoint: str) -> list[Path]:
    """Files whose content is the coder, where this machine has all of them; else none.

    Nothing is fetched. Raises `DataError` for a damaged configuration.
    """
    module = module_of(hookpoint)
    try:
        folder = sources.fetch(source, module, _patterns(module), config_only=False, at_hand=True)
    except DataError:
        return []
    if (found := _found(folder, module)) is None:
        return []
    files = found.format.files_of(found.folder)
    return files if all(file.is_file() for file in files) else []


def _recognise(source: str | Path, hookpoint: str, config_only: bool) -> _Found:
    module, setting = module_of(hookpoint), sources.setting_of(hookpoint)
    folder = sources.fetch(source, module, _patterns(module), config_only, setting)
    if (found := _found(folder, module)) is not None:
        return found
    held = sources.held(source, module, folder)
    supported = "; ".join(f"{known.name} ({known.layout})" for known in FORMATS)
    raise DataError(
        f"{setting} = {str(source)!r} holds no coder for hookpoint {hookpoint!r} in a "
        f"known layout; found {held}, supported: {supported}. Where a source holds coders in other "
        "folders, name the folder, with {layer} or {hookpoint} for what differs between "
        "hookpoints."
    )


def _patterns(module: str) -> list[str]:
    return [pattern for known in FORMATS for pattern in known.patterns(bare(module))]


def _found(folder: Path, module: str) -> _Found | None:
    for candidate in FORMATS:
        if (found := candidate.find(folder, module)) is not None:
            return _Found(candidate, found)
    return None


def _check_switch(found: Format, hookpoint: str, folder: Path) -> None:
    """Refuse the switch of sparsify's old transcoders for anything else."""
    if found is SPARSIFY and sparsify.describe(folder, module_of(hookpoint))[0].side == "input":
        return
    raise SettingError(
        f"coder.transcoder_subtracts_b_dec = true, but the coder of hookpoint {hookpoint!r} is "
        f"{'an SAE' if found is SPARSIFY else f'in the format of {found.name}'}; expected a "
        "transcoder of sparsify, or false."
    )
