"""Highlighting, checked against what Delphi shows for the same windows."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.reading.highlighting import highlight, mark

TOKENS = [f" w{number}" for number in range(10, 18)]


@pytest.mark.parametrize(
    ("activations", "explainer_text", "scorer_text"),
    [
        (
            [0, 0, 10, 3.0, 2.9, 0, 0, 10],
            " w10 w11<< w12>> w13 w14 w15 w16<< w17>>",
            " w10 w11<< w12 w13>> w14 w15 w16<< w17>>",
        ),
        (
            [10, 9, 8, 7, 6, 5, 4, 3],
            "<< w10 w11 w12 w13 w14 w15 w16>> w17",
            "<< w10 w11 w12 w13 w14 w15 w16 w17>>",
        ),
        (
            [1, 0, 1, 0, 1, 0, 1, 0],
            "<< w10>> w11<< w12>> w13<< w14>> w15<< w16>> w17",
            "<< w10>> w11<< w12>> w13<< w14>> w15<< w16>> w17",
        ),
    ],
)
def test_agrees_with_delphi(
    activations: list[float], explainer_text: str, scorer_text: str
) -> None:
    for_explainer = mark(activations, 0.3, max(activations), inclusive=False)
    for_scorer = mark(activations, 0.3, max(activations), inclusive=True)
    assert highlight(TOKENS, for_explainer) == explainer_text
    assert highlight(TOKENS, for_scorer) == scorer_text


def test_a_weak_window_is_not_shown_bare() -> None:
    assert mark([0.0, 1.0, 0.2], 0.3, maximum=100.0, inclusive=False) == [False, True, False]


def test_silent_tokens_are_never_marked() -> None:
    assert mark([0.0, 0.0, 2.0], 0.0, maximum=2.0, inclusive=True) == [False, False, True]
    assert mark([0.0, 0.0], 0.3, maximum=2.0, inclusive=True) == [False, False]


@pytest.mark.parametrize(
    ("tokens", "marked", "shown"),
    [
        (["if", ":\n", "  x", "\r\n", "\u2028"], [1], "if<<:⏎>>  x⏎⏎"),
        (["a", " <<", "b"], [2], "a < < <<b>>"),
        (["1", "<", "<", " 2", " >>", ">"], [], "1< < 2 > > >"),
        (["<", "x", ">"], [1], "< <<x>> >"),
        (["x", "<", ">"], [1, 2], "x<< <> >>"),
        ([" ->", " List", "<int>"], [1], " -><< List>><int>"),
    ],
)
def test_a_window_is_one_line_and_only_marks_look_like_marks(
    tokens: list[str], marked: list[int], shown: str
) -> None:
    assert highlight(tokens, [place in marked for place in range(len(tokens))]) == shown


@given(st.lists(st.tuples(st.text("<> a", min_size=1, max_size=3), st.booleans()), max_size=8))
def test_marks_can_be_read_back(window: list[tuple[str, bool]]) -> None:
    """What stands between << and >> is the text of the marked tokens, spaces apart."""
    shown = highlight([token for token, _ in window], [is_marked for _, is_marked in window])
    runs = groupby(window, key=lambda pair: pair[1])
    expected = ["".join(t for t, _ in run).replace(" ", "") for is_marked, run in runs if is_marked]
    found = [part.partition(">>")[0] for part in shown.split("<<")[1:]]
    assert [text.replace(" ", "") for text in found] == expected
    assert shown.count(">>") == len(expected)
