"""Reading which of several options a judge picked."""

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from delphi_assets.scorers.answers.picks import parse
from tests.scorers.test_yes_no_answers import DENYING, PROSE, completion, tops


@pytest.mark.parametrize(
    "answer",
    [
        '{"answer": 3}',
        '{"answer": "3"}',
        '```json\n{"answer": 3}\n```',
        "3",
        "[3]",
        "3.",
        "**3**",
        "Excerpt 3",
        "Excerpt 3 does not belong.",
        "Answer: 3",
        "answer: excerpt 3",
        "**Answer:** 3",
        "The answer is 3.",
        "The answer is excerpt 3, because 1, 2 and 4 are about food.",
        'Excerpts 1, 2 and 4 are about food.\n{"answer": 3}',
        "Excerpts 1, 2 and 4 are about food.\n3",
        "Excerpts 1, 2 and 4 are about food.\n\nSo: excerpt 3.",
        'First I thought {"answer": 2}, but no: {"answer": 3}',
        '{"reasoning": "1 and 2 go together", "answer": 3}',
        "<think>1 or 2? 2.5 of them.</think>\n3",
        "<think>The answer is 2.</think>\nExcerpt 3.",
        "Answer: 2\n\nNo, that is food too.\n\nAnswer: 3",
        "My first answer: 2. On reflection, my answer is 3.",
        "Answer: 2\n\nThat cannot be.\n\n**Excerpt 3**",
        '{"answer": 3, "reasoning": "answer 2 would be possible, but is about food"}',
        '{"answer": 3}\n\nExcerpts 1, 2 and 4 are about food.',
        '{"answer": 3}\n\nExcerpt 3 does not belong; the others are about food.',
        "Answer: 3. Excerpt 2 was close.",
        "1.\nfood\n2.\nfood\n\nExcerpt 3 is about metres.",
        "$\\boxed{3}$",
        # A number that is no option.
        "Answer: 3\nConfidence: 4",
        "**Answer: 3**\n\n**Confidence: 4**",
        "Answer: 3\n\nConfidence:\n4",
        "Answer: 3\nConfidence: 4/5",
        "Answer: 3\nMy confidence in this is 4.",
        "Answer: 3\nI am 80% sure; 4 of 5 are about food.",
        "Answer: 3\nThe other 4 are about food.",
        "Answer: 3\n4 excerpts are about food.",
        '{"answer": 3}\n{"confidence": 4}',
        "Excerpt 3 does not belong.\nConfidence: 4",
        # What is called the answer or final, or stands behind words that take the other one back.
        "**Excerpt 1**\nfood\n\n**Excerpt 3**\nmetres\n\nAnswer: 3",
        "Answer: 2\n\nFinal answer: 3",
    ],
)
def test_picks_are_found(answer: str) -> None:
    assert parse(completion(answer), 5) == (2, None, None)


@pytest.mark.parametrize(
    ("answer", "finish_reason", "failure"),
    [
        ("0", "stop", "unparseable"),
        ("6", "stop", "unparseable"),
        ('{"answer": 6}', "stop", "unparseable"),
        ('{"answer": 2.5}', "stop", "unparseable"),
        ("3.5", "stop", "unparseable"),
        ("1 or 3", "stop", "unparseable"),
        ("[1, 0, 1]", "stop", "unparseable"),
        ("the last", "stop", "unparseable"),
        ("The answer is not 3.", "stop", "unparseable"),
        ("It is not excerpt 3.", "stop", "unparseable"),
        ("Answer: 2\n\nAnswer: 6", "stop", "unparseable"),
        ("Answer: 2 or 3", "stop", "contradictory"),
        ('{"answer": [2, 3]}', "stop", "contradictory"),
        ("Answer: 2. But on reflection, excerpt 4.", "stop", "contradictory"),
        ("My answer is 2.\n\nNo, excerpt 4.", "stop", "contradictory"),
        ("Answer: 2\n\nExcerpt 4 does not belong.", "stop", "contradictory"),
        ("Answer: 3\n4", "stop", "contradictory"),
        ("Answer: 3\nCorrection: 4", "stop", "contradictory"),
        ("Answer: 3\nNow I am sure that it is excerpt 4.", "stop", "contradictory"),
        ("Answer: 3\n\nOn a scale of oddness, excerpt 4.", "stop", "contradictory"),
        ("Answer: 3\n\nAnswer: 4", "stop", "contradictory"),
        ("Answer: 3. Read another way, the answer is 4.", "stop", "contradictory"),
        ('{"answer": 3}\n\nIf it were about food: {"answer": 4}', "stop", "contradictory"),
        ("Excerpt 3\n\nExcerpt 4", "stop", "contradictory"),
        ("Excerpt 1 is about food.\nExcerpt 2 is about food.", "stop", "contradictory"),
        ("Excerpt 1\n\n2\n%", "stop", "unparseable"),
        ("4/5", "stop", "unparseable"),
        ("In 3 excerpts, 2 of them short, food is meant.", "stop", "unparseable"),
        ("The strength is 2 in 1 excerpt.", "stop", "unparseable"),
        ("My answer is 2? Let me see", "length", "truncated"),
        ('{"answer": 1', "length", "truncated"),
        ("1" * 5_000, "stop", "unparseable"),
        ("I'm sorry, I can't judge that.", "stop", "refusal"),
        ("", "stop", "empty"),
        (None, "stop", "empty"),
        ("Excerpt 1 and excerpt 2", "length", "truncated"),
        (None, "length", "truncated"),
        ("no", "content_filter", "content_filter"),
    ],
)
def test_what_is_no_pick_is_a_failure(answer: str | None, finish_reason: str, failure: str) -> None:
    assert parse(completion(answer, finish_reason), 5) == (None, None, failure)


