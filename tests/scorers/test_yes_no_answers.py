"""Reading the judges' answers: every shape that models produce, and what is no answer."""

import json
import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from delphi_assets.llm.calls.completions import Completion
from delphi_assets.scorers.answers.yes_no import parse, probability


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


THREE = (True, False, True)
SHAPES: dict[str, tuple[bool, ...] | str] = {
    # As asked for.
    '{"answers": [1, 0, 1]}': THREE,
    '{"answers":[1,0,1]}': THREE,
    '{\n  "answers": [\n    1,\n    0,\n    1\n  ]\n}': THREE,
    '{"answers": [true, false, true]}': THREE,
    '{"answers": ["1", "0", "1"]}': THREE,
    '{"answers": ["yes", "no", "yes"]}': THREE,
    "{'answers': [1, 0, 1]}": THREE,
    '{"answers": [1, 0, 1,]}': THREE,
    # In a code fence, or with text around it.
    '```json\n{"answers": [1, 0, 1]}\n```': THREE,
    '```\n{"answers": [1, 0, 1]}\n```\nExcerpt 2 has no unit.': THREE,
    'Here you are:\n\n{"answers": [1, 0, 1]}\n\nTell me if you need more.': THREE,
    '{"reasoning": "1 and 3 fit, 2 does not", "answers": [1, 0, 1]}': THREE,
    '<think>\nMaybe [0, 0, 1]? No: 1, 0, 1.\n</think>\n{"answers": [1, 0, 1]}': THREE,
    'I first thought {"answers": [0, 0, 0]}, but no: {"answers": [1, 0, 1]}': THREE,
    # A list alone.
    "[1,0,1]": THREE,
    "[1,\n0,\n1]": THREE,
    "[true, False, TRUE]": THREE,
    '["1", "0", "1"]': THREE,
    '["Yes", "No", "Yes"]': THREE,
    "Excerpt [1] matches, excerpt 2 does not.\n\nSo: [1, 0, 1]": THREE,
    # Without brackets.
    "1,0,1": THREE,
    "1, 0, 1": THREE,
    "1, 0, 1.": THREE,
    "1 0 1": THREE,
    "1\n0\n1": THREE,
    "yes, no, yes": THREE,
    "Answers: 1, 0, 1": THREE,
    "```\n1, 0, 1\n```": THREE,
    "Both fit, I think.\n1, 0, 1": THREE,
    # Numbered.
    "1. 1\n2. 0\n3. 1": THREE,
    "1) yes\n2) no\n3) yes": THREE,
    "1: true\n2: false\n3: true": THREE,
    "Excerpt 1: 1\nExcerpt 2: 0\nExcerpt 3: 1": THREE,
    "Excerpt 1 - yes, it names metres.\nExcerpt 2 - no.\nExcerpt 3 - yes (ml)": THREE,
    "**Excerpt 1:** 1\n**Excerpt 2:** 0\n**Excerpt 3:** 1": THREE,
    "1 -> 1, 2 -> 0, 3 -> 1": THREE,
    '{"1": 1, "2": 0, "3": 1}': THREE,
    '{"Excerpt 1": true, "Excerpt 2": false, "Excerpt 3": true}': THREE,
    "1. no\n2. no\n\nOn second thought:\n1. yes\n2. no\n3. yes": THREE,
    # Of another length.
    "[1,0]": "wrong_count",
    "[1,0,1,1]": "wrong_count",
    '{"answers": [1, 0, 1, 1]}': "wrong_count",
    "1, 0": "wrong_count",
    "1": "wrong_count",
    "1. 1\n2. 0": "wrong_count",
    "1. yes\n2. no\n3. yes\n4. no": "wrong_count",
    # A draft before the answer, or other lists around it.
    "[0,0,1] at first sight. Final: [1,0,1]": THREE,
    "[0,0,1] ... Final: [1,0,1]": THREE,
    "Draft: [0, 0, 1]\n\nExcerpt 1 does name metres.\n\n[1, 0, 1]": THREE,
    "I think [0,0,1]. Hmm, the first names metres, so [1,0,1].": THREE,
    "It is not [0, 0, 1] but [1, 0, 1]": THREE,
    "[1, 0, 1]\n\nNot [0, 0, 1], for excerpt 1 names metres.": THREE,
    "**Final answer: [1, 0, 1]**\n\nMy first guess was [0, 0, 1].": THREE,
    '{"draft": [0, 0, 1], "final": [1, 0, 1]}': THREE,
    '{"answers": [1, 0, 1], "reasoning": "a vector [0, 0, 1] is no unit"}': THREE,
    '{"scratch": [0, 0, 1], "answers": [1, 0, 1]}': THREE,
    '{"answers": [0, 0, 0]}\n\nWait, 1 and 3 match.\n\n{"answers": [1, 0, 1]}': THREE,
    '{"answers": [1, 0]}\n\nThat is one too few.\n\n{"answers": [1, 0, 1]}': THREE,
    "1. no\n2. no\n3. no\n\nNo, 1 and 3 do.\n\n[1, 0, 1]": THREE,
    "[0, 0, 1] was my guess; in detail:\n\nFinal answer: 1, 0, 1": THREE,
    '<think>[0, 0, 0]\n{"answers": [0, 0, 0]}</think>[1, 0, 1]': THREE,
    "<think>1. no 2. no 3. no</think>\n\n1. yes\n2. no\n3. yes": THREE,
    "<thinking>[0, 0, 0]</thinking> The answer is [1, 0, 1].": THREE,
    "$\\boxed{[1, 0, 1]}$": THREE,
    "Answer:\n\n```python\n[1, 0, 1]\n```\n\nExcerpt [2] has no unit, [3] has.": THREE,
    '{"answers": [1, 0, 1]}\n\n1. Yes, metres.\n2. No, none.\n3. Yes, ml.': THREE,
    '{"answers": [1, 0, 1]}\n\nMatching excerpts: [1], [3]': THREE,
    "Excerpts 1 and 3 match but 2 does not: [1, 0, 1]": THREE,
    "For the first excerpt yes, so [1, 0, 1].": THREE,
    "Excerpt 1: [1]\nExcerpt 2: [0]\nExcerpt 3: [1]": THREE,
    "| Excerpt | Match |\n|---|---|\n| 1 | yes |\n| 2 | no |\n| 3 | yes |\n\n[1, 0, 1]": THREE,
    "- Excerpt 1: **1**\n- Excerpt 2: **0**\n- Excerpt 3: **1**": THREE,
    # Two things at once.
    "Answer: [1, 0, 1] and [0,0,0]": "contradictory",
    "[1, 0, 1] or [0, 0, 0]": "contradictory",
    "[1, 0, 1]\n\n[0, 0, 0]": "contradictory",
    '{"answers": [1, 0, 1]}\n{"answers": [1, 1, 1]}': "contradictory",
    '{"answers": [1, 0, 1], "answers": [1, 1, 1]}': "contradictory",
    '{"answers": [1, 0]} or [1, 0, 1]': "contradictory",
    '{"answers": [1, 0, 1]}\n\nOn reflection I would say [1, 1, 1] instead.': "contradictory",
    '{"answers": [1, 0, 1]}\n\nActually, excerpt 2: 1.': "contradictory",
    "1. yes\n2. no\n3. yes\n\nActually 2: yes": "contradictory",
    '{"answers": [1, 0, 1]} Final: [1, 0]': "wrong_count",
    '[1, 0, 1]\n\nThat was too long: {"answers": [1, 0]}': "wrong_count",
    "1. no\n2. no\n3. yes\n\nOn second thought:\n1. yes": "wrong_count",
    # Another case, an example or a quotation, and what is called the answer.
    "[1, 0, 1]. If the label were broader it would be [1, 1, 1].": "contradictory",
    "[1, 0, 1]\n\nUnder a broader label, the answer would be [1, 1, 1].": "contradictory",
    "[1, 0, 1]\n\nActually, were the label broader: [1, 1, 1]": "contradictory",
    '{"answers": [1, 0, 1]}\n\nIf it were broader: {"answers": [1, 1, 1]}': "contradictory",
    '{"answers": [1, 0, 1]}\n\nThe answer with more context: [1, 1, 1]': "contradictory",
    'A list such as {"answers": [1, 1, 1]} is asked for.\n\n[1, 0, 1]': "contradictory",
    "Excerpt 2 is [1, 1, 1] to some, but I say [1, 0, 1].": "contradictory",
    "1. yes\n2. no\n3. yes\n\nWith a broader label: [1, 1, 1]": "contradictory",
    "1. yes\n2. no\n3. yes\n\nWith a broader label:\n1. yes\n2. yes\n3. yes": "contradictory",
    '1. yes\n2. yes\n3. yes\n\n{"answers": [1, 0, 1]}': THREE,
    "[1, 1, 1] might do.\n\n**Final answer:**\n\n```json\n[1, 0, 1]\n```": THREE,
    '{"answers": [1, 1, 1]}\n\nCorrected: {"answers": [1, 0, 1]}': THREE,
    "[1, 1, 1]\n\nSorry, I meant [1, 0, 1].": THREE,
    "If I had to choose, the answer would be [1, 0, 1].": THREE,
    f"{'9' * 5_000}: yes\n[1, 0, 1]": THREE,
    # No answer, or not one for each.
    "101": "unparseable",
    "[0.4,0,2]": "unparseable",
    "[1.0, 0.0, 1.0]": "unparseable",
    "1.0\n0.0\n1.0": "unparseable",
    '{"answers": []}': "unparseable",
    '{"answers": [1, null, 1]}': "unparseable",
    "the first and the last": "unparseable",
    "Excerpts 1 and 3 match.": "unparseable",
    "10, 11, 12": "unparseable",
    "1 of 3": "unparseable",
    "I'm sorry, I can't judge that.": "refusal",
    "": "empty",
    " \n": "empty",
}


