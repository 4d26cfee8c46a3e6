"""While explainers and scorers are asked, their bars say how much failed."""

import json
import re
from pathlib import Path

import pytest

from delphi_assets import explain, score
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply

MODEL = "openai/m"


def answer(asked: Asked) -> Reply:
    """Nothing that can be read: instead of latent 1's explanation, and of a judgement of 2's."""
    n_windows = len(re.findall(r"^Excerpt \d+", asked.prompt, re.MULTILINE))
    if "[EXPLANATION]" in str(asked.body["messages"]):
        named = re.findall(r"<<\s*(word\d)>>", asked.prompt)
        return Reply("" if named[-1] == "word1" else f"[EXPLANATION]: {named[-1]}")
    return Reply("none" if "word2" in asked.prompt else json.dumps([0] * n_windows))


def test_what_failed_is_counted_while_it_is_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    lake = make_lake(tmp_path)
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        by_llm = ExplainSettings(explainer="default", explainer_model=MODEL)
        explained = explain(given, lake, HOOKPOINT, "0-3", by_llm).facts
        at_explaining = capfd.readouterr().err.splitlines()
        judge = ScoreSettings(scorers=("detection",), scorer_model=MODEL)
        scored = score(given, lake, HOOKPOINT, "0, 2, 3", judge, explainer="default").facts
        at_scoring = capfd.readouterr().err.splitlines()
    assert (explained["failed"], scored["failed_predictions"]) == (1, 12)
    assert re.fullmatch(r"explain layers\.3: 4/4 latent \[.*, failed=1\]", at_explaining[-1])
    assert re.fullmatch(r"ask about layers\.3: 3/3 latent \[.*, failed=12\]", at_scoring[-1])
