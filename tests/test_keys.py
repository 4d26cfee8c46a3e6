"""A missing key is noticed before anything is computed."""

import pytest

from delphi_assets.errors import SettingError
from delphi_assets.llm.keys import check_keys
from delphi_assets.settings import ServerSettings, load_profile


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = load_profile("pythia-160m")
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(SettingError, match=r"explainer_model = 'openrouter/.* OPENROUTER_API_KEY"):
        check_keys(profile)
    monkeypatch.setenv("OPENROUTER_API_KEY", "planted")
    check_keys(profile)


def test_the_demo_and_a_server_of_ones_own_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    check_keys(load_profile("demo"))
    profile = load_profile("pythia-160m")
    llm = profile.llm.model_copy(update={"api_base": "http://127.0.0.1:1/v1"})
    check_keys(profile.model_copy(update={"llm": llm}))


def test_a_server_for_one_model_leaves_the_others_to_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    profile = load_profile("pythia-160m")
    own = ServerSettings(api_base="http://127.0.0.1:1/v1")
    llm = profile.llm.model_copy(update={"models": {profile.explain.explainer_model: own}})
    profile = profile.model_copy(update={"llm": llm})
    assert profile.llm.of(profile.explain.explainer_model).api_base == own.api_base
    other = profile.score.model_copy(update={"scorer_model": "openrouter/other/model"})
    with pytest.raises(SettingError, match=r"scorer_model = 'openrouter/other/model'"):
        check_keys(profile.model_copy(update={"score": other}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"budget_dollars": 5.0}, "no price of model"), ({"batch": True}, r"llm\.batch = true")],
)
def test_what_a_model_cannot_do_is_refused_early(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], problem: str
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "planted")
    profile = load_profile("pythia-160m")
    llm = profile.llm.model_copy(update=changes)
    judge = profile.score.model_copy(update={"scorer_model": "openrouter/nobody/nothing"})
    with pytest.raises(SettingError, match=problem):
        check_keys(profile.model_copy(update={"llm": llm, "score": judge}))
