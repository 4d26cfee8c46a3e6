"""Explanations as a person reads them: by hand, and for every notation that can be written."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.reading import lexical
from delphi_assets.reading.in_words import in_words
from delphi_assets.reading.lexical import CorpusCounts
from delphi_assets.reading.records import Example, LatentRecord

WORDS = ["Return", " return", "return", ".", " the", "The", "\n", "\n\n", "   ", " ", "<eos>", "é"]
_LONGEST = 45
"""Words of a sentence about tokens without spaces inside; most have about thirty."""


@pytest.mark.parametrize(
    ("notation", "sentence"),
    [
        (
            '"Return" 85% x319, after "<eos>" 61% x9.4, after "\\n\\n" 12% x0.4\nother 15%',
            "“Return”, which carries 85% of its activation and is 319 times as frequent there as "
            "elsewhere, mostly at the start of a document",
        ),
        # 40% at 40 times and 10% at 2 times: half of it, on 0.01 + 0.05 of the corpus.
        (
            '"Return" 40% x40, after "\\n" 50% x2\n" return" 10% x2, after " a" 90% x3\nother 50%',
            "“Return”, which carries 50% of its activation and is 8.3 times as frequent there as "
            "elsewhere, often at the start of a line",
        ),
        (
            '" the" 30% x0.9, after " of" 30% x2, after " in" 30% x2\n"\\n" 5% x2\nother 65%',
            "“the”, which carries 30% of its activation, mostly after “in” or “of”; also a line "
            "break (5%)",
        ),
        (
            '"a" 9% x2\n"b" 8% x2\n"c" 7% x2\n"d" 6% x2\n"e" 5% x2\nother 65%',
            "“a”, which carries 9% of its activation and is 2 times as frequent there as elsewhere;"
            " also “b” (8%), “c” (7%), “d” (6%) and “e” (5%)",
        ),
        (
            '"a" 9% x1.66e+03\n"b" 8% x2\n"c" 7% x2\n"d" 6% x2\n"e" 5% x2\n"f" 4% x2\n"g" 3% x2\n'
            "other 58%",
            "“a”, which carries 9% of its activation and is 1,660 times as frequent there as "
            "elsewhere; also “b” (8%), “c” (7%), “d” (6%), “e” (5%) and 2 others (7%)",
        ),
        ('" " 50% x1.02\nother 50%', "a space, which carries 50% of its activation"),
        (lexical.EMPTY, "no token that carries much of its activation"),
        ("Numbers after a unit.", "Numbers after a unit."),
        ("", ""),
    ],
)
def test_sentence_by_hand(notation: str, sentence: str) -> None:
    assert in_words(notation) == sentence


@st.composite
def _written(draw: st.DrawFn, words: st.SearchStrategy[str]) -> str:
    """What the explainer writes about some windows of some corpus."""
    str_tokens = draw(st.lists(words, min_size=1, max_size=12))
    width = len(str_tokens)
    of_corpus = st.integers(0, 1_000)
    counts = np.array(draw(st.lists(of_corpus, min_size=width, max_size=width)))
    pairs = np.array(sorted(draw(st.sets(st.integers(0, width * width - 1), min_size=1))))
    occurring = st.lists(st.integers(1, 1_000), min_size=len(pairs), max_size=len(pairs))
    pair_counts = np.array(draw(occurring))
    windows = draw(
        st.lists(
            st.lists(
                st.tuples(st.integers(0, width - 1), st.sampled_from([0.0, 0.5, -2.0, 7.0])),
                min_size=1,
                max_size=8,
            ).filter(lambda window: any(value for _, value in window)),
            min_size=1,
            max_size=6,
        )
    )
    record = LatentRecord(0, [_window(window, str_tokens) for window in windows])
    return lexical.explain(record, CorpusCounts(counts, pairs, pair_counts, str_tokens))


def _window(window: list[tuple[int, float]], str_tokens: list[str]) -> Example:
    tokens, activations = [token for token, _ in window], [value for _, value in window]
    return Example(
        example=0,
        activating=True,
        split="train",
        source="top",
        quantile=0,
        position=0,
        tokens=tokens,
        str_tokens=[str_tokens[token] for token in tokens],
        activations=activations,
        normalized=[round(value) for value in activations],
        max_activation=max(activations, key=abs),
        latent_max=max(activations, key=abs),
    )


@given(_written(st.text(max_size=6)))
def test_any_notation_becomes_one_line(notation: str) -> None:
    """Whatever stands in tokens, and tokens of the same text."""
    sentence = in_words(notation)
    assert len(sentence.splitlines()) == 1
    assert sentence != notation


@given(_written(st.sampled_from(WORDS)))
def test_nothing_is_lost_silently(notation: str) -> None:
    """Every word is named or counted, and the shares are those of the notation."""
    sentence = in_words(notation)
    lines = lexical.read_lines(notation)
    words = {line.token.strip(" ").casefold() or min(len(line.token), 2) for line in lines}
    counted = re.search(r"(\d+) others", sentence)
    named = len(re.findall(r"carries \d|\(\d+%\)", sentence)) - bool(counted)
    assert named + (int(counted[1]) if counted else 0) == len(words)
    shares = map(int, re.findall(r"(?:carries |\()(\d+)%", sentence))
    total = 100 * sum(line.own.share for line in lines)
    assert sum(shares) == pytest.approx(total, abs=0.5 * (named + 1) + 0.1)
    assert not re.search(r"\bx\d|\d% x|after \"|^other ", sentence)
    assert len(sentence.split()) <= _LONGEST
