"""What cannot be asked is refused before anything is computed."""

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from delphi_assets.errors import SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.latent_ranges import ALL
from delphi_assets.llm.asking.keys import check_keys, check_model
from delphi_assets.llm.calls.litellm_calls import import_litellm, served
from delphi_assets.llm.transports import provider_keys as keys
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import (
    ExplainSettings,
    LLMSettings,
    ScoreSettings,
    ServerSettings,
    load_profile,
)
from tests.parts.asking import complete, stored
from tests.parts.explained_lake import HOOKPOINT, SELECTION, make_lake, profile
from tests.parts.fault_server import FaultServer, Reply

pytestmark = pytest.mark.slow

VARIABLES = {
    name for table in (keys.KEYS, keys.SERVERS) for names in table.values() for name in names
}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    given = load_profile("pythia-160m")
    with pytest.raises(SettingError, match=r"explainer_model = 'openrouter/.* OPENROUTER_API_KEY"):
        check_keys(given)
    monkeypatch.setenv("OPENROUTER_API_KEY", "planted")
    check_keys(given)


def test_the_demo_and_a_server_of_ones_own_need_none() -> None:
    check_keys(load_profile("demo"))
    given = load_profile("pythia-160m")
    llm = given.llm.model_copy(update={"api_base": "http://127.0.0.1:1/v1"})
    check_keys(given.model_copy(update={"llm": llm}))


def test_a_server_for_one_model_leaves_the_others_to_be_checked() -> None:
    given = load_profile("pythia-160m")
    own = ServerSettings(api_base="http://127.0.0.1:1/v1")
    llm = given.llm.model_copy(update={"models": {given.explain.explainer_model: own}})
    given = given.model_copy(update={"llm": llm})
    assert given.llm.of(given.explain.explainer_model).api_base == own.api_base
    other = given.score.model_copy(update={"scorer_model": "openrouter/other/model"})
    with pytest.raises(SettingError, match=r"scorer_model = 'openrouter/other/model'"):
        check_keys(given.model_copy(update={"score": other}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"budget_dollars": 5.0}, "no price of model"), ({"batch": True}, r"llm\.batch = true")],
)
def test_what_a_model_cannot_do_is_refused_early(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], problem: str
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "planted")
    given = load_profile("pythia-160m")
    llm = given.llm.model_copy(update=changes)
    judge = given.score.model_copy(update={"scorer_model": "openrouter/nobody/nothing"})
    with pytest.raises(SettingError, match=problem):
        check_keys(given.model_copy(update={"llm": llm, "score": judge}))


def test_litellm_names_the_same_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listed variable satisfies LiteLLM's own check, and every key that it names is listed."""
    litellm = import_litellm()
    for provider in litellm.LlmProviders:
        if provider.value in {"chatgpt", "github_copilot", "ragflow"}:
            # They ask for a login, or for another form of name.
            continue
        model = f"{provider.value}/x"
        wanted = [
            name
            for name in litellm.validate_environment(model)["missing_keys"]
            if name.endswith(("_API_KEY", "_API_TOKEN"))
        ]
        if wanted and litellm.get_llm_provider(model)[1] not in {"infinity", "voyage"}:
            assert set(wanted) <= set(keys.KEYS[provider.value]), provider
    for provider in {*keys.KEYS, *keys.SERVERS}:
        assert served(f"{provider}/x").provider == provider


HOSTS = """
    import asyncio, json, os, socket, sys

    from delphi_assets.llm.calls.litellm_calls import import_litellm

    os.environ["OPENAI_API_KEY"] = "planted"
    seen = []

    def resolve(host, *more, **named):
        seen.append(str(host))
        raise socket.gaierror(-2, "planted")

    async def resolve_later(loop, host, *more, **named):
        resolve(host)

    socket.getaddrinfo = resolve
    asyncio.base_events.BaseEventLoop.getaddrinfo = resolve_later
    litellm = import_litellm()
    hello = [{"role": "user", "content": "hello"}]

    async def main():
        found = {}
        for provider in litellm.LlmProviders:
            if provider.value in {"chatgpt", "github_copilot"}:
                continue
            seen.clear()
            call = litellm.acompletion(f"{provider.value}/x", hello, num_retries=0, max_retries=0)
            try:
                await asyncio.wait_for(call, 20)
            except Exception:
                pass
            found[provider.value] = list(seen)
        print("\\n" + json.dumps(found))

    asyncio.run(main())
"""