@pytest.mark.parametrize(("answer", "given"), SHAPES.items(), ids=repr)
def test_what_each_shape_gives(answer: str, given: tuple[bool, ...] | str) -> None:
    parsed = parse(completion(answer), 3)
    assert (parsed.failure if isinstance(given, str) else parsed.predictions) == given
    assert parsed.probabilities is None
    assert (parsed.predictions is None) == (parsed.failure is not None)


@pytest.mark.parametrize(
    ("answer", "finish_reason", "failure"),
    [
        (None, "stop", "empty"),
        ('{"answers": [1, 0', "length", "truncated"),
        ("1. yes\n2. n", "length", "truncated"),
        ("1. yes\n2. no\n3. no", "length", "truncated"),
        ("Maybe [1, 0, 1]? The first", "length", "truncated"),
        ('{"answers": [0, 0, 1]} is wrong: {"answers": [1, 0', "length", "truncated"),
        ('<think>{"answers": [0, 0, 1]} would', "length", "truncated"),
        (None, "length", "truncated"),
        ("no", "content_filter", "content_filter"),
        ("no", "refusal", "refusal"),
    ],
)
def test_why_the_server_stopped_names_the_failure(
    answer: str | None, finish_reason: str, failure: str
) -> None:
    assert parse(completion(answer, finish_reason), 3) == (None, None, failure)


