"""Answers of the simulation that are written down: what is read from each shape of them."""

import json

import pytest

from delphi_assets.llm.calls.completions import Completion
from delphi_assets.scorers.answers import token_activations
from delphi_assets.scorers.answers.token_activations import Simulated

TOKENS = ("the", " cat", " sat", "\n", " cat")
PAIRS = [["the", 0], [" cat", 7], [" sat", 0.5], ["\n", 0], [" cat", 10]]
RIGHT = Simulated((0.0, 7.0, 0.5, 0.0, 10.0))
NUMBERS = [0, 7, 0.5, 0, 10]


def completion(
    answer: str | None, finish_reason: str = "stop", error: str | None = None
) -> Completion:
    return Completion(
        request="r",
        role="simulation",
        model="m",
        messages="[]",
        answer=answer,
        logprobs=None,
        finish_reason=finish_reason,
        prompt_tokens=None,
        cached_tokens=None,
        completion_tokens=None,
        cost=None,
        latency=0.0,
        attempts=1,
        error=error,
    )


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


AS_ASKED = dumped({"activations": PAIRS})


@pytest.mark.parametrize(
    "answer",
    [
        AS_ASKED,
        f"```json\n{json.dumps({'activations': PAIRS}, indent=2)}\n```",
        f"The pattern [cats] shows twice, {{so}}:\n\n{AS_ASKED}\nI hope this helps!",
        dumped(PAIRS),
        dumped({"activations": NUMBERS}),
        dumped(NUMBERS),
        dumped([str(number) for number in NUMBERS]),
        dumped([{"token": token, "activation": number} for token, number in PAIRS]),
        dumped([{"token": token, "strength": number} for token, number in PAIRS]),
        # The last of several counts.
        f"Draft: {dumped({'activations': [[token, 1] for token in TOKENS]})} Final: {AS_ASKED}",
        f"<think>{dumped(PAIRS[:2])} {dumped([0, 0, 0, 0, 0])}</think>{AS_ASKED}",
        f"{dumped({'activations': PAIRS[:2]})} is too short.\n\n{AS_ASKED}",
        f"{AS_ASKED}\n{AS_ASKED}",
        # Other spellings of the same tokens.
        dumped([["The", 0], ["cat", 7], ["sat ", 0.5], ["⏎", 0], [" cat", 10]]),
        dumped([["the", 0], [" cat", 7], [" sat", 0.5], ["\\n", 0], [" cat", 10]]),
        # A comma too many, tuples, lines.
        '{"activations": [["the", 0], [" cat", 7], [" sat", 0.5], ["\\n", 0], [" cat", 10],]}',
        "[('the', 0), (' cat', 7), (\" sat\", 0.5), ('\\n', 0), (' cat', 10)]",
        "the\t0\n cat\t7\n sat\t0.5\n⏎\t0\n cat\t10",
    ],
)
def test_answers_that_can_be_read(answer: str) -> None:
    assert token_activations.parse(completion(answer), TOKENS) == RIGHT


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        # A token is left out, joined, repeated, or added.
        (dumped(PAIRS[:-1]), "wrong_count"),
        (dumped([*PAIRS[:3], PAIRS[4]]), "wrong_count"),
        (dumped([["the cat", 7], *PAIRS[2:]]), "wrong_count"),
        (dumped([*PAIRS, PAIRS[-1]]), "wrong_count"),
        (dumped(NUMBERS[:3]), "wrong_count"),
        # The last word is another one.
        (f"{AS_ASKED} Final: {dumped({'activations': PAIRS[:2]})}", "wrong_count"),
        (f"{AS_ASKED} or {dumped([1, 1, 1, 1, 1])}", "contradictory"),
        # As many as there should be, but others.
        (dumped([PAIRS[0], PAIRS[0], *PAIRS[1:4]]), "misaligned"),
        (dumped([*PAIRS[:3], PAIRS[4], PAIRS[3]]), "misaligned"),
        # No numbers from 0 to 10.
        (dumped([*PAIRS[:4], [" cat", 11]]), "unparseable"),
        (dumped([*PAIRS[:4], [" cat", -1]]), "unparseable"),
        (dumped([*PAIRS[:4], [" cat", float("nan")]]), "unparseable"),
        (dumped([*PAIRS[:4], [" cat", "Infinity"]]), "unparseable"),
        (dumped([*PAIRS[:4], [" cat", None]]), "unparseable"),
        (dumped([*PAIRS[:4], [" cat", True]]), "unparseable"),
        (dumped([*PAIRS[:4], [" cat", "strong"]]), "unparseable"),
        (dumped([*PAIRS[:4], [" cat", 1, 2]]), "unparseable"),
        ("[" * 5_000, "unparseable"),
        ("The strongest token is cat.", "unparseable"),
        ("I'm sorry, I cannot help with that.", "refusal"),
        ("", "empty"),
        ("  \n", "empty"),
    ],
)
def test_answers_that_cannot_be_read(answer: str, failure: str) -> None:
    assert token_activations.parse(completion(answer), TOKENS) == Simulated(failure=failure)


def test_a_token_that_python_cannot_spell_is_read_as_it_stands() -> None:
    answer = '("\\x", 1), (\'a\nb\', 2), ("\0", 3)'
    assert token_activations.parse(completion(answer), ["\\x", "a b", "\0"]).activations == (
        1,
        2,
        3,
    )


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (f"{dumped([1] * 5)}\n\nAnswer: {dumped(NUMBERS)}", RIGHT),
        (f"{AS_ASKED}\n\nNo, wait. One more look: {dumped(NUMBERS)}", RIGHT),
        (f"{AS_ASKED}\n\nIf it were broader: {dumped([1] * 5)}", None),
        (f"{AS_ASKED}\n\nIf it were broader: {dumped({'activations': [1] * 5})}", None),
        (f"{dumped([1] * 5)} is the form. {dumped(NUMBERS)}", None),
    ],
)
def test_of_two_that_differ_one_is_the_answer_or_none(answer: str, read: Simulated | None) -> None:
    contradictory = Simulated(failure="contradictory")
    assert token_activations.parse(completion(answer), TOKENS) == (read or contradictory)


def test_what_ended_the_answer_is_the_reason() -> None:
    cut = completion(AS_ASKED[:40], finish_reason="length")
    assert token_activations.parse(cut, TOKENS).failure == "truncated"
    # What is there in full counts, though the prose behind it was cut.
    whole = completion(f"{AS_ASKED} because", finish_reason="length")
    assert token_activations.parse(whole, TOKENS) == RIGHT
    draft = completion(f"{dumped(NUMBERS)} is a draft. {AS_ASKED[:40]}", finish_reason="length")
    assert token_activations.parse(draft, TOKENS).failure == "truncated"
    filtered = completion(AS_ASKED, finish_reason="content_filter")
    assert token_activations.parse(filtered, TOKENS).failure == "content_filter"
    failed = completion(None, error="timeout: 120 s")
    assert token_activations.parse(failed, TOKENS).failure == "timeout"


def test_the_schema_asks_for_a_pair_a_token() -> None:
    form = json.loads(token_activations.schema(32))["properties"]["activations"]
    assert (form["minItems"], form["maxItems"]) == (32, 32)
    assert form["items"]["items"]["anyOf"][1]["enum"] == list(range(11))