@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_a_draft_is_never_the_pick(draft: int, final: int, data: st.DataObject) -> None:
    """The last pick or a failure, whatever stands between."""
    first = data.draw(st.sampled_from(("Answer: {}", '{{"answer": {}}}', "The answer is {}.")))
    between = data.draw(st.sampled_from(("\n\n", " or ", ". No, wait. ", "\n\nFinal.\n\n")))
    last = data.draw(st.sampled_from(("Answer: {}", '{{"answer": {}}}', "{}", "excerpt {}")))
    pick = parse(completion(first.format(draft) + between + last.format(final)), 5)
    assert pick.option == final - 1 or pick.failure is not None
    if draft == final:
        assert pick.option == final - 1


@given(PROSE, st.integers(1, 5), PROSE, st.data())
def test_one_pick_is_read_whatever_words_stand_around_it(
    before: str, picked: int, behind: str, data: st.DataObject
) -> None:
    assume(not DENYING.search(before))
    written = data.draw(st.sampled_from(("Answer: {}", '{{"answer": {}}}', "Excerpt {}", "{}")))
    text = f"{before}\n{written.format(picked)}\n{behind}"
    assert parse(completion(text), 5) == (picked - 1, None, None)


@given(PROSE, PROSE, PROSE, st.permutations(range(1, 6)), st.data())
def test_two_picks_that_differ_are_none(
    before: str, between: str, behind: str, picks: list[int], data: st.DataObject
) -> None:
    """Where no words call one of them the answer, or take one back."""
    assume(not any(map(DENYING.search, (before, between, behind))))
    one, other = (data.draw(st.sampled_from(("Excerpt {}", "{}", "option {}"))) for _ in range(2))
    text = f"{before}\n{one.format(picks[0])}\n{between}\n{other.format(picks[1])}\n{behind}"
    assert parse(completion(text), 5).option is None


@given(st.text('answer is13.:{}"\n orExcpt', max_size=60))
def test_any_text_gives_an_option_or_a_failure(text: str) -> None:
    pick = parse(completion(text), 3)
    assert (pick.option is None) != (pick.failure is None)
    assert pick.option is None or 0 <= pick.option < 3


def test_a_failed_call_keeps_its_reason() -> None:
    assert parse(completion(None, error="timeout: too slow"), 2).failure == "timeout"


def test_the_token_with_the_number_gives_each_options_share() -> None:
    """0.6 and 0.2 of what is told about options 1 to 3; 7 is no option."""
    logprobs = tops(
        ('1 and 2 differ. {"answer":', {'1 and 2 differ. {"answer":': 1.0}),
        (" 3", {" 3": 0.6, "1": 0.2, "7": 0.1, "x": 0.1}),
        ("}", {"}": 1.0}),
    )
    pick = parse(completion('1 and 2 differ. {"answer": 3}', logprobs=logprobs), 3)
    assert pick.option == 2
    assert pick.probabilities == pytest.approx((0.25, 0.0, 0.75))


def test_without_an_option_among_the_alternatives_there_is_no_probability() -> None:
    logprobs = json.dumps([{"token": "3}", "top": [["3}", math.log(0.9)], ["x", -3.0]]}])
    assert parse(completion("3}", logprobs=logprobs), 3).probabilities == (0.0, 0.0, 1.0)
    long = json.dumps([{"token": "3", "top": [["3", -0.1], ["9" * 5_000, -3.0]]}])
    assert parse(completion("3", logprobs=long), 3).probabilities == (0.0, 0.0, 1.0)
    odd = json.dumps([{"token": "it is 3", "top": [["it is 3", -0.1]]}])
    assert parse(completion("it is 3", logprobs=odd), 3) == (2, None, None)
