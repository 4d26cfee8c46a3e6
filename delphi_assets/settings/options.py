"""Options of its own: what a scorer, an explainer or another registered thing lets one set.

In: a thing that is registered by name, and its table in the profile, such as
`[score.options.my_scorer]`. Out: its options, checked; and what of them makes its rows others.

1. A function or class takes options by a parameter `options`, annotated with a model that is made
   of `Options`.
2. What the profile gives for its name is checked against that model, when the profile is read.
3. `told` is what differs from the model's defaults: it is part of what an answer or a selection is
   known by, and options that are all as declared leave that as it is.
"""

import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from delphi_assets.errors import SettingError
from delphi_assets.ground.registry import Registry
from delphi_assets.settings.problems import checked_options
from delphi_assets.settings.strict import Settings

T = TypeVar("T")

Tables = Mapping[str, Mapping[str, Any]]
"""What a profile gives for options, by the name of what takes them."""

NO_OPTIONS: Tables = MappingProxyType({})


class Options(Settings):
    """What a registered thing lets one set: make a subclass, a field an option."""


def options_for(
    registry: Registry, setting: str, tables: Tables, name: str, thing: object
) -> Options | None:
    """The options of `thing`, called `name`, by its table of `setting`; None when it takes none.

    Raises `SettingError` for a table that does not fit, or of a thing that takes no options.
    """
    given, place = tables.get(name, {}), f"{setting}.{name}"
    model = _model_of(registry, name, thing)
    if model is None:
        if given:
            raise SettingError(
                f"{place} holds {sorted(given)}, but the {registry.kind} {name!r} takes no "
                "options; expected no table for it."
            )
        return None
    try:
        # As JSON, so that a list of TOML can be a tuple and a text a path.
        text = json.dumps(given, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"{place} cannot be written as JSON ({error}); expected texts, finite numbers, true, "
            "false, lists and tables."
        ) from error
    return checked_options(model, text, place)


def made(registry: Registry, kind: type[T], setting: str, tables: Tables, name: str) -> T:
    """The `kind` that `name` stands for: an object, or a class of them that may take options.

    Raises `SettingError` for an unknown name, for what is no such object, and as `options_for`.
    """
    found: object = registry.find(name)
    options = options_for(registry, setting, tables, name, found)
    if isinstance(found, type):
        found = found() if options is None else found(options=options)
    if not isinstance(found, kind):
        raise SettingError(
            f"the {registry.kind} {name!r} is a {type(found).__name__}; expected a "
            f"{kind.__name__}, or a class of them."
        )
    return found


def told_of(registry: Registry, setting: str, tables: Tables, name: str) -> dict[str, object]:
    """What differs from the defaults in the options of `name`; raises as `options_for`."""
    return told(options_for(registry, setting, tables, name, registry.find(name)))


def problem_of(registry: Registry, setting: str, tables: Tables) -> str | None:
    """What is wrong with the options that a profile gives; None when nothing is.

    Only what is given a table is imported.
    """
    try:
        for name in tables:
            options_for(registry, setting, tables, name, registry.find(name))
    except SettingError as error:
        text = str(error)
        return text if text.startswith(setting) else f"{setting}.{name}: {text}"
    return None


def told(options: Options | None) -> dict[str, object]:
    """What differs from the defaults, as JSON has it; nothing without options."""
    if options is None:
        return {}
    others = {
        name
        for name, field in type(options).model_fields.items()
        if getattr(options, name) != field.get_default(call_default_factory=True)
    }
    return options.model_dump(mode="json", include=others)


def scalars(given: object, deep: bool) -> Iterator[object]:
    """Texts and numbers in a setting, names of a table too.

    Of tables in a table only where `deep`, as in options: a section in a section checks itself.
    """
    if isinstance(given, Mapping):
        for name, value in given.items():
            yield name
            if deep or not isinstance(value, Mapping):
                yield from scalars(value, deep)
    elif isinstance(given, list | tuple):
        for value in given:
            yield from scalars(value, deep)
    else:
        yield given


def _model_of(registry: Registry, name: str, thing: object) -> type[Options] | None:
    if not callable(thing):
        return None
    try:
        parameter = inspect.signature(thing).parameters.get("options")
    except ValueError:
        # Some functions that are not written in Python have none.
        return None
    if parameter is None:
        return None
    model = parameter.annotation
    if isinstance(model, str):
        model = getattr(sys.modules.get(thing.__module__), model, model)
    if isinstance(model, type) and issubclass(model, Options):
        return model
    shown = "nothing" if model is inspect.Parameter.empty else repr(model)
    raise SettingError(
        f"the {registry.kind} {name!r} takes `options` annotated with {shown}; expected a class "
        "made of delphi_assets.settings.Options, at the top of its module."
    )
