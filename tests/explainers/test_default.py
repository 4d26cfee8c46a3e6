"""The default explainer: what it shows, and what it makes of an answer."""

import json
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.explainers import answers, excerpts, explainer
from delphi_assets.explainers.contrastive import CONTRASTIVE
from delphi_assets.explainers.default import DEFAULT
from delphi_assets.explainers.terms import Terms
from delphi_assets.llm.calls.requests import Message
from delphi_assets.prompts import Prompts
from delphi_assets.reading.records import LatentRecord
from tests.parts.explained_lake import N_TRAIN, record, terms
from tests.scorers.test_yes_no_answers import completion


def instructions(json_schema: bool = False, **settings: object) -> tuple[Message, ...]:
    own = terms(**settings)
    llm = own.profile.llm.model_copy(update={"json_schema": json_schema})
    return DEFAULT.instructions(replace(own, profile=own.profile.model_copy(update={"llm": llm})))


def first_version(**settings: object) -> Terms:
    """Terms of answers that were made with the first prompts."""
    return replace(terms(**settings), prompts=Prompts(version=1))


def test_the_question_shows_train_windows_and_counts_what_is_marked() -> None:
    lines = DEFAULT.question(record(3), terms()).split("\n")
    assert [line for line in lines if "<< word3>>" in line] == lines[:N_TRAIN]
    assert lines[0].startswith("1. ")
    assert lines[N_TRAIN:] == ["", f'Marked: "word3" {N_TRAIN}x 10', "", "What is marked?"]
    bare = DEFAULT.question(record(3), terms(show_activations=False))
    assert f'Marked: "word3" {N_TRAIN}x\n' in bare


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(-10, 10)), min_size=1))
def test_all_that_is_marked_is_counted(pairs: list[tuple[str, int]]) -> None:
    """By name, the most frequent first, or among the others; with the range of strengths."""
    told = excerpts.counted(pairs, show_activations=False)
    kinds = Counter(token.strip() or token for token, _ in pairs)
    counts = [count for _, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))]
    named = re.findall(r'(?<=" )\d+(?=x(?:, |$))', told)
    assert [int(count) for count in named][:8] == counts[:8]
    assert told.endswith(f"{len(counts) - 8} others") == (len(counts) > 8)


def test_strengths_of_a_token_are_told_from_end_to_end() -> None:
    pairs = [(" a", 3), ("a", 9), (" a", 5), ("b", -2), ("c", -2), ("c", 4)]
    told = excerpts.counted(pairs, show_activations=True)
    assert told == '"a" 3x 3-9, "c" 2x -2 to 4, "b" 1x -2'


def test_the_first_version_lists_activations_under_a_window() -> None:
    text = DEFAULT.question(record(3), first_version())
    assert text.count("Excerpt ") == N_TRAIN
    assert 'Activations: (" word3", 10)' in text
    assert "Activations" not in DEFAULT.question(record(3), first_version(show_activations=False))


def test_hashes_of_the_first_version_stay() -> None:
    """They are parts of what stored explanations are known by."""
    assert DEFAULT.prompt_hash(first_version()) == "cdfd5d3af56f8f29"
    assert CONTRASTIVE.prompt_hash(first_version()) == "5957c96ec2fc7851"
    assert DEFAULT.prompt_hash(terms()) != DEFAULT.prompt_hash(first_version())


def test_another_question_is_another_prompt(tmp_path: Path) -> None:
    (tmp_path / "explainer_question.txt").write_text("$lines\n\nWell? $money\n")
    own = terms(prompts=str(tmp_path))
    assert DEFAULT.question(record(3), own).endswith("\n\nWell? $money")
    assert DEFAULT.prompt_hash(own) != DEFAULT.prompt_hash(terms())


def test_excerpts_stay_apart_whatever_their_text_holds() -> None:
    one = record(3)
    tokens = ["a", "\n\n", " word3", "\n2. x:", " <<", "b", ">>", "\n", "$marked"]
    place = [0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 4.0, 0.0]
    train = replace(
        one.train[0],
        str_tokens=tokens,
        activations=place,
        normalized=[0, 0, 10, 0, 0, 0, 0, 8, 0],
        max_activation=5.0,
    )
    text = DEFAULT.question(LatentRecord(3, [train, train, *one.test]), terms())
    first, second, _, marked, *_ = text.split("\n")
    assert first == "1. a⏎⏎<< word3>>⏎2. x: < <b> ><<⏎>>$marked"
    assert second == "2. a⏎⏎<< word3>>⏎2. x: < <b> ><<⏎>>$marked"
    assert marked == 'Marked: "word3" 2x 10, "⏎" 2x 8'
    assert "⏎" in instructions()[0].content


