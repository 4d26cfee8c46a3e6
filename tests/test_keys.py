"""A missing key is noticed before anything is computed."""

import pytest

from delphi_assets.errors import SettingError
from delphi_assets.llm.keys import check_keys
from delphi_assets.settings import load_profile


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
