"""Fuzzing: the layout of the highlighting gives nothing away."""

from collections import Counter
from dataclasses import replace

import pytest

from delphi_assets.reading.records import LatentRecord
from delphi_assets.scorers import detection, fuzz
from delphi_assets.scorers.work.items import Item
from tests.parts.explained_lake import N_SILENT, N_TEST, WINDOW, record


def two_runs(latent: int) -> LatentRecord:
    """A record whose test windows have runs of 2 and 1 tokens, all in other places."""
    examples = []
    for one in record(latent).examples:
        activations = [0.0] * WINDOW
        if one.activating:
            start = one.example % 4
            activations[start : start + 2] = [5.0, 5.0]
            activations[start + 3] = 5.0
        examples.append(replace(one, activations=activations, max_activation=max(activations)))
    return LatentRecord(latent, examples)


def centred(latent: int) -> LatentRecord:
    """A record whose test windows fire in the middle, most of them on the next token too."""
    examples = []
    for one in record(latent).examples:
        activations = [0.0] * WINDOW
        if one.activating:
            activations[WINDOW // 2] = 5.0
            activations[(WINDOW // 2 + one.example) % WINDOW] = 4.0
        examples.append(replace(one, activations=activations, max_activation=max(activations)))
    return LatentRecord(latent, examples)


def marks(items: list[Item], truth: bool) -> list[int]:
    """How many of the items mark each place."""
    marked = [item.marked for item in items if item.truth == truth and item.marked is not None]
    return [sum(column) for column in zip(*marked, strict=True)]


@pytest.mark.parametrize("one", [two_runs(0), centred(0), centred(1)])
def test_true_and_false_items_mark_the_same_places_as_often(one: LatentRecord) -> None:
    items = fuzz.items(one, 0.3, "seed")
    assert sum(item.truth for item in items) == sum(not item.truth for item in items) == N_TEST
    assert marks(items, True) == marks(items, False)
    layouts = [Counter(i.marked for i in items if i.truth == truth) for truth in (True, False)]
    assert layouts[0] == layouts[1]
    assert {item.variant for item in items if item.truth} == {"true"}
    assert {item.variant for item in items if not item.truth} == {"false"}


def test_layouts_are_gone_through_again_when_there_are_more_windows() -> None:
    items = fuzz.items(two_runs(0), 0.3, "seed")
    more = LatentRecord(0, [one for one in two_runs(0).examples if one.example != 5])
    again = fuzz.items(more, 0.3, "seed")
    false = Counter(item.marked for item in again if not item.truth)
    assert sum(false.values()) == N_SILENT == len(items) - N_TEST
    true = Counter(item.marked for item in again if item.truth)
    assert set(false) == set(true)


def with_special(one: LatentRecord, places: dict[int, int]) -> LatentRecord:
    """The record, with "<bos>" at a place of some silent windows, by example."""
    examples = []
    for example in one.examples:
        tokens = list(example.str_tokens)
        if example.example in places:
            tokens[places[example.example]] = "<bos>"
        examples.append(replace(example, str_tokens=tokens))
    return LatentRecord(one.latent, examples)


@pytest.mark.parametrize("seed", ["a", "b", "c", "d"])
def test_no_special_token_is_marked_and_layouts_stay_matched(seed: str) -> None:
    silent = [example.example for example in two_runs(0).non_activating]
    one = with_special(two_runs(0), {silent[0]: 0, silent[1]: 1, silent[2]: 7})
    items = fuzz.items(one, 0.3, seed, {"<bos>"})
    for item in items:
        assert item.marked is not None
        assert "<bos>" not in [t for t, m in zip(item.str_tokens, item.marked, strict=True) if m]
    assert len(items) == N_TEST + N_SILENT
    assert marks(items, True) == marks(items, False)


def test_a_window_that_no_layout_fits_is_left_out() -> None:
    one = centred(0)
    silent = one.non_activating[0].example
    items = fuzz.items(with_special(one, {silent: WINDOW // 2}), 0.3, "s", {"<bos>"})
    assert len(items) == N_TEST + N_SILENT - 1
    assert silent not in {item.example for item in items}


def test_active_marks_activating_windows_wrongly() -> None:
    one = record(0)
    items = fuzz.items(one, 0.3, "seed", active=True)
    assert {item.example for item in items} == {example.example for example in one.test}
    layouts = {item.marked for item in items if item.truth}
    false = [item for item in items if not item.truth]
    assert false
    for item in false:
        example = one.examples[item.example]
        assert item.marked in layouts
        assert item.marked is not None
        assert not any(m and a for m, a in zip(item.marked, example.activations, strict=True))
        assert (item.variant, item.quantile) == ("false", example.quantile)


def test_active_asks_for_no_wrong_marks_where_all_windows_fire_in_the_middle() -> None:
    assert all(item.truth for item in fuzz.items(centred(0), 0.3, "seed", active=True))


def test_layouts_differ_by_seed() -> None:
    def layouts(seed: str) -> list[tuple[int, ...] | None]:
        items = fuzz.items(two_runs(0), 0.3, seed)
        return [item.marked for item in sorted(items, key=lambda i: i.example) if not item.truth]

    assert layouts("a") == layouts("a")
    assert len({tuple(layouts(seed)) for seed in "abcd"}) > 1


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
