"""Fuzzing: the layout of the highlighting gives nothing away."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.records import LatentRecord
from delphi_assets.scorers import detection, fuzz
from delphi_assets.scorers.fuzz import place, run_lengths
from tests.explained_lake import N_SILENT, N_TEST, record


@given(
    runs=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    length=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_placements_keep_the_runs(runs: list[int], length: int, seed: int) -> None:
    marked = place(runs, length, random.Random(seed))
    assert len(marked) == length
    if sum(runs) + len(runs) - 1 <= length:
        assert sorted(run_lengths(marked)) == sorted(runs)
    else:
        assert any(marked)


def test_every_placement_is_equally_likely() -> None:
    seen = Counter(tuple(place([1, 1], 4, random.Random(seed))) for seed in range(3000))
    assert len(seen) == 3
    assert min(seen.values()) > 900


def two_runs(latent: int) -> LatentRecord:
    """A record whose test windows have runs of 2 and 1 tokens, all in other places."""
    examples = []
    for one in record(latent).examples:
        activations = [0.0] * 8
        if one.activating:
            start = one.example % 4
            activations[start : start + 2] = [5.0, 5.0]
            activations[start + 3] = 5.0
        examples.append(replace(one, activations=activations, max_activation=max(activations)))
    return LatentRecord(latent, examples)


def test_true_and_false_items_have_the_same_layouts() -> None:
    items = fuzz.items(two_runs(0), 0.3, "seed")
    layouts: dict[bool, Counter[tuple[int, ...]]] = {True: Counter(), False: Counter()}
    for item in items:
        assert item.marked is not None
        layouts[item.truth][tuple(sorted(run_lengths(item.marked)))] += 1
    assert layouts[True] == layouts[False] == Counter({(1, 2): N_TEST})
    assert {item.variant for item in items if item.truth} == {"true"}
    assert {item.variant for item in items if not item.truth} == {"false"}


def test_false_places_differ_by_latent_window_and_seed() -> None:
    def places(latent: int, seed: str) -> list[tuple[bool, ...]]:
        items = fuzz.items(two_runs(latent), 0.3, seed)
        return [item.marked for item in sorted(items, key=lambda i: i.example) if not item.truth]  # type: ignore[misc]

    assert places(0, "a") == places(0, "a")
    assert places(0, "a") != places(0, "b")
    assert places(0, "a") != places(1, "a")
    assert len(set(places(0, "a"))) > 1


def test_a_true_item_marks_what_reaches_the_threshold() -> None:
    one = record(0)
    item = next(item for item in fuzz.items(one, 0.3, "s") if item.truth)
    example = one.examples[item.example]
    assert item.marked == tuple(value > 0 for value in example.activations)


def test_without_test_windows_nothing_is_asked() -> None:
    examples = [one for one in record(0).examples if one.split == "train" or not one.activating]
    assert fuzz.items(LatentRecord(0, examples), 0.3, "s") == []


@pytest.mark.parametrize("seed", ["a", "b"])
def test_detection_asks_about_all_windows_in_a_seeded_order(seed: str) -> None:
    items = detection.items(record(2), seed)
    assert sum(item.truth for item in items) == N_TEST
    assert sum(not item.truth for item in items) == N_SILENT
    assert all(item.marked is None and item.variant == "plain" for item in items)
    assert items == detection.items(record(2), seed)
    assert [item.truth for item in items] != sorted(item.truth for item in items)
