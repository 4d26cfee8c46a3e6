"""`delphi-assets try` shows what was sent and what came back, and nothing is paid twice."""

import json
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.command_line import main
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import load_profile
from tests.parts.explained_lake import HOOKPOINT, SELECTION, make_lake
from tests.parts.fault_server import Asked, FaultServer, Reply

MODEL = "openai/tiny"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Two latents with examples."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    made = make_lake(tmp_path, 2)
    monkeypatch.setenv("DELPHI_ASSETS_LAKE", str(tmp_path / "lake"))
    return made


def profile_file(folder: Path, explainer: str, judge: str, url: str | None) -> str:
    """A profile of the lake as a file."""
    llm = f"[llm]\napi_base = {json.dumps(url)}\n" if url else ""
    path = folder / "tiny.toml"
    path.write_text(
        f"""
run.name = "tiny"
model.name = "none"
corpus.dataset_repo = "none"
cache = {{ hookpoints = ["{HOOKPOINT}"], cache_ctx_len = 32, shard_tokens = 32 }}
coder.sparse_model = "none"
selection.example_ctx_len = 8
explain = {{ explainer = "{explainer}", explainer_model = "{judge if url else "lexical"}" }}
score = {{ scorers = ["detection"], scorer_model = "{judge}", controls = [] }}
{llm}""",
        encoding="utf-8",
    )
    return str(path)


def answer(asked: Asked) -> Reply:
    """An explanation with an escape sequence, or a list of judgements."""
    if asked.number:
        return Reply("[1, 0, 1, 0, 1]")
    return Reply("Looks clear.\n[EXPLANATION]: It marks \x1b[31mword1.")


def rows(lake: Lake, table: str) -> int:
    """Number of rows."""
    [(count,)] = connect(lake).sql(f"select count(*) from {table}").fetchall()
    return int(count)


def test_both_questions_are_shown_and_paid_for_once(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(answer) as server:
        file = profile_file(tmp_path, "default", MODEL, server.url)
        assert main(["try", file, "--latent", "1"]) == 0
        shown = capsys.readouterr().out
        assert len(server.asked) == 2
        for asked in server.asked:
            for message in asked.body["messages"]:
                assert message["content"].replace("\x1b", "\ufffd") in shown
        assert "[EXPLANATION]: It marks \ufffd[31mword1." in shown
        assert "--- read as ---\nIt marks \ufffd[31mword1." in shown
        assert "prediction True for a window that is" in shown
        assert shown.count("10 tokens sent, 2 received, price not known; paid for now") == 2
        assert "a run of this profile does not pay for them again" in shown
        assert [rows(lake, name) for name in ("completions", "explanations", "predictions")] == [
            2, 0, 0,
        ]  # fmt: skip
        assert main(["try", file, "--latent", "1"]) == 0
        assert capsys.readouterr().out.count("asked for nothing now") == 2
        assert len(server.asked) == 2
        profile, one = load_profile(file), parse_latents("1")
        before = [asked.body["messages"] for asked in server.asked]
        explain(profile, lake, HOOKPOINT, one, profile.explain, SELECTION)
        assert rows(lake, "explanations") == 1
        score(profile, lake, HOOKPOINT, one, profile.score, SELECTION)
        assert rows(lake, "predictions") > 0
        later = [asked.body["messages"] for asked in server.asked[2:]]
        assert not [messages for messages in later if messages in before]


def test_what_asks_nobody_is_shown_too(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", profile_file(tmp_path, "lexical", "lexical", None), "--latent", "0"]) == 0
    shown = capsys.readouterr().out
    assert "=== explainer: lexical ===" in shown
    assert "word0" in shown
    assert "probability" in shown
    assert "stored: nothing" in shown
    assert [rows(lake, name) for name in ("completions", "explanations", "predictions")] == [0] * 3


def test_a_failed_call_is_shown(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(lambda asked: Reply(status=400)) as server:
        file = profile_file(tmp_path, "default", MODEL, server.url)
        assert main(["try", file, "--latent", "0"]) == 0
    shown = capsys.readouterr().out
    assert "failure: rejected" in shown
    assert "nothing is judged: there is no explanation" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--latent", "77"], "latent 77 has no examples"),
        (["--latent", "0", "--hookpoint", "layers.9"], "expected one of ['layers.3']"),
        (["--latent", "0", "--scorer", "fuzzy"], "there is no scorer 'fuzzy'"),
    ],
)
def test_what_cannot_be_tried_is_a_line(
    lake: Lake,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert main(["try", profile_file(tmp_path, "lexical", "lexical", None), *arguments]) == 1
    assert message in capsys.readouterr().err
