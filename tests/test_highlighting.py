"""Highlighting, checked against what Delphi shows for the same windows."""

import pytest

from delphi_assets.highlighting import highlight, mark

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
