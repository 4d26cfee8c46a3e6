"""No damaged or odd input ends in another library's error, hangs, or is executed."""

import time
from pathlib import Path

import pytest

from delphi_assets.explainers import answers as explainer_answers
from delphi_assets.scorers.answers import picks, token_activations
from delphi_assets.scorers.answers import yes_no as scorer_answers
from tests.parts.odd_input import KINDS, completion, fuzz

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


@pytest.mark.parametrize("kind", KINDS)
def test_odd_input_is_refused_in_our_words(kind: str, tmp_path: Path) -> None:
    run = fuzz(kind, 50, seed=1, folder=tmp_path)
    assert run.odd == []
    assert not run.trapped
    assert run.mutants == 50
    assert run.read > 0 or run.refused.total() > 0


@pytest.mark.parametrize("tail", ["", "x\n[1, 0, 1, 0, 1]"])
@pytest.mark.parametrize(
    "piece",
    ['{"a":', "[1,", "[", "{", "[[1,],", '{"answers":[', "<think>", "</think>", "[.", '["', '{"',
     "]", '"', "'", "\\", '\\"', "\t", "\n", " ", "\n'", "```", "0", "1 ", "\n1", "1.1",
     "answer 1.", "[1]", "[1 ", '{"answers": [1]}', '{"answer": 1}', '{"explanation": "a"}',
     "[EXPLANATION]:", '("', "('a',1)", "a\t1\n", "\t1", "wait ", "n't ", "1: yes ", "*", "and ",
     '[{"a":[1,2]},'],
)  # fmt: skip
def test_the_time_to_read_an_answer_grows_with_its_length(piece: str, tail: str) -> None:
    """As brackets and white space were tried anew at each place, some took minutes."""
    answer = completion(piece * (100_000 // len(piece)) + tail)
    started = time.process_time()
    explainer_answers.parse(answer)
    scorer_answers.parse(answer, 5)
    picks.parse(answer, 5)
    token_activations.parse(answer, ["a", "b"])
    assert time.process_time() - started < 10
