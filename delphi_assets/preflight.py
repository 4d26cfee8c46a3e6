"""What can be refused before anything is computed.

In: a profile. Out: the hookpoints' shapes, or an error that names the setting, its value and what
was expected. Reads configurations only: no weight of the model or of a coder.

1. The device can be used and the model has every hookpoint (`subject.check_hookpoints`).
2. Every coder can be found and described, in a format that is known.
3. Each hookpoint has a coder of its own.
4. What the coder says it reads, if it does, is the hookpoint's module.
5. Its `d_in` is the width of the hookpoint on the side that the coder reads.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from delphi_assets.coders import CoderShape, Described, describe_coder
from delphi_assets.coders.hooks import bare, locate
from delphi_assets.errors import SettingError
from delphi_assets.settings import TRAIN, CoderSettings, Profile
from delphi_assets.subject import HookpointShape, check_hookpoints, load_config, pick_device


class Checked(NamedTuple):
    """A hookpoint that can be read, and the coder that will read it."""

    module: str
    """Name of the module in the base model."""
    coder: CoderShape


def check(profile: Profile) -> dict[str, Checked]:
    """Every hookpoint of the profile with its module and coder, by the profile's names.

    Raises `SettingError` or `DataError`. Done once per profile and process.
    """
    # Profiles are frozen and compare by value, but hold a model and a coder only by name.
    return _check(profile.model_dump_json())


@cache
def _check(profile_json: str) -> dict[str, Checked]:
    profile = Profile.model_validate_json(profile_json)
    pick_device(profile.model.device)
    shapes = check_hookpoints(profile)
    _each_module_once(shapes)
    coders = _coders(profile, shapes)
    return {
        hookpoint: Checked(shape.module, coders[hookpoint]) for hookpoint, shape in shapes.items()
    }


def _each_module_once(shapes: Mapping[str, HookpointShape]) -> None:
    owner: dict[str, str] = {}
    for hookpoint, shape in shapes.items():
        if (other := owner.setdefault(shape.module, hookpoint)) != hookpoint:
            raise SettingError(
                f"cache.hookpoints holds {other!r} and {hookpoint!r}, which are both module "
                f"{shape.module!r}; expected each module once."
            )


def _coders(profile: Profile, shapes: Mapping[str, HookpointShape]) -> dict[str, CoderShape]:
    settings = profile.coder
    if settings.sparse_model == TRAIN:
        if settings.transcoder_subtracts_b_dec:
            raise SettingError(
                f"coder.transcoder_subtracts_b_dec = true with coder.sparse_model = {TRAIN!r}, "
                "which trains SAEs; expected false."
            )
        return {name: _trained(settings, name, shape) for name, shape in shapes.items()}
    if settings.sparse_model.startswith("embedded:"):
        raise SettingError(
            f"coder.sparse_model = {settings.sparse_model!r} is unknown; expected {TRAIN!r}, a "
            "folder, or a repository of the Hugging Face hub."
        )
    switch = settings.transcoder_subtracts_b_dec
    found = {name: describe_coder(settings.sparse_model, name, switch) for name in shapes}
    _each_coder_once(settings, found)
    model_type = load_config(profile.model).get_text_config().model_type
    for name, shape in shapes.items():
        _check_hook(settings, name, shape, found[name].hook, model_type)
        _check_width(settings, name, shape, found[name].shape)
    return {name: described.shape for name, described in found.items()}


def _each_coder_once(settings: CoderSettings, found: Mapping[str, Described]) -> None:
    owner: dict[Path, str] = {}
    for hookpoint, described in found.items():
        folder = described.folder.resolve()
        if (other := owner.setdefault(folder, hookpoint)) != hookpoint:
            raise SettingError(
                f"coder.sparse_model = {settings.sparse_model!r} gives hookpoints {other!r} and "
                f"{hookpoint!r} the same coder, {str(folder)!r}; expected a folder <hookpoint> "
                "for each, or a single entry in cache.hookpoints."
            )


def _check_hook(
    settings: CoderSettings,
    hookpoint: str,
    shape: HookpointShape,
    hook: str | None,
    model_type: str,
) -> None:
    located = locate(hook, model_type) if hook else None
    if located is not None and bare(located.module) != bare(shape.module):
        raise SettingError(
            f"coder.sparse_model = {settings.sparse_model!r} gives hookpoint {hookpoint!r} a coder "
            f"of {hook!r}, the {located.side} of module {bare(located.module)!r}; expected that "
            "module in cache.hookpoints, or a coder of this one."
        )


def _check_width(
    settings: CoderSettings, hookpoint: str, shape: HookpointShape, coder: CoderShape
) -> None:
    width = shape.width(coder.side)
    if coder.d_in != width:
        raise SettingError(
            f"coder.sparse_model = {settings.sparse_model!r} reads {coder.d_in} dimensions at "
            f"hookpoint {hookpoint!r}, but the {coder.side} of module {shape.module!r} has "
            f"{width}; expected a coder trained on this model and hookpoint."
        )


def _trained(settings: CoderSettings, hookpoint: str, shape: HookpointShape) -> CoderShape:
    """The coder that training will give: an SAE, which reads its module's output."""
    if shape.output is None:
        raise SettingError(
            f"cache.hookpoints holds {hookpoint!r}, whose output is not a [batch, seq, d] tensor; "
            "expected a module such as 'layers.9' or 'layers.9.mlp'."
        )
    num_latents = settings.expansion_factor * shape.output
    if settings.k > num_latents:
        raise SettingError(
            f"coder.k = {settings.k} with {num_latents} latents (coder.expansion_factor = "
            f"{settings.expansion_factor} times width {shape.output}); expected at most "
            f"{num_latents}."
        )
    return CoderShape(num_latents, shape.output, "output")