def test_words_that_only_begin_like_an_answer_are_none() -> None:
    assert parse(completion("1: yes\n2: no doubt it fits\n3: yes"), 3).predictions is None


def test_one_item_may_be_answered_in_a_word() -> None:
    for word, expected in {"Yes.": True, "no": False, "1": True, "Excerpt 1: 0": False}.items():
        assert parse(completion(word), 1).predictions == (expected,)


def test_a_reference_to_the_only_excerpt_is_no_answer() -> None:
    for text, expected in {
        "Excerpt [1] does not match.\n[0]": False,
        "[0]\n\nExcerpt [1] has no unit.": False,
        '{"answers": [0]}\n\nExcerpt [1] has no unit.': False,
        "Excerpt [1]: [0]": False,
        "Excerpt [1]: no": False,
        "The answer for item [1] is [1].": True,
    }.items():
        assert parse(completion(text), 1).predictions == (expected,), text


LISTS = st.lists(st.booleans(), min_size=2, max_size=6)
WRITTEN = (
    lambda answers: str([int(one) for one in answers]),
    lambda answers: json.dumps({"answers": [int(one) for one in answers]}),
    json.dumps,
    lambda answers: json.dumps({"answers": answers}, indent=2),
    lambda answers: str(["yes" if one else "no" for one in answers]),
)
BETWEEN = (
    " ... Final: ",
    "\n\nNo, wait. Looking at them again, it is\n\n",
    ". On second thought, excerpt [1] is about food, so ",
    "\n\nThat was a draft.\n\n```json\n",
    " or ",
    "\n",
)
BEHIND = ("", "\n```", ".", "\n\nTell me if you need more about excerpt [2].", "\n</answer>")


