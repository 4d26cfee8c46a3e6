"""The profile of a run that is in a lake, for whoever has the lake and not the file.

In: the settings that a run name, or a hookpoint of it, is bound to. Out: a `Profile` with those,
and the defaults of all others.
"""

from collections.abc import Mapping

from delphi_assets.ground.hookpoint_names import coder_of
from delphi_assets.settings.profile import Profile
from delphi_assets.settings.profile_files import parse_profile


def profile_of_run(run: str, hookpoint: str, stored: Mapping[str, object], lake: str) -> Profile:
    """The profile of `run` at one hookpoint; `stored` are settings by `section.name`.

    What this version does not know is left out. Raises `SettingError` where something is missing.
    """
    sections: dict[str, dict[str, object]] = {}
    for name, value in stored.items():
        section, _, setting = name.partition(".")
        field = Profile.model_fields.get(section)
        if setting in getattr(field and field.annotation, "model_fields", {}):
            sections.setdefault(section, {})[setting] = value
    coder = sections.setdefault("coder", {})
    if named := coder_of(hookpoint):
        coder["sparse_models"] = {named: coder.get("sparse_model")}
        if (reads := coder.pop("format", None)) is not None:
            coder["formats"] = {named: reads}
    sections["cache"] = {**sections.get("cache", {}), "hookpoints": [hookpoint]}
    sections["run"] = {**sections.get("run", {}), "name": run, "lake": lake}
    return parse_profile(dict(sections), origin=f"what run {run!r} was made with")
