"""A lake outlives its version: what was made before a setting or a column was there goes on."""

from pathlib import Path
from typing import Any

import pytest

from delphi_assets.errors import ConflictError
from delphi_assets.lake.lake import Lake
from delphi_assets.selection.examples import select_examples
from delphi_assets.settings import Profile, override, parse_profile
from tests.parts.later_version import SETTING, add_settings
from tests.parts.random_lake import HOOKPOINT, RandomLake, random_lake

SMALL: dict[str, Any] = {
    "example_ctx_len": 8,
    "min_examples": 4,
    "n_examples_train": 2,
    "n_examples_test": 2,
}


def later(profile: Profile, **given: dict[str, object]) -> Profile:
    """The profile as a later version reads it, with settings that it names."""
    raw = profile.model_dump(exclude_unset=True)
    for section, changes in given.items():
        raw[section] = {**raw.get(section, {}), **changes}
    return parse_profile(raw)


@pytest.fixture
def made(tmp_path: Path) -> RandomLake:
    """A run with a selection, made before there was the setting `later`."""
    data = random_lake(tmp_path, **SMALL)
    data.lake.claim_run(data.profile.run.name, data.profile.run_config())
    select_examples(data.profile, data.lake, HOOKPOINT, data.profile.selection)
    return data


def test_a_setting_that_was_not_there_yet_keeps_its_old_meaning(
    made: RandomLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_settings(monkeypatch, "corpus", "cache", "selection")
    profile = later(made.profile)
    assert getattr(profile.corpus, SETTING) is getattr(profile.cache, SETTING) is True
    as_made = made.lake.as_made(profile)
    assert getattr(as_made.corpus, SETTING) is getattr(as_made.cache, SETTING) is False
    report = select_examples(profile, made.lake, HOOKPOINT, profile.selection)
    assert report.new_rows == 0


def test_what_was_made_before_can_be_named_as_it_was(
    made: RandomLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_settings(monkeypatch, "corpus", "cache", "selection")
    old: dict[str, object] = {"later": False}
    profile = later(made.profile, corpus=old, cache=old, selection=old)
    assert select_examples(profile, made.lake, HOOKPOINT, profile.selection).new_rows == 0


@pytest.mark.parametrize(
    ("section", "named"), [("corpus", "corpus.later"), ("cache", "cache.later"), ("selection", "")]
)
def test_a_new_setting_that_is_named_is_not_passed_over(
    made: RandomLake, monkeypatch: pytest.MonkeyPatch, section: str, named: str
) -> None:
    add_settings(monkeypatch, section)
    profile = later(made.profile, **{section: dict[str, object](later=True)})
    with pytest.raises(ConflictError, match=f"{named or 'later'} = False, now .* = True"):
        select_examples(profile, made.lake, HOOKPOINT, profile.selection)


def test_a_new_selection_of_an_old_run_gets_the_new_default(
    made: RandomLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_settings(monkeypatch, "corpus", "selection")
    profile = later(made.profile)
    fresh = override(profile.selection, "test", name="fresh")
    select_examples(profile, made.lake, HOOKPOINT, fresh)
    keys = {"run": profile.run.name, "hookpoint": HOOKPOINT}
    (held, *_) = made.lake.manifests("examples", **keys, selection="fresh")
    assert held.config["later"] is True
    # Unnamed later, it stays what the selection was made with, and so does one that was named.
    assert select_examples(profile, made.lake, HOOKPOINT, fresh).new_rows == 0
    named = override(profile.selection, "test", name="named", later=False)
    select_examples(profile, made.lake, HOOKPOINT, named)
    again = override(profile.selection, "test", name="named")
    assert select_examples(profile, made.lake, HOOKPOINT, again).new_rows == 0


def test_a_new_run_gets_the_new_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_settings(monkeypatch, "corpus")
    data = random_lake(tmp_path)
    profile, lake = later(data.profile), Lake(tmp_path / "new")
    assert getattr(lake.as_made(profile).corpus, SETTING) is True
