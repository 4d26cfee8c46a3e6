"""The tutorial, step by step in a folder with a model, a coder, a corpus and a server.

Its profile is the page's, but for numbers that would take hours: tokens, windows, precision. The
server is real as far as HTTP goes; what stands in for the LLM gives the answers a judge may give.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from delphi_assets import Lake, command_line, connect, load_profile
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.database import query
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import parse_profile
from tests.parts.documents import ROOT, blocks, commands
from tests.parts.fault_server import Asked, FaultServer, Reply
from tests.parts.whole_lake import make_whole_lake

pytestmark = pytest.mark.slow

TUTORIAL = ROOT / "docs" / "tutorial.md"
SMALLER = {
    "n_tokens": 2_048,
    "cache_ctx_len": 32,
    "shard_tokens": 1_024,
    "batch_size": 16,
    "example_ctx_len": 8,
    "min_examples": 8,
    "n_examples_train": 4,
    "n_examples_test": 5,
    "n_non_activating": 5,
    "n_quantiles": 2,
}
PRECISION = {"dtype": "float32"}
PLACE = {"run": "my-run", "hookpoint": "layers.1"}


def answer(asked: Asked) -> Reply:
    """Explains, or says yes to every second window."""
    n_windows = len(re.findall(r"^Excerpt \d+", asked.prompt, re.MULTILINE))
    if "[EXPLANATION]" in str(asked.body["messages"]):
        return Reply("[EXPLANATION]: a word about the lake")
    return Reply(json.dumps([number % 2 for number in range(n_windows)]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`my-model`, `my-coder` and `my-corpus`."""
    from tests.parts.tiny_parts import WORDS, make_coder, make_model

    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "my-corpus").mkdir()
    for number in range(160):
        text = f"{number}: {WORDS[number % 5]}, {WORDS[number * 7 % 4]}"
        (folder / f"my-corpus/{number:03d}.txt").write_text(text, encoding="utf-8")
    make_model(folder / "my-model", "llama")
    make_coder(folder / "my-coder", "layers.1", seed=2)
    return folder


def write_profile(folder: Path, **sections: dict[str, object]) -> Path:
    """`my-run.toml` as the page has it, at a small scale, with `sections` in place of its own."""
    raw = {**tomllib.loads(blocks(TUTORIAL, "toml")[0]), **sections}
    lines: list[str] = []
    for name, settings in raw.items():
        lines.append(f"[{name}]")
        for key, value in settings.items():
            smaller = PRECISION.get(key, SMALLER.get(key, value))
            lines.append(f"{key} = {json.dumps(smaller)}")
    file = folder / "my-run.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def counted(folder: Path) -> Path:
    """After step 3: everything explained and scored by counting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_whole_lake(write_profile(folder), Path("my-lake"))
    return folder


@pytest.fixture(scope="module")
def asked(counted: Path) -> Iterator[Path]:
    """After step 7: some latents explained and judged by the server."""
    with FaultServer(answer) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "none")
        patch.chdir(counted)
        part = tomllib.loads(blocks(TUTORIAL, "toml")[1])
        part["llm"]["api_base"] = server.url
        profile, lake = load_profile(str(write_profile(counted, **part))), Lake("my-lake")
        explained, scored = profile.explain.latents, profile.score.latents
        explain(profile, lake, "layers.1", parse_latents(explained), profile.explain, "default")
        score(profile, lake, "layers.1", parse_latents(scored), profile.score, "default")
        yield counted


def test_the_profile_of_the_page_is_accepted_as_it_stands() -> None:
    whole, part, server = map(tomllib.loads, blocks(TUTORIAL, "toml"))
    assert parse_profile(whole).run.name == "my-run"
    merged = {**whole, **part, "llm": {**part["llm"], **server["llm"]}}
    profile = parse_profile(merged)
    assert profile.llm.of("openai/my-judge").max_concurrent == 32


def test_counting_leaves_something_to_look_at(
    counted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(counted)
    con = connect("my-lake")
    for block in blocks(TUTORIAL, "sql"):
        (row,) = con.sql(block.rstrip().rstrip(";")).fetchall()
        assert row[0], block
    looking = [block for block in blocks(TUTORIAL, "python") if "query(" not in block]
    for block in looking:
        if "load_profile" not in block:
            exec(compile(block, "docs/tutorial.md", "exec"), {})


def test_the_estimate_is_what_the_page_says(
    asked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(asked)
    (words,) = [words for words in commands(TUTORIAL) if "estimate" in words]
    assert command_line.main(words[1:]) == 0
    facts = capsys.readouterr().out
    # All is answered: nothing would be paid for twice.
    assert re.findall(r"^calls: (\d+)$", facts, re.MULTILINE) == ["0", "0"]


def test_an_llm_is_asked_about_a_few_latents(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(asked)
    for block in blocks(TUTORIAL, "python"):
        exec(compile(block, "docs/tutorial.md", "exec"), {})
    con = connect("my-lake")
    ((n_asked,),) = con.sql(
        "select count(*) from eligibility where latent < 20 and code = 'eligible'"
    ).fetchall()
    assert n_asked > 2
    texts = con.sql("select count(explanation) from explanations where explainer = 'default'")
    assert texts.fetchall() == [(n_asked,)]
    compared = query(con, "analysis/llm_against_lexical", **PLACE, scorer="fuzz")
    assert 0 < compared.num_rows <= n_asked
    assert query(con, "analysis/failures_by_reason", **PLACE).num_rows == 0
