"""Shuffling a stream that does not fit into memory.

In: items in some order, a buffer size and a seed. Out: the same items in another order.

1. The first `buffer` items are held.
2. One of those held is drawn, each as likely, and given out; the stream's next item takes its
   place. When the stream has ended, what is held is drawn until nothing is left.

The order depends on nothing but the items' order, the buffer and the seed: the draws come from
`random.Random(seed).random()`, whose sequence Python keeps from version to version.

The limit: an item comes out at most `buffer - 1` places before its own in the stream, and any
number of places behind it. A buffer of at least the whole stream makes every order as likely; a
buffer much smaller than a stretch of related items leaves the stretches in their order.
"""

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def shuffled(items: Iterable[Item], buffer: int, seed: int) -> Iterator[Item]:
    """The items in an order drawn by `seed`, at most `buffer` (1 or more) of them in memory."""
    draw = random.Random(seed).random
    stream = iter(items)
    held = list(islice(stream, buffer))
    while held:
        drawn = int(draw() * len(held))
        held[drawn], held[-1] = held[-1], held[drawn]
        yield held.pop()
        held.extend(islice(stream, 1))
