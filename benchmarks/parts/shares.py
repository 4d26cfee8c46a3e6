"""The interval of a share that was counted here rather than in SQL (`sql/macros/wilson.sql`)."""

from typing import NamedTuple

_NORMAL95 = 1.959963984540054


class Interval(NamedTuple):
    """Its ends."""

    low: float
    high: float


def wilson(share: float, n: int) -> Interval:
    """Wilson's 95% interval of a share seen in n cases."""
    spread = _NORMAL95**2 / n
    middle, reach = (
        share + spread / 2,
        _NORMAL95 * (share * (1 - share) / n + spread / 4 / n) ** 0.5,
    )
    return Interval(
        *(max(0.0, min(1.0, end / (1 + spread))) for end in (middle - reach, middle + reach))
    )
