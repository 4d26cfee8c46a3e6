"""Passages: contexts cut where documents and special tokens are, and which tokens a span marks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.caching.planting.passages import Passage, Vocabulary, passages_of

BOS, EOS = 0, 1
TEXTS = ["<bos>", "<eos>", "The", " list", " is", ".", " sub", "normal", "\n"]
VOCABULARY = Vocabulary(TEXTS, [True, True, *[False] * 7])
HELD = st.text(alphabet="ab _(\n", max_size=3)


def test_a_context_is_cut_at_documents_and_special_tokens() -> None:
    # The first document goes on from an earlier context, the last one into a later one.
    tokens = [BOS, 3, 4, EOS, 2, 3, 2, 6, 7]
    found = list(passages_of(tokens, ["a", "b", "c"], [1, 4, 6], VOCABULARY))
    assert [(one.offset, one.passage.text, one.passage.document) for one in found] == [
        (1, " list is", "a"),
        (4, "The list", "b"),
        (6, "The subnormal", "c"),
    ]
    assert [one.passage.begins for one in found] == [False, True, True]
    assert [one.passage.ends for one in found] == [True, True, False]


def test_without_documents_special_tokens_alone_cut() -> None:
    found = list(passages_of([BOS, 2, EOS, 3, EOS, EOS], [], [], VOCABULARY))
    assert [one.passage.text for one in found] == ["The", " list"]
    assert [one.passage.begins for one in found] == [False, True]


def test_words_that_may_go_on_are_none() -> None:
    tokens = ["Overflow", "Error", " in", " sub"]
    assert [one.text for one in Passage(tokens, False, False).words] == ["in"]
    assert [one.text for one in Passage(tokens).words] == ["OverflowError", "in", "sub"]
    # A space before it shows where the first one begins.
    assert [one.text for one in Passage([" in", " sub"], False, True).words] == ["in", "sub"]


@pytest.mark.parametrize(
    ("fires", "expected"),
    [
        ("last", [0, 0, 1, 0, 1]),
        ("first", [0, 1, 0, 1, 0]),
        ("all", [0, 1, 1, 1, 1]),
    ],
)
def test_tokens_of_a_span(fires: str, expected: list[int]) -> None:
    passage = Passage(["the", " sub", "normal", " Overflow", "Error"])
    spans = [(word.start, word.end) for word in passage.words[1:]]
    assert passage.marked(spans, fires).tolist() == [bool(one) for one in expected]  # type: ignore[arg-type]


def test_tokens_within_a_span_have_their_first_character_there() -> None:
    passage = Passage(["f", "(", "a", ",", " b", ") ", "c"])
    assert passage.within([(2, 6)]).tolist() == [False, False, True, True, True, False, False]


@given(st.lists(HELD, max_size=8), st.integers(0, 12), st.integers(1, 6))
def test_a_span_marks_the_tokens_that_share_a_character(
    tokens: list[str], start: int, length: int
) -> None:
    passage = Passage(tokens)
    end = min(start + length, len(passage.text))
    ends = np.cumsum([len(token) for token in tokens])
    shares = [
        min(end, int(last)) > max(start, int(last) - len(token))
        for token, last in zip(tokens, ends, strict=True)
    ]
    marked = passage.marked([(start, end)], "all")
    # A token without a character has none to share.
    assert [bool(one) for one, token in zip(marked, tokens, strict=True) if token] == [
        one for one, token in zip(shares, tokens, strict=True) if token
    ]
