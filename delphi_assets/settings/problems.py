"""What pydantic finds wrong with settings, in words.

In: a section or a profile, and what somebody gave for it. Out: the checked settings, or a
`SettingError` with a line a problem: the setting, the value, what was expected and, for an unknown
name, the nearest valid one. No key is shown.
"""

from typing import TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from delphi_assets.errors import SettingError
from delphi_assets.ground import key_shapes
from delphi_assets.ground.shown_values import nearest, shortened, shown

S = TypeVar("S", bound=BaseModel)


def checked(model: type[S], raw: dict[str, object], origin: str) -> S:
    """`raw` as a checked `model`; raises `SettingError` listing every problem. `origin` says
    whose.
    """
    try:
        return model.model_validate(raw)
    except (ValidationError, RecursionError) as error:
        found = error.errors() if isinstance(error, ValidationError) else []
        problems = [f"  - {_problem(model, problem)}" for problem in found]
        listed = "\n".join(problems or ["  - tables are nested too deep; expected sections"])
        text = _scrubbed(f"{origin} has settings that cannot be used:\n{listed}")
        # pydantic's own error would show a key that was typed as the name of a setting.
        raise SettingError(text) from None


def checked_options(model: type[S], text: str, place: str) -> S:
    """`text`, the JSON of a table at `place`, as a checked `model`; raises as `checked`."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        problems = [_problem(model, problem, place) for problem in error.errors()]
        raise SettingError(_scrubbed("; ".join(problems))) from None


def _scrubbed(text: str) -> str:
    """`text` without keys: those of the environment, and what looks like one."""
    from delphi_assets.ground.secrets import Scrubber

    return key_shapes.masked(Scrubber()(text))


def _problem(model: type[BaseModel], problem: object, place: str = "") -> str:
    """One line for one of pydantic's errors, in a table at `place`."""
    assert isinstance(problem, dict)
    where = shortened(".".join([*([place] if place else []), *map(str, problem["loc"])]))
    kind, message = problem["type"], str(problem["msg"]).removeprefix("Value error, ")
    is_number = isinstance(problem["input"], int | float)
    # The setting and its section, not what stands between: a model may be named after keys.
    names = [str(problem["loc"][end]) for end in (0, -1)] if problem["loc"] else []
    named = any(map(key_shapes.is_named_like_a_key, names))
    if kind == "holds_a_key" or (named and not is_number):
        return (
            f"{where}: keys do not belong in a profile; set them in the environment under the name "
            "LiteLLM documents, e.g. OPENROUTER_API_KEY"
        )
    # An address, or a text under a misspelt name, may carry a password.
    value = "..." if where.startswith("llm.") and not is_number else shown(problem["input"])
    if kind == "extra_forbidden":
        valid = _names(model, tuple(problem["loc"][:-1]))
        return (
            f"{where} = {value}: no such setting; expected one of {valid}"
            f"{nearest(str(problem['loc'][-1]), valid)}"
        )
    if kind == "value_error":
        return f"{where}: {message}" if place else message
    description = _description(model, tuple(problem["loc"]), "an option" if place else "a section")
    if kind == "missing":
        return f"{where} is missing: {description}"
    return f"{where} = {value}: {message} ({description})"


def _section(model: type[BaseModel], path: tuple[object, ...]) -> type[BaseModel]:
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None:
            # The name of one of several sections, such as llm.models."openai/my-model".
            continue
        of_each = get_args(field.annotation)[1:] if get_origin(field.annotation) is dict else ()
        inner = of_each[0] if of_each else field.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return model
        model = inner
    return model


def _names(model: type[BaseModel], path: tuple[object, ...]) -> list[str]:
    return sorted(_section(model, path).model_fields)


def _description(model: type[BaseModel], path: tuple[object, ...], what: str) -> str:
    named = [part for part in path if isinstance(part, str)]
    if not named:
        return "a table of sections"
    field = _section(model, tuple(named[:-1])).model_fields.get(named[-1])
    return (field.description if field else None) or f"{what} of the profile"
