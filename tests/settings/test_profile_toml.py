"""A profile that the library writes is the profile that it was."""

import tomllib

import pytest

from delphi_assets.settings import Profile, load_profile, parse_profile
from delphi_assets.settings.profile_files import profile_toml


def read(profile: Profile) -> Profile:
    """The profile that the library writes of it."""
    return parse_profile(tomllib.loads(profile_toml(profile, "a test")))


@pytest.mark.parametrize("name", ["demo", "demo-semantic", "pythia-160m"])
def test_a_shipped_one(name: str) -> None:
    profile = load_profile(name)
    assert read(profile).model_dump() == profile.model_dump()


def test_tables_in_tables() -> None:
    raw = load_profile("demo").model_dump(mode="json", exclude_unset=True)
    models = {'openai/"odd"\\é': {"max_concurrent": 7}, "openai/b": {"max_concurrent": 9}}
    sources = {"random": 0.5, "co-occurrence": 0.5}
    raw["selection"] = {**raw["selection"], "non_activating_source": sources}
    profile = parse_profile({**raw, "llm": {"models": models}})
    assert read(profile).model_dump() == profile.model_dump()
