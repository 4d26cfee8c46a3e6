"""Reading the judges' answers: every shape that models produce, and what is no answer."""

import json
import math

import pytest

from delphi_assets.llm.completions import Completion
from delphi_assets.scorers.answers import parse, probability


def completion(
    answer: str | None,
    finish_reason: str = "stop",
    logprobs: str | None = None,
    error: str | None = None,
) -> Completion:
    return Completion(
        request="0" * 64,
        role="detection",
        model="m",
        messages="[]",
        answer=answer,
        logprobs=logprobs,
        finish_reason=finish_reason,
        prompt_tokens=1,
        cached_tokens=None,
        completion_tokens=1,
        cost=None,
        latency=0.1,
        attempts=1,
        error=error,
    )


@pytest.mark.parametrize(
    "answer",
    [
        '{"answers": [1, 0, 1]}',
        "[1,0,1]",
        "[1,\n0,\n1]",
        "[true, False, TRUE]",
        '["1", "0", "1"]',
        "1,0,1",
        "1, 0, 1.".rstrip("."),
        '```json\n{"answers": [1, 0, 1]}\n```',
        "```\n1, 0, 1\n```",
        "Excerpt [1] matches, excerpt 2 does not.\n\nSo: [1, 0, 1]",
        'I first thought {"answers": [0, 0, 0]}, but no: {"answers": [1, 0, 1]}',
        "Both fit, I think.\n1, 0, 1",
        "Answer: [1, 0, 1] and [0,0,0]",
    ],
)
def test_answers_are_found(answer: str) -> None:
    parsed = parse(completion(answer), 3)
    assert parsed.predictions == (True, False, True)
    assert (parsed.probabilities, parsed.failure) == (None, None)


@pytest.mark.parametrize(
    ("answer", "finish_reason", "failure"),
    [
        ("[1,0]", "stop", "wrong_count"),
        ("[1,0,1,1]", "stop", "wrong_count"),
        ('{"answers": [1, 0, 1, 1]}', "stop", "wrong_count"),
        ("[0.4,0,2]", "stop", "unparseable"),
        ("the first and the last", "stop", "unparseable"),
        ("I'm sorry, I can't judge that.", "stop", "refusal"),
        ("", "stop", "empty"),
        (None, "stop", "empty"),
        ('{"answers": [1, 0', "length", "truncated"),
        (None, "length", "truncated"),
        ("no", "content_filter", "content_filter"),
        ("no", "refusal", "refusal"),
    ],
)
def test_what_is_no_answer_is_a_failure(
    answer: str | None, finish_reason: str, failure: str
) -> None:
    assert parse(completion(answer, finish_reason), 3) == (None, None, failure)


def test_an_answer_that_is_whole_counts_even_when_the_rest_was_cut() -> None:
    assert parse(completion('{"answers": [1]} Because', "length"), 1).predictions == (True,)


def test_a_failed_call_keeps_its_reason() -> None:
    assert parse(completion(None, error="timeout: too slow"), 2).failure == "timeout"


def tops(*tokens: tuple[str, dict[str, float]]) -> str:
    return json.dumps(
        [
            {"token": token, "top": [[other, math.log(p)] for other, p in top.items()]}
            for token, top in tokens
        ]
    )


def test_probabilities_agree_with_delphi() -> None:
    logprobs = tops(
        ("[", {"[": 0.9}),
        ("1", {"1": 0.7, "0": 0.2, " 1": 0.05}),
        (",", {",": 1.0}),
        ("0", {"0": 0.6, "1": 0.3, "x": 0.1}),
        ("]", {"]": 1.0}),
    )
    parsed = parse(completion("[1,0]", logprobs=logprobs), 2)
    assert parsed.predictions == (True, False)
    assert parsed.probabilities == pytest.approx((0.7894736842105263, 0.33333333333333337))


def test_ten_is_not_a_spelling_of_one_or_zero() -> None:
    assert probability([("1", math.log(0.5)), ("10", math.log(0.25))]) == pytest.approx(1.0)
    assert probability([("x", 0.0)]) is None


def test_numbers_in_the_reasoning_do_not_shift_probabilities() -> None:
    logprobs = tops(
        ("Excerpt [1] fits: ", {"Excerpt [1] fits: ": 1.0}),
        (' {"answers": [1', {' {"answers": [1': 0.6, ' {"answers": [0': 0.4}),
        (", ", {", ": 1.0}),
        ("0", {"0": 0.9, "1": 0.1}),
        ("]}", {"]}": 1.0}),
    )
    text = 'Excerpt [1] fits:  {"answers": [1, 0]}'
    parsed = parse(completion(text, logprobs=logprobs), 2)
    assert parsed.predictions == (True, False)
    assert parsed.probabilities is not None
    assert parsed.probabilities[1] == pytest.approx(0.1)


def test_a_token_with_two_answers_tells_neither_probability() -> None:
    logprobs = tops(("[1,0]", {"[1,0]": 1.0}))
    assert parse(completion("[1,0]", logprobs=logprobs), 2).probabilities == (None, None)
