"""Prompts: files of a folder stand in for the shipped ones, and the text used can be found."""

import json
from pathlib import Path

import pytest

from delphi_assets.errors import SettingError
from delphi_assets.explainers.default import DEFAULT
from delphi_assets.lake.database import connect, query
from delphi_assets.prompts import NO_PATTERN, Prompts, known, worked_explanations
from delphi_assets.settings import ExplainSettings
from tests.explainers.test_explanations import LLM, run
from tests.parts.explained_lake import HOOKPOINT, RUN, make_lake, profile, terms
from tests.parts.fault_server import FaultServer, Reply

CASE = """
[[case]]
reasoning = "All numbers."
explanation = "Numbers."

[[case.windows]]
text = "it took<< 7>> days"
activations = [[" 7", 10]]
"""


def test_a_file_stands_in_for_its_namesake(tmp_path: Path) -> None:
    (tmp_path / "explainer.txt").write_text("Say what fires.\n")
    (tmp_path / "explainer.toml").write_text(CASE)
    (tmp_path / ".DS_Store").write_bytes(b"\xff")
    shipped, own = terms(), terms(prompts=str(tmp_path))
    system, question, answer = DEFAULT.instructions(own)
    assert system.content.startswith("Say what fires.\n\nExcerpts are cut")
    assert question.content == '1. it took<< 7>> days\n\nMarked: "7" 1x 10\n\nWhat is marked?'
    assert answer.content == "[EXPLANATION]: Numbers."
    assert DEFAULT.prompt_hash(own) != DEFAULT.prompt_hash(shipped)
    (tmp_path / "explainer.toml").unlink()
    (tmp_path / "explainer.txt").write_text(Prompts().text("explainer"))
    assert DEFAULT.prompt_hash(terms(prompts=str(tmp_path))) == DEFAULT.prompt_hash(shipped)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("explaner.txt", "x", r"\['explaner.txt'\], which no prompt is called; .*'explainer.txt'"),
        ("explainer.toml", "case = 1", "explainer.toml cannot be used"),
        ("explainer.toml", "[[case]]\nreasoning = 'x'", "KeyError: 'explanation'"),
        ("explainer.toml", "[[case", "TOMLDecodeError"),
        ("explainer.txt", b"\xff", "not readable UTF-8"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, name: str, content: str | bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingError, match=problem):
        Prompts(str(tmp_path))
    with pytest.raises(ValueError, match=problem):
        ExplainSettings(explainer="lexical", prompts=str(tmp_path))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is no folder"):
        Prompts(str(tmp_path / "none"))


def test_shipped_prompts_can_all_be_read() -> None:
    prompts = Prompts()
    for name in known():
        if name.endswith(".txt"):
            assert prompts.text(name.removesuffix(".txt"))
        elif name.startswith("explainer"):
            assert prompts.explainer_cases(name.removesuffix(".toml"))


@pytest.mark.slow
def test_the_text_that_was_used_is_found_by_its_hash(tmp_path: Path) -> None:
    lake, folder = make_lake(tmp_path, 2), tmp_path / "prompts"
    folder.mkdir()
    (folder / "explainer.txt").write_text("Say what fires.")
    with FaultServer(lambda asked: Reply("[EXPLANATION]: x")) as server:
        given = profile(api_base=server.url)
        run(lake, given)
        run(lake, given, settings=LLM.model_copy(update={"prompts": str(folder)}))
    with connect(lake) as con:
        found = query(con, "analysis/explainer_prompts", run=RUN, hookpoint=HOOKPOINT).to_pylist()
    by_hash = {row["prompt_hash"]: row for row in found}
    for one in (terms(), terms(prompts=str(folder))):
        row = by_hash.pop(DEFAULT.prompt_hash(one))
        sent = [tuple(message.values()) for message in json.loads(row["messages"])]
        assert sent[:-1] == list(DEFAULT.instructions(one))
        assert (row["instructions"], row["n_explanations"]) == (sent[0][1], 2)
    assert not by_hash


def test_worked_explanations_are_those_of_all_versions() -> None:
    told = worked_explanations()
    assert "Units of measurement directly after a number." in told, "of version 1"
    assert "Names of birds." in told
    assert not any(text.startswith(NO_PATTERN) for text in told), "which is an answer, no echo"


def test_an_explanation_may_say_that_there_is_no_pattern(tmp_path: Path) -> None:
    """It is one, not a failure, and counted."""
    lake = make_lake(tmp_path, 2)
    said = {1: "[EXPLANATION]: No clear pattern.", 0: "[EXPLANATION]: A word."}
    with FaultServer(lambda asked: Reply(said["word1" in asked.prompt])) as server:
        report = run(lake, profile(api_base=server.url))
    assert (report.facts["explained"], report.facts["failed"]) == (2, 0)
    assert report.facts["no_clear_pattern"] == 1
    with connect(lake) as con:
        told = con.sql("select no_pattern(explanation) from explanations order by latent")
        assert told.fetchall() == [(False,), (True,)]
