"""The lexical explainer and judge: by hand, and where the right answer is known."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.errors import DataError
from delphi_assets.reading.lexical import (
    CorpusCounts,
    Evidence,
    explain,
    judge_detection,
    judge_fuzz,
    parse,
    read_counts,
)
from delphi_assets.reading.records import Example, LatentRecord
from tests.parts.random_lake import random_lake

TOKENS = ["a", " b", "\n", 'say "hi"', ", after ", "e"]


def counts() -> CorpusCounts:
    """1,000 tokens; token 1 follows token 2 in 10 of its 20 occurrences, token 0 in the others."""
    width = len(TOKENS)
    pairs = np.array(sorted([(2 * width + 1), (0 * width + 1)]))
    return CorpusCounts(
        np.array([880, 20, 40, 20, 20, 20]), pairs, np.array([10, 10]), list(TOKENS)
    )


def window(tokens: list[int], activations: list[float]) -> Example:
    return Example(
        example=0,
        activating=any(activations),
        split="train",
        source="top",
        quantile=0,
        position=0,
        tokens=tokens,
        str_tokens=[TOKENS[token] for token in tokens],
        activations=activations,
        normalized=[round(value) for value in activations],
        max_activation=max(activations),
        latent_max=max(activations),
    )


def test_explanation_by_hand() -> None:
    """Token 1 carries 12 of 16; half of that follows token 2, half token 0; three windows."""
    record = LatentRecord(
        7,
        [
            window([0, 2, 1], [0, 0, 6.0]),
            window([0, 0, 1], [0, 0, 6.0]),
            window([3, 0, 0], [4.0, 0, 0]),
        ],
    )
    assert explain(record, counts()).split("\n") == [
        '" b" 56.2% x28.1, after "a" 37.5% x0.75, after "\\n" 37.5% x0.75',
        '"say \\"hi\\"" 18.8% x9.38',
        "other 25%",
    ]


def test_a_negative_activation_weighs_as_its_magnitude() -> None:
    positive = LatentRecord(7, [window([0, 2, 1], [0, 1.0, 6.0])])
    negative = LatentRecord(7, [window([0, 2, 1], [0, -1.0, -6.0])])
    assert explain(negative, counts()) == explain(positive, counts())


def test_judge_by_hand() -> None:
    explanation = '" b" 50% x25, after "\\n" 80% x4\nother 50%'
    rest = 0.5 / 0.98
    after_other = 25 * 0.2 / 0.8
    for tokens, ratio in (
        (["a", "a"], rest),
        (["\n", " b"], (rest + 100) / 2),
        (["a", " b"], (rest + after_other) / 2),
        ([" b", "a"], (25 + rest) / 2),
    ):
        assert judge_detection(explanation, tokens) == pytest.approx(ratio / (1 + ratio))
    right = judge_fuzz(explanation, ["\n", " b"], [False, True])
    wrong = judge_fuzz(explanation, ["\n", " b"], [True, False])
    assert right == pytest.approx(100 / 101)
    assert wrong == pytest.approx(rest / (1 + rest))
    assert judge_fuzz(explanation, ["a"], [False]) == 0.5


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0.125, 100, width=32)), min_size=1, max_size=40)
)
def test_what_is_written_can_be_read(pairs: list[tuple[int, float]]) -> None:
    tokens, activations = [list(column) for column in zip(*pairs, strict=True)]
    text = explain(LatentRecord(0, [window(tokens, activations)]), counts())
    evidence = parse(text)
    assert set(evidence) <= {TOKENS[token] for token in tokens}
    assert sum(token.own.share for token in evidence.values()) <= 0.51
    assert 0 <= judge_detection(text, [TOKENS[token] for token in tokens]) <= 1


def test_quotes_and_commas_inside_tokens_survive() -> None:
    explanation = '"say \\"hi\\"" 40% x20, after ", after " 30% x15\nother 60%'
    evidence = parse(explanation)
    assert evidence['say "hi"'].preceding == {", after ": Evidence(0.3, 15.0)}


@pytest.mark.parametrize("text", ["Mentions of rivers.", "", '"b" 50% x25', "other 10%\nother 10%"])
def test_foreign_text_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not a lexical explanation"):
        judge_detection(text, ["a"])


def test_a_silent_record_is_refused() -> None:
    with pytest.raises(DataError, match="latent 3 has no activation"):
        explain(LatentRecord(3, [window([0, 1], [0.0, 0.0])]), counts())


def test_counts_equal_brute_force(tmp_path: Path) -> None:
    data = random_lake(tmp_path, n_tokens=333, ctx_len=16, example_ctx_len=8)
    found = read_counts(data.lake, "random")
    n_tokens = Counter(data.tokens)
    pairs = Counter(
        (data.tokens[place - 1], data.tokens[place]) for place in range(333) if place % 16
    )
    assert len(pairs) > 200
    for (preceding, token), n in pairs.items():
        assert found.rate(token) == pytest.approx(n_tokens[token] / 333)
        assert found.preceding_rate(preceding, token) == pytest.approx(n / n_tokens[token])