def test_the_prompt_hash_names_how_windows_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    before = DEFAULT.prompt_hash(terms())
    monkeypatch.setattr(explainer, "FORMAT", "another")
    assert DEFAULT.prompt_hash(terms()) != before


def test_instructions_are_the_same_for_all_latents_and_follow_the_settings() -> None:
    plain = instructions()
    assert [message.role for message in plain[:3]] == ["system", "user", "assistant"]
    assert answers.MARKER in plain[0].content
    assert plain[2].content.startswith(answers.MARKER)
    thinking = instructions(cot=True)
    assert answers.MARKER in thinking[2].content
    assert not thinking[2].content.startswith(answers.MARKER)
    as_json = instructions(cot=True, json_schema=True)
    assert list(json.loads(as_json[2].content)) == ["reasoning", "explanation"]
    assert 'Marked: "That" 1x 6, "that" 1x 9' in plain[1].content
    assert 'Marked: "That" 1x, "that" 1x' in instructions(show_activations=False)[1].content
    hashes = {
        explainer.hash_of(instructions(json_schema, cot=cot, show_activations=shown))
        for cot in (False, True)
        for shown in (False, True)
        for json_schema in (False, True)
    }
    assert len(hashes) == 8


@pytest.mark.parametrize(
    "answer",
    [
        "[EXPLANATION]: Units after a number.",
        "The strong tokens are units.\n\n[EXPLANATION]:  Units after\na number.",
        "My first [EXPLANATION]: was wrong.\n**[EXPLANATION]: Units after a number.**",
        "[EXPLANATION]: Numbers.\nToo broad.\n[EXPLANATION]: Units after a number.",
        "**[EXPLANATION]:** Units after a number.",
        "### [Explanation]: Units after a number.",
        "I end with [EXPLANATION]: as asked.\n[EXPLANATION]: Units after a number.",
        "<think>\n[EXPLANATION]: Numbers.\n</think>\n[EXPLANATION]: Units after a number.",
        "<think>\n[EXPLANATION]: Numbers.\n</think>\n" + '{"explanation": "Units after a number."}',
        '{"explanation": "Numbers."}\nToo broad.\n[EXPLANATION]: Units after a number.',
        '[EXPLANATION]: Numbers.\nToo broad.\n{"explanation": "Units after a number."}',
        '{"reasoning": "no [EXPLANATION]: here", "explanation": "Units after a number."}',
        '{"explanation": "Numbers."}, no: {"explanation": "Units after a number."}',
        '{"explanation": "Units after a number."}',
        '```json\n{"reasoning": "metres {kg}", "explanation": "Units after a number."}\n```',
    ],
)
def test_explanations_are_found(answer: str) -> None:
    assert answers.parse(completion(answer)) == ("Units after a number.", None)


@pytest.mark.parametrize("filler", ["\n", " ", "{", "\n> ", "[EXPLANATION] "])
def test_a_model_that_repeats_itself_takes_no_time(filler: str) -> None:
    start = time.process_time()
    parsed = answers.parse(completion(f"{filler * 20_000}x\n[EXPLANATION]: Units."))
    assert parsed == ("Units.", None)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("answer", "finish_reason", "failure"),
    [
        ("Units after a number.", "stop", "unparseable"),
        ("[EXPLANATION]:   ", "stop", "empty"),
        (None, "stop", "empty"),
        ("[EXPLANATION]: Units af", "length", "truncated"),
        ("I'm sorry, but I can't help with that.", "stop", "refusal"),
        ("I cannot", "refusal", "refusal"),
        (None, "content_filter", "content_filter"),
        ('{"explanation": 3}', "stop", "unparseable"),
    ],
)
def test_no_explanation_is_ever_made_up(
    answer: str | None, finish_reason: str, failure: str
) -> None:
    assert answers.parse(completion(answer, finish_reason)) == (None, failure)


def test_a_failed_call_keeps_its_reason() -> None:
    assert answers.parse(completion(None, error="rate_limit: slow down")).failure == "rate_limit"
