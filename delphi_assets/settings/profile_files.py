"""Profiles: found, read, checked and overridden.

In: a path or the name of a shipped profile, else the environment variable `DELPHI_ASSETS_PROFILE`,
else `profile.toml` in the current folder, else demo. Out: a `Profile`. Every problem is a
`SettingError` that names the setting, the value and what was expected.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from delphi_assets.errors import SettingError
from delphi_assets.ground import key_shapes
from delphi_assets.ground.local_paths import is_file
from delphi_assets.ground.shown_values import nearest, shown
from delphi_assets.settings.problems import checked
from delphi_assets.settings.profile import Profile

PROFILE_VARIABLE = "DELPHI_ASSETS_PROFILE"
LAKE_VARIABLE = "DELPHI_ASSETS_LAKE"
OWN_PROFILE = "profile.toml"
"""The profile of a folder, for what is started there."""
S = TypeVar("S", bound=BaseModel)


def profile_path(name: str | None = None) -> Path:
    """The profile file: `name` as a path or a shipped profile, else the environment's, else usual.

    Raises `SettingError` when there is no such file.
    """
    wanted = str(name or os.environ.get(PROFILE_VARIABLE) or usual_profile())
    here = Path(__file__).parents[1]
    shipped = [
        folder for folder in (here / "profiles", here.parent / "profiles") if folder.is_dir()
    ]
    for candidate in (Path(wanted), *(folder / f"{wanted}.toml" for folder in shipped)):
        if is_file(candidate):
            return candidate
    known = sorted(path.stem for folder in shipped for path in folder.glob("*.toml"))
    raise SettingError(
        f"profile {shown(wanted)} is neither a file nor a shipped profile; expected a path to a "
        f"TOML file or one of {known}{nearest(wanted, known)}."
    )


def usual_profile() -> str:
    """What is meant where nothing is said: `profile.toml` in the current folder, else demo."""
    return OWN_PROFILE if is_file(OWN_PROFILE) else "demo"


def load_profile(name: str | None = None) -> Profile:
    """Read a profile (see `profile_path`); the environment may move its lake."""
    path = profile_path(name)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError(f"profile {path} cannot be read ({error}); expected a file.") from error
    except UnicodeDecodeError as error:
        raise SettingError(
            f"profile {path} is not UTF-8 ({error.reason}: {error.object[error.start]:#04x} at "
            f"byte {error.start}); save it as UTF-8."
        ) from error
    except (ValueError, RecursionError) as error:
        # Besides what tomllib refuses: integers of thousands of digits, brackets in brackets.
        why = key_shapes.masked(str(error))
        raise SettingError(f"profile {path} is not TOML: {why}.") from error
    profile = parse_profile(raw, origin=str(path))
    if lake := os.environ.get(LAKE_VARIABLE):
        profile = profile.model_copy(update={"run": profile.run.model_copy(update={"lake": lake})})
    return profile


def parse_profile(raw: dict[str, object], origin: str = "profile") -> Profile:
    """`raw` as a checked `Profile`; raises `SettingError` listing every problem."""
    return checked(Profile, raw, origin)


def override(section: S, origin: str, **changes: object) -> S:
    """`section` with the given settings replaced and checked; None leaves a setting as it is."""
    given = {name: value for name, value in changes.items() if value is not None}
    # What nobody has given stays so: it may be what a stored selection was made with.
    stated = section.model_dump(exclude_unset=True)
    return checked(type(section), {**stated, **given}, origin)


def profile_toml(profile: Profile, command: str) -> str:
    """What a profile says that is no default, as TOML, for a run that a `command` has made."""
    lines = [f"# Made by {command}: with this profile the later stages continue the run."]
    for section, settings in profile.model_dump(mode="json", exclude_defaults=True).items():
        lines += ["", f"[{section}]"]
        lines += [
            f"{name} = {_toml(value)}" for name, value in settings.items() if value is not None
        ]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A value in one line; what JSON writes of texts and numbers is TOML too."""
    if isinstance(value, Mapping):
        pairs = [
            f"{json.dumps(name)} = {_toml(one)}" for name, one in value.items() if one is not None
        ]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