@given(LISTS, st.data())
def test_a_draft_is_never_the_answer(final: list[bool], data: st.DataObject) -> None:
    """However both are written: the last one, or a failure; the last one where words part them."""
    draft = data.draw(st.lists(st.booleans(), min_size=len(final), max_size=len(final)))
    between = data.draw(st.sampled_from(BETWEEN))
    first, last = (data.draw(st.sampled_from(WRITTEN)) for _ in range(2))
    text = f"{first(draft)}{between}{last(final)}{data.draw(st.sampled_from(BEHIND))}"
    parsed = parse(completion(text), len(final))
    if draft != final and between in BETWEEN[-2:]:
        assert parsed.failure == "contradictory", text
    else:
        assert parsed.predictions == tuple(final), text


WORDS = ("The", "excerpt", "fits", "the", "label", "metres", "I", "think", "is", "so", "because",
         "them", "clear", "broader", "if", "would", "here", "and", "Yes", "units")  # fmt: skip
PROSE = st.lists(
    st.sampled_from([*WORDS, ".", ",", ":", "\n", "\n\n", "**", "`"])
    | st.text(st.characters(categories=("L", "Po", "Zs")), max_size=8),
    max_size=12,
).map(" ".join)
DENYING = re.compile(
    r"\b(?:not|maybe|perhaps|draft|earlier|instead|rather|answers?|final|wait|sorry|hmm|yes|no)\b"
    r"|n['’]t|initial|original|previous|first|</?think",
    re.IGNORECASE,
)
"""What may take a statement back or call it the answer, or is one."""


@given(PROSE, LISTS, PROSE, st.data())
def test_one_list_is_read_whatever_words_stand_around_it(
    before: str, answers: list[bool], behind: str, data: st.DataObject
) -> None:
    assume(not DENYING.search(before))
    written = data.draw(st.sampled_from(WRITTEN))(answers)
    parsed = parse(completion(f"{before} {written}\n{behind}"), len(answers))
    assert parsed.predictions == tuple(answers)


@given(PROSE, PROSE, PROSE, LISTS, st.data())
def test_two_lists_that_differ_are_none(
    before: str, between: str, behind: str, first: list[bool], data: st.DataObject
) -> None:
    """Where neither is called the answer, and no words take one back."""
    assume(not any(map(DENYING.search, (before, between, behind))))
    last = data.draw(st.lists(st.booleans(), min_size=len(first), max_size=len(first)))
    assume(first != last)
    unnamed = [WRITTEN[place] for place in (0, 2, 4)]
    one, other = (data.draw(st.sampled_from(unnamed)) for _ in range(2))
    text = f"{before} {one(first)} {between} {other(last)} {behind}"
    assert parse(completion(text), len(first)).failure == "contradictory"


@given(st.text("[]{}01,:\"' \nyesno.answer", max_size=60), st.integers(1, 4))
def test_any_text_gives_as_many_answers_as_items_or_a_failure(text: str, count: int) -> None:
    parsed = parse(completion(text), count)
    assert (parsed.predictions is None) != (parsed.failure is None)
    assert parsed.predictions is None or len(parsed.predictions) == count


def test_probabilities_are_those_of_the_answer_that_counts() -> None:
    """Not of the draft, though it says the same."""
    logprobs = tops(
        ("[", {"[": 1.0}),
        ("1", {"1": 0.6, "0": 0.4}),
        ("]. The excerpt names metres. Final: [", {"x": 1.0}),
        ("1", {"1": 0.9, "0": 0.1}),
        ("]", {"]": 1.0}),
    )
    text = "[1]. The excerpt names metres. Final: [1]"
    parsed = parse(completion(text, logprobs=logprobs), 1)
    assert parsed.probabilities == pytest.approx((0.9,))
    thought = tops(("<think>[1]</think>", {"x": 1.0}), ("0", {"1": 0.2, "0": 0.8}))
    parsed = parse(completion("0", logprobs=thought), 1)
    assert parsed.probabilities == pytest.approx((0.2,))


def test_numbered_answers_have_probabilities_too() -> None:
    logprobs = tops(
        ("1. ", {"1. ": 1.0}),
        ("1", {"1": 0.8, "0": 0.2}),
        ("\n2. ", {"\n2. ": 1.0}),
        ("no", {"no": 0.6, "yes": 0.2, "No": 0.1}),
    )
    parsed = parse(completion("1. 1\n2. no", logprobs=logprobs), 2)
    assert parsed.predictions == (True, False)
    assert parsed.probabilities == pytest.approx((0.8, 0.2 / 0.9))


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
