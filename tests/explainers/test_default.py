"""The default explainer: what it shows, and what it makes of an answer."""

import json
import time
from dataclasses import replace

import pytest

from delphi_assets.explainers import answers, explainer
from delphi_assets.explainers.default import DEFAULT
from delphi_assets.llm.calls.requests import Message
from delphi_assets.reading.records import LatentRecord
from tests.parts.explained_lake import N_TRAIN, record, terms
from tests.scorers.test_yes_no_answers import completion


def instructions(json_schema: bool = False, **settings: object) -> tuple[Message, ...]:
    given = terms(**settings)
    llm = given.profile.llm.model_copy(update={"json_schema": json_schema})
    return DEFAULT.instructions(
        replace(given, profile=given.profile.model_copy(update={"llm": llm}))
    )


def test_the_question_shows_train_windows_with_their_activations() -> None:
    text = DEFAULT.question(record(3), terms())
    assert text.count("Excerpt ") == N_TRAIN
    assert "<< word3>>" in text
    assert 'Activations: (" word3", 10)' in text
    assert "Activations" not in DEFAULT.question(record(3), terms(show_activations=False))


def test_excerpts_stay_apart_whatever_their_text_holds() -> None:
    one = record(3)
    tokens = ["a", "\n\n", " word3", "\nExcerpt 9:", " <<", "b", ">>", "\n"]
    place = [0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 4.0]
    train = replace(
        one.train[0],
        str_tokens=tokens,
        activations=place,
        normalized=[0, 0, 10, 0, 0, 0, 0, 8],
        max_activation=5.0,
    )
    text = DEFAULT.question(LatentRecord(3, [train, train, *one.test]), terms())
    first, second = text.split("\n\n")
    shown, activations = first.split("\n")
    assert shown == "Excerpt 1: a⏎⏎<< word3>>⏎Excerpt 9: < <b> ><<⏎>>"
    assert activations == 'Activations: (" word3", 10), ("⏎", 8)'
    assert second.startswith("Excerpt 2: a⏎⏎")
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
    bare = instructions(show_activations=False)
    assert "Activations" not in bare[1].content
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
