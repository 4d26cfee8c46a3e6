"""What can be refused before anything is computed.

In: a profile. Out: the hookpoints' shapes, or an error that names the setting, its value and what
was expected. Reads configurations only, no weight of the model or of a coder. A coder of Gemma
Scope has its shape in the header of its weights alone: from the hub that file comes whole.

1. The device can be used and the model has every hookpoint (`subject.check_hookpoints`).
2. Every coder can be found and described, in a format that is known.
3. Each hookpoint has a coder of its own; several may read one module.
4. What the coder says it reads, if it does, is the hookpoint's module. In a family of models whose
   modules are not known (`hooks`), only the number of the layer is compared.
5. Its `d_in` is the width of the hookpoint on the side that the coder reads.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from delphi_assets.coders import CoderShape, describe_coder, reading_of
from delphi_assets.coders.hooks import bare, layer_of, layer_read, locate
from delphi_assets.coders.sources import setting_of
from delphi_assets.errors import SettingError
from delphi_assets.models.subject import (
    Hook,
    HookpointShape,
    check_hookpoints,
    load_config,
    pick_device,
)
from delphi_assets.settings import FLOORS, TRAIN, CoderSettings, ModelSettings, Profile


class Checked(NamedTuple):
    """A hookpoint that can be read, and the coder that will read it."""

    module: str
    """Name of the module in the base model."""
    coder: CoderShape

    @property
    def hook(self) -> Hook:
        """Where the forward pass is read."""
        return Hook(self.module, self.coder.side)


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
    coders = _coders(profile, shapes)
    return {
        hookpoint: Checked(shape.module, coders[hookpoint]) for hookpoint, shape in shapes.items()
    }


def _coders(profile: Profile, shapes: Mapping[str, HookpointShape]) -> dict[str, CoderShape]:
    read_as = {name: profile.read_as(name) for name in shapes}
    floors = {name: profile.sparse_model_of(name) for name in shapes if read_as[name] != name}
    trained = {name for name in shapes if profile.sparse_model_of(read_as[name]) == TRAIN}
    if trained and profile.coder.transcoder_subtracts_b_dec:
        raise SettingError(
            f"coder.transcoder_subtracts_b_dec = true with coder.sparse_model = {TRAIN!r}, "
            "which trains SAEs; expected false."
        )
    found = {
        name: describe_coder(
            _existing(profile, read_as[name]), read_as[name], reading_of(profile, name)
        )
        for name in shapes
        if name not in trained
    }
    _each_coder_once(
        {
            name: (f"{floors[name]} of the one " if name in floors else "") + where
            for name, shape in shapes.items()
            for where in [
                f"trained on module {shape.module!r}"
                if name in trained
                else f"in {str(found[name].place.resolve())!r}"
            ]
        }
    )
    for name, described in found.items():
        source = read_as[name]
        given = f"{setting_of(source)} = {profile.sparse_model_of(source)!r}"
        _check_hook(given, name, shapes[name], described.hook, profile.model)
        _check_width(given, name, shapes[name], described.shape)
    return {
        name: found[name].shape if name in found else _trained(profile.coder, name, shape)
        for name, shape in shapes.items()
    }


def _existing(profile: Profile, hookpoint: str) -> str:
    """The source of a coder that is not to be trained."""
    source = profile.sparse_model_of(hookpoint)
    if source.startswith("embedded:"):
        expected = f"{', '.join(map(repr, FLOORS)) if '@' in hookpoint else repr(TRAIN)}, "
        raise SettingError(
            f"{setting_of(hookpoint)} = {source!r} is unknown; expected {expected}a folder, or a "
            "repository of the Hugging Face hub."
        )
    return source


def _each_coder_once(coders: Mapping[str, str]) -> None:
    """Refuse hookpoints that have one coder; `coders` tells them apart."""
    owner: dict[str, str] = {}
    for hookpoint, coder in coders.items():
        if (other := owner.setdefault(coder, hookpoint)) != hookpoint:
            raise SettingError(
                f"cache.hookpoints holds {other!r} and {hookpoint!r}, which have the same coder, "
                f"the one {coder}; expected a coder for each (another {setting_of(hookpoint)}, or "
                "a folder <hookpoint> in it), or one of the two hookpoints only."
            )


def _check_hook(
    given: str, hookpoint: str, shape: HookpointShape, hook: str | None, model: ModelSettings
) -> None:
    if hook is None:
        return
    located = locate(hook, load_config(model).get_text_config().model_type)
    if located is None:
        _check_layer(given, hookpoint, shape, hook)
    elif bare(located.module) != bare(shape.module):
        raise SettingError(
            f"{given} gives hookpoint {hookpoint!r} a coder of {hook!r}, the {located.side} of "
            f"module {bare(located.module)!r}; expected that module in cache.hookpoints, or a "
            "coder of this one."
        )


def _check_layer(given: str, hookpoint: str, shape: HookpointShape, hook: str) -> None:
    read, layer = layer_read(hook), layer_of(bare(shape.module))
    if None not in (read, layer) and read != layer:
        raise SettingError(
            f"{given} gives hookpoint {hookpoint!r} a coder of {hook!r}, which is in layer {read}; "
            "expected a module of that layer in cache.hookpoints, or a coder of this one."
        )


def _check_width(given: str, hookpoint: str, shape: HookpointShape, coder: CoderShape) -> None:
    width = shape.width(coder.side)
    if coder.d_in != width:
        raise SettingError(
            f"{given} reads {coder.d_in} dimensions at hookpoint {hookpoint!r}, but the "
            f"{coder.side} of module {shape.module!r} has {width}; expected a coder trained on "
            "this model and hookpoint."
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
