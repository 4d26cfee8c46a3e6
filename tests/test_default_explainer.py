"""The default explainer: what it shows, and what it makes of an answer."""

import json
from dataclasses import replace

import pytest

from delphi_assets.explainers import default
from delphi_assets.records import LatentRecord
from delphi_assets.settings import ExplainSettings
from tests.explained_lake import N_TRAIN, record
from tests.test_answers import completion


def settings(**changes: object) -> ExplainSettings:
    return ExplainSettings.model_validate({"explainer_model": "openai/m", **changes})


def test_the_question_shows_train_windows_with_their_activations() -> None:
    text = default.question(record(3), settings()).content
    assert text.count("Excerpt ") == N_TRAIN
    assert "<< word3>>" in text
    assert 'Activations: (" word3", 10)' in text
    assert (
        "Activations" not in default.question(record(3), settings(show_activations=False)).content
    )


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
    text = default.question(LatentRecord(3, [train, train, *one.test]), settings()).content
    first, second = text.split("\n\n")
    shown, activations = first.split("\n")
    assert shown == "Excerpt 1: a⏎⏎<< word3>>⏎Excerpt 9: < <b> ><<⏎>>"
    assert activations == 'Activations: (" word3", 10), ("⏎", 8)'
    assert second.startswith("Excerpt 2: a⏎⏎")
    assert "⏎" in default.instructions(settings(), json_schema=False)[0].content


def test_the_prompt_hash_names_how_windows_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    before = default.prompt_hash(settings(), json_schema=False)
    monkeypatch.setattr(default, "FORMAT", "another")
    assert default.prompt_hash(settings(), json_schema=False) != before


def test_test_windows_are_never_shown() -> None:
    one = record(3)
    shown = default.question(one, settings()).content
    for example in one.test + one.non_activating:
        assert "".join(example.str_tokens) not in shown.replace("<<", "").replace(">>", "")


def test_instructions_are_the_same_for_all_latents_and_follow_the_settings() -> None:
    plain = default.instructions(settings(), json_schema=False)
    assert [message.role for message in plain[:3]] == ["system", "user", "assistant"]
    assert default.MARKER in plain[0].content
    assert plain[2].content.startswith(default.MARKER)
    thinking = default.instructions(settings(cot=True), json_schema=False)
    assert default.MARKER in thinking[2].content
    assert not thinking[2].content.startswith(default.MARKER)
    as_json = default.instructions(settings(cot=True), json_schema=True)
    assert list(json.loads(as_json[2].content)) == ["reasoning", "explanation"]
    bare = default.instructions(settings(show_activations=False), json_schema=False)
    assert "Activations" not in bare[1].content
    hashes = {
        default.prompt_hash(settings(cot=cot, show_activations=shown), json_schema)
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
        '{"explanation": "Units after a number."}',
        '```json\n{"reasoning": "metres {kg}", "explanation": "Units after a number."}\n```',
    ],
)
def test_explanations_are_found(answer: str) -> None:
    assert default.parse(completion(answer)) == ("Units after a number.", None)


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
    assert default.parse(completion(answer, finish_reason)) == (None, failure)


def test_a_failed_call_keeps_its_reason() -> None:
    assert default.parse(completion(None, error="rate_limit: slow down")).failure == "rate_limit"
