"""No damaged or odd input ends in another library's error, hangs, or is executed."""

import time
from pathlib import Path

import pytest

from delphi_assets.explainers import answers as explainer_answers
from delphi_assets.scorers import answers as scorer_answers
from delphi_assets.scorers import choices, simulated
from tests.odd_input import KINDS, completion, fuzz

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("kind", KINDS)
def test_odd_input_is_refused_in_our_words(kind: str, tmp_path: Path) -> None:
    run = fuzz(kind, 50, seed=1, folder=tmp_path)
    assert run.odd == []
    assert not run.trapped
    assert run.mutants == 50
    assert run.read > 0 or run.refused.total() > 0


@pytest.mark.parametrize("piece", ['{"a":', "[1,", "[", "{", "[[1,],", '{"answers":[', "<think>"])
def test_brackets_without_end_are_read_at_once(piece: str) -> None:
    """As each bracket was tried anew, such answers took more than 20 seconds."""
    answer = completion(piece * 10_000)
    started = time.perf_counter()
    explainer_answers.parse(answer)
    scorer_answers.parse(answer, 5)
    choices.parse(answer, 5)
    simulated.parse(answer, ["a", "b"])
    assert time.perf_counter() - started < 10
