"""Requests and tokens a minute that a server is sent at most.

In: what is about to be sent. Out: how long to wait first.

A bucket fills at the rate and holds a second's worth, or one request. A caller takes what it needs
at once, even below zero, and waits as long as the bucket needs to be back at zero: callers go in
the order in which they came. What a call takes beyond its estimate, or does not take, is settled
when it is known.
"""

import time
from collections.abc import Callable

MINUTE = 60.0


class RateBucket:
    """A token bucket; `per_minute` None is no limit. Give `clock` seconds that only grow."""

    def __init__(
        self, per_minute: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = None if per_minute is None else per_minute / MINUTE
        self._most = max(1.0, self._rate or 0.0)
        self._level, self._clock, self._filled_at = self._most, clock, clock()

    def take(self, amount: float) -> float:
        """Seconds to wait before using `amount`; a negative amount is given back."""
        if self._rate is None:
            return 0.0
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        self._level -= amount
        return max(0.0, -self._level / self._rate)


class Rates:
    """The two limits of one model."""

    def __init__(
        self,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = RateBucket(requests_per_minute, clock)
        self._tokens = RateBucket(tokens_per_minute, clock)

    def take(self, tokens: int) -> float:
        """Seconds to wait before sending a request of so many tokens."""
        return max(self._requests.take(1), self._tokens.take(tokens))

    def settle(self, guessed: int, used: int) -> None:
        """A request that was taken for `guessed` tokens used `used`."""
        self._tokens.take(used - guessed)
