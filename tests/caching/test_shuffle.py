"""A shuffle is a permutation, drawn by the seed alone, of which little is in memory."""

from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.caching.shuffle import shuffled

sizes, buffers, seeds = st.integers(0, 60), st.integers(1, 80), st.integers(0, 2**64)


@given(sizes, buffers, seeds)
def test_every_item_comes_once_and_none_too_early(size: int, buffer: int, seed: int) -> None:
    order = list(shuffled(range(size), buffer, seed))
    assert sorted(order) == list(range(size))
    assert all(item - place < buffer for place, item in enumerate(order))


@given(sizes, buffers, seeds)
def test_no_more_than_the_buffer_is_taken_ahead(size: int, buffer: int, seed: int) -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for item in range(size):
            taken += 1
            yield item

    for given_before, _ in enumerate(shuffled(source(), buffer, seed)):
        assert taken - given_before <= buffer


def test_the_order_is_the_same_on_every_machine() -> None:
    assert list(shuffled(range(10), 4, 22)) == [3, 0, 4, 6, 5, 7, 2, 1, 9, 8]
    assert list(shuffled(range(10), 4, 23)) == [3, 4, 5, 0, 2, 1, 7, 6, 9, 8]


def test_a_buffer_of_one_keeps_the_order() -> None:
    assert list(shuffled(range(10), 1, 22)) == list(range(10))


def test_a_buffer_of_the_whole_stream_makes_every_order_as_likely() -> None:
    orders = Counter(tuple(shuffled("abcd", 9, seed)) for seed in range(4_800))
    assert len(orders) == 24
    # 200 of each are expected; 70 are five standard deviations.
    assert all(abs(count - 200) < 70 for count in orders.values())