@pytest.mark.timeout(300)
def test_no_provider_but_openai_sends_texts_to_openai() -> None:
    """Every provider of LiteLLM is called without an address, where no name can be resolved."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HOSTS)], capture_output=True, text=True, check=False
    )
    hosts = json.loads(ran.stdout.splitlines()[-1])
    sent = {name for name, seen in hosts.items() if "api.openai.com" in seen}
    assert sent >= {"openai", "hosted_vllm", "xinference"}
    assert sent - {"openai", "text-completion-openai"} <= set(keys.SERVERS)


@pytest.mark.parametrize("model", ["hosted_vllm/x", "xinference/x", "ai21/x", "custom/x"])
def test_a_server_without_an_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """LiteLLM would send its texts to OpenAI, a key in the environment or not."""
    for variable in ("OPENAI_API_KEY", "AI21_API_KEY"):
        monkeypatch.setenv(variable, "planted")
    with pytest.raises(SettingError, match=rf"explainer_model = '{model}'.*llm\.api_base"):
        check_model(LLMSettings(), "explain.explainer_model", model)
    check_model(LLMSettings(api_base="http://127.0.0.1:1/v1"), "explain.explainer_model", model)
    own = ServerSettings(api_base="http://127.0.0.1:1/v1")
    check_model(LLMSettings(models={model: own}), "explain.explainer_model", model)
    for variable in keys.SERVERS[model.removesuffix("/x")]:
        with monkeypatch.context() as environment:
            environment.setenv(variable, "http://127.0.0.1:1/v1")
            check_model(LLMSettings(), "explain.explainer_model", model)


LEXICAL = ExplainSettings(explainer="lexical")
WITHOUT_KEY = r"openai/x' needs OPENAI_API_KEY"


def test_the_stages_refuse_a_launch_without_a_key_at_once(tmp_path: Path) -> None:
    """The model is the launch's: the profile's own asks nobody."""
    lake = make_lake(tmp_path)
    explain(profile(), lake, HOOKPOINT, ALL, LEXICAL, SELECTION)
    explainer, judge = (
        ExplainSettings(explainer_model="openai/x"),
        ScoreSettings(scorer_model="openai/x", scorers=("embedding", "detection")),
    )
    start = time.process_time()
    with pytest.raises(SettingError, match=f"explainer_model = '{WITHOUT_KEY}"):
        explain(profile(), lake, HOOKPOINT, ALL, explainer, SELECTION)
    with pytest.raises(SettingError, match=f"scorer_model = '{WITHOUT_KEY}"):
        score(profile(), lake, HOOKPOINT, ALL, judge, SELECTION, "lexical")
    assert time.process_time() - start < 5, "no model was loaded"
    assert not list(Path(lake.root, "predictions").glob("run=tiny/**/*.parquet"))
    assert not stored(tmp_path), "no call was made, and none is stored"


def test_a_stage_that_is_finished_needs_no_key(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2)
    settings = ExplainSettings(explainer_model="openai/x")
    with FaultServer(lambda asked: Reply(f"[EXPLANATION]: Number {asked.number}.")) as server:
        asked = profile(api_base=server.url)
        assert explain(asked, lake, HOOKPOINT, ALL, settings, SELECTION).new_rows == 2
    again = explain(profile(), lake, HOOKPOINT, ALL, settings, SELECTION)
    assert (again.new_rows, again.facts["explained"]) == (0, 2)


def test_no_client_asks_where_nobody_said_to(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"model = 'hosted_vllm/x'.*llm\.api_base"):
        complete(tmp_path, None, ["hello"], model="hosted_vllm/x")
    assert not stored(tmp_path)
