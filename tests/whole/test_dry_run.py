"""The dry run: it plans what the stages then ask, and asks nobody."""

import json
from pathlib import Path
from zlib import crc32

import pytest

from delphi_assets.command_line import main
from delphi_assets.explainers.explanations import explain
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.llm.money.estimates import Planned, drawn, estimate
from delphi_assets.runs.dry_run import estimate_run
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import Profile, parse_profile
from tests.parts.asking import ask, made
from tests.parts.explained_lake import HOOKPOINT, SELECTION, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

MODEL = "openai/gpt-4o-mini"
ALL = parse_latents("all")


def answer(asked: Asked) -> Reply:
    """An explanation of its own, or as many answers as there are excerpts."""
    if "Description" not in asked.prompt:
        return Reply(f"[EXPLANATION]: a word {crc32(asked.prompt.encode())}")
    return Reply(json.dumps({"answers": [1] * asked.prompt.count("\nExcerpt")}))


def asking(url: str = "http://127.0.0.1:9", model: str = MODEL, latents: str = "all") -> Profile:
    given = profile(api_base=url).model_dump()
    given["explain"] |= {"explainer": "default", "explainer_model": model, "latents": latents}
    given["score"] |= {"scorer_model": model, "controls": ("shuffled",), "latents": latents}
    return parse_profile(given)


def test_the_plan_is_what_the_stages_ask(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    with FaultServer(answer) as server:
        given = asking(server.url)
        before = estimate_run(given, lake)
        assert not server.asked
        place = (given, lake, HOOKPOINT, ALL)
        explain(*place, given.explain, SELECTION)
        n_explain = len(server.asked)
        explained = estimate_run(given, lake)
        score(*place, given.score, SELECTION)
        n_score = len(server.asked) - n_explain
    assert [(one.stage, one.calls) for one in before] == [
        ("explain", n_explain),
        ("score", n_score),
    ]
    assert [one.calls for one in explained] == [0, n_score]
    assert [(one.calls, one.latents) for one in estimate_run(given, lake)] == [(0, 0), (0, 0)]


def test_a_sample_is_scaled_up(tmp_path: Path) -> None:
    """The latents of this lake have as many windows each."""
    lake = make_lake(tmp_path)
    whole, part = (estimate_run(asking(), lake, sample) for sample in (100, 2))
    assert [one.sampled for one in whole + part] == [6, 6, 2, 2]
    for one, other in zip(whole, part, strict=True):
        assert one.calls == other.calls
        assert other.prompt_tokens == pytest.approx(one.prompt_tokens, rel=0.02)
    assert [one.latents for one in estimate_run(asking(latents="1-2"), lake)] == [2, 2]


def test_a_counting_run_asks_nothing(tmp_path: Path) -> None:
    assert estimate_run(profile(), make_lake(tmp_path)) == []


def test_tokens_and_dollars_by_hand(tmp_path: Path) -> None:
    """Two questions of 8 characters, one of them sampled; at most 10 tokens an answer."""
    lake, llm = made(tmp_path), asking().llm
    plain = Planned("explain", "h", "openai/tiny", 2, 1, [ask("x" * 8)])
    found = estimate(lake, "run", llm, plain)
    assert (found.calls, found.prompt_tokens, found.completion_tokens) == (2, 2 * (2 + 4), 20)
    assert (found.dollars, found.counted_by) == (None, "characters / 4")
    priced = plain._replace(model=MODEL, requests=[ask("hello world")])
    found = estimate(lake, "run", llm, priced)
    assert (found.prompt_tokens, found.counted_by) == (2 * (2 + 4), "tokenizer")
    assert found.dollars == pytest.approx((12 * 0.15 + 20 * 0.60) / 1e6, abs=1e-6)
    half = estimate(lake, "run", llm.model_copy(update={"batch": True}), priced)
    assert half.dollars == pytest.approx((12 * 0.15 + 20 * 0.60) / 2e6, abs=1e-6)


def test_the_sample_does_not_depend_on_the_order() -> None:
    assert drawn(range(100), 5, "seed") == drawn(reversed(range(100)), 5, "seed")
    assert drawn(range(100), 5, "seed") != drawn(range(100), 5, "other")
    assert drawn(range(3), 5, "seed") == [0, 1, 2]


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lake(tmp_path)
    monkeypatch.setenv("DELPHI_ASSETS_LAKE", str(tmp_path / "lake"))
    path = tmp_path / "asking.toml"
    path.write_text(
        f"""
[run]
name = "tiny"
[model]
name = "none"
[corpus]
dataset_repo = "none"
[cache]
hookpoints = ["{HOOKPOINT}"]
cache_ctx_len = 32
shard_tokens = 32
[coder]
sparse_model = "none"
[selection]
example_ctx_len = 8
[explain]
explainer_model = "{MODEL}"
[score]
scorer_model = "{MODEL}"
""",
        encoding="utf-8",
    )
    assert main(["estimate", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["stage: explain", f"hookpoint: {HOOKPOINT}"]
    assert "calls: 6" in lines
    assert any(line.startswith("total_dollars: 0.0") for line in lines)
    assert main(["estimate", str(tmp_path / "no.toml")]) == 1
    assert "no.toml" in capsys.readouterr().err
