"""What a launch may change of a section of the profile, as run config of an asset.

In: a section's settings, and fields of the asset's own. Out: a class of run config with a field for
every setting, under its name and with its description; and the section as a launch changes it.
"""

from collections.abc import Collection
from typing import Any, Literal, TypeVar, get_args, get_origin

import dagster as dg
from pydantic import BaseModel, Field, create_model

from delphi_assets.settings import override

S = TypeVar("S", bound=BaseModel)


def config_of(
    name: str, section: type[BaseModel], rebuild: str | None = None, **own: str
) -> type[dg.Config]:
    """A class of run config called `name`; `own` are descriptions of the asset's own texts.

    One that may `rebuild` says what that costs. All other fields are optional: one that is left
    empty is the profile's.
    """
    fields = launchable(section)
    fields |= {setting: _optional(str, description) for setting, description in own.items()}
    if rebuild is not None:
        fields["rebuild"] = (bool, Field(False, description=rebuild))
    made = create_model(name, __base__=dg.Config, **fields)
    made.__doc__ = "What a launch may change; a field left empty is the profile's."
    return made


def launchable(section: type[BaseModel], without: Collection[str] = ()) -> dict[str, Any]:
    """Fields of a class of run config: the settings of a section, each of which may stay empty."""
    return {
        setting: _optional(_launched(field.annotation), _described(field.annotation, field))
        for setting, field in section.model_fields.items()
        if setting not in without
    }


def launched(section: S, asset: str, config: BaseModel) -> S:
    """`section` with the settings that a launch of `asset` gives.

    Raises `SettingError` for one that cannot be used.
    """
    given = config.model_dump()
    settings = given.keys() & type(section).model_fields.keys()
    return override(
        section, f"launch of {asset}", **{name: _given(given[name]) for name in settings}
    )


def rebuilt(config: dg.Config) -> bool:
    """Whether a launch says to rebuild."""
    return bool(config.model_dump()["rebuild"])


def _given(value: object) -> object:
    """None for a field left empty: an empty list is a choice (no controls), a text is not."""
    return None if value in ("", {}) else value


def _optional(kind: Any, description: str) -> tuple[Any, Any]:
    return kind | None, Field(None, description=description)


def _launched(annotation: Any) -> Any:
    """A setting's type, as run config has it: literals and keys are texts, a tuple is a list."""
    of = [argument for argument in get_args(annotation) if argument is not type(None)]
    if not of:
        return annotation
    if get_origin(annotation) is Literal:
        return str
    if get_origin(annotation) is tuple:
        return list[_launched(of[0])]  # type: ignore[misc]
    if get_origin(annotation) is dict:
        return dict[str, _launched(of[1])]  # type: ignore[misc]
    return _launched(of[0])


def _described(annotation: Any, field: Any) -> str:
    """The setting's line of documentation, with the values that it may have where they are few."""
    if get_origin(annotation) is not Literal:
        return str(field.description)
    return f"{field.description} ({' or '.join(get_args(annotation))})"
