"""Sparse coders: reading anybody's, and training one.

In: where a coder is (folder, or hub name with a folder inside) and the hookpoint it belongs to,
`module` or `module@name`: the module decides which coder of a source it is, the name only which
setting an error is about. Out: a `Coder`.

1. `sources.fetch` gives a local folder, from the hub as far as the module needs it.
2. Each `CoderFormat` is asked whether the folder holds a coder for the module: those that come with
   delphi-assets, have been registered, or are offered by a package; or the one that the profile
   names. Their order does not matter: two that know a coder are an error.
3. The one that does describes it (`describe_coder`, no weights) or loads it (`load_coder`).

A format is found by its name (`ground.registries`), and may take options of its own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from delphi_assets.coders import sources
from delphi_assets.coders.coder import Coder, CoderShape, Encoder
from delphi_assets.coders.coder_format import CoderFormat
from delphi_assets.coders.hooks import bare
from delphi_assets.coders.sparsify import Sparsify
from delphi_assets.errors import DataError, SettingError
from delphi_assets.ground.hookpoint_names import module_of
from delphi_assets.ground.registries import CODER_FORMATS
from delphi_assets.settings import TRAIN, Profile
from delphi_assets.settings.options import NO_OPTIONS, Tables, made

__all__ = [
    "AS_FOUND",
    "Coder",
    "CoderDescription",
    "CoderReading",
    "CoderShape",
    "Encoder",
    "describe_coder",
    "files_at_hand",
    "load_coder",
    "reading_of",
]


class CoderDescription(NamedTuple):
    """What is known of a coder before its weights are read."""

    place: Path
    """Where its files are: a folder, or a file where one holds several coders."""
    shape: CoderShape
    hook: str | None = None
    """What its files say it reads, a name for `hooks.locate`; None where they do not say."""


class CoderReading(NamedTuple):
    """How a coder is to be read, as a profile has it."""

    format: str | None = None
    """Name of its format; None for the one that knows it."""
    options: Tables = NO_OPTIONS
    """Options of formats, by name."""
    transcoder_subtracts_b_dec: bool = False
    """The setting of that name, for old transcoders of sparsify."""


AS_FOUND = CoderReading()
"""Read by the format that knows it."""


class _Found(NamedTuple):
    """A coder's format, and its place."""

    name: str
    format: CoderFormat
    place: Path


def reading_of(profile: Profile, hookpoint: str) -> CoderReading:
    """How the profile has the hookpoint's coder read; a trained one is in sparsify's layout."""
    hookpoint = profile.read_as(hookpoint)
    if profile.sparse_model_of(hookpoint) == TRAIN:
        return CoderReading("sparsify")
    coder = profile.coder
    return CoderReading(
        profile.coder_format_of(hookpoint), coder.options, coder.transcoder_subtracts_b_dec
    )


def load_coder(
    source: str | Path,
    hookpoint: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    reading: CoderReading = AS_FOUND,
) -> Coder:
    """The coder of `hookpoint` at `source`, a folder or a repository of the hub.

    `source` may hold the placeholders of `sources.fetch`. Raises `DataError` when there is no
    coder, its layout is unknown, several formats know it, or its files are damaged, `SettingError`
    for a placeholder, format, option or switch that does not fit.
    """
    found = _recognise(source, hookpoint, reading, weights=True)
    return found.format.load(found.place, module_of(hookpoint), torch.device(device), dtype)


def describe_coder(
    source: str | Path, hookpoint: str, reading: CoderReading = AS_FOUND
) -> CoderDescription:
    """What is known of a coder without its weights; raises as `load_coder`."""
    found = _recognise(source, hookpoint, reading, weights=False)
    described = found.format.describe(found.place, module_of(hookpoint))
    return CoderDescription(found.place, described.shape, described.hook)


def files_at_hand(
    source: str | Path, hookpoint: str, reading: CoderReading = AS_FOUND
) -> list[Path]:
    """Files whose content is the coder, where this machine has all of them; else none.

    Nothing is fetched. Raises `DataError` for a damaged configuration, or where several formats
    know the coder.
    """
    module, formats = module_of(hookpoint), _formats(reading)
    try:
        folder = sources.fetch(source, module, _patterns(formats, module, True), at_hand=True)
    except DataError:
        return []
    if (found := _found(formats, _given(source, hookpoint), folder, hookpoint)) is None:
        return []
    files = found.format.files_of(found.place, module)
    return files if all(file.is_file() for file in files) else []


def _recognise(
    source: str | Path, hookpoint: str, reading: CoderReading, *, weights: bool
) -> _Found:
    module, formats, given = module_of(hookpoint), _formats(reading), _given(source, hookpoint)
    patterns = _patterns(formats, module, weights)
    folder = sources.fetch(source, module, patterns, sources.setting_of(hookpoint))
    if (found := _found(formats, given, folder, hookpoint)) is not None:
        return _switched(found, hookpoint) if reading.transcoder_subtracts_b_dec else found
    held = sources.held(source, module, folder)
    supported = "; ".join(f"{name} ({known.layout})" for name, known in formats.items())
    raise DataError(
        f"{given} holds no coder for hookpoint {hookpoint!r} in a "
        f"known layout; found {held}, supported: {supported}. Where a source holds coders in other "
        "folders, name the folder, with {layer} or {hookpoint} for what differs between "
        "hookpoints."
    )


def _given(source: str | Path, hookpoint: str) -> str:
    """Where the coder is said to be, for errors."""
    return f"{sources.setting_of(hookpoint)} = {str(source)!r}"


def _formats(reading: CoderReading) -> dict[str, CoderFormat]:
    """The formats that are asked, by name."""
    known = dict.fromkeys([*CODER_FORMATS.shipped(), *CODER_FORMATS.known()])
    return {
        name: made(CODER_FORMATS, CoderFormat, "coder.options", reading.options, name)
        for name in ([reading.format] if reading.format else known)
    }


def _patterns(formats: dict[str, CoderFormat], module: str, weights: bool) -> Sequence[str]:
    files = [known.hub_files(bare(module)) for known in formats.values()]
    return [name for one in files for name in one.describing + one.weights * weights]


def _found(
    formats: dict[str, CoderFormat], given: str, folder: Path, hookpoint: str
) -> _Found | None:
    found = [
        _Found(name, known, place)
        for name, known in formats.items()
        if (place := known.find(folder, module_of(hookpoint))) is not None
    ]
    if len(found) > 1:
        places = ", ".join(f"{one.name} ({one.place})" for one in found)
        raise DataError(
            f"{given} holds a coder for hookpoint {hookpoint!r} in several layouts: {places}; "
            f"expected one. Name it with {sources.format_setting_of(hookpoint)}, or give a folder "
            "that holds one of them."
        )
    return found[0] if found else None


def _switched(found: _Found, hookpoint: str) -> _Found:
    """The coder with the switch of sparsify's old transcoders; anything else is refused."""
    of_sparsify = isinstance(found.format, Sparsify)
    described = found.format.describe(found.place, module_of(hookpoint)) if of_sparsify else None
    if described is None or described.shape.side != "input":
        raise SettingError(
            f"coder.transcoder_subtracts_b_dec = true, but the coder of hookpoint {hookpoint!r} is "
            f"{'an SAE' if of_sparsify else f'in the format of {found.name}'}; expected a "
            "transcoder of sparsify, or false."
        )
    return found._replace(format=Sparsify(subtracts_b_dec=True))
