"""Rates: a minute's requests and tokens are never exceeded, and nobody waits without need."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from delphi_assets.llm.calls.rates import RateBucket, Rates
from tests.parts.asking import complete
from tests.parts.fault_server import FaultServer, Reply

pytestmark = pytest.mark.slow


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def sent_at(bucket: RateBucket, clock: Clock, amounts: list[float]) -> list[float]:
    """When callers go that all come at once."""
    return [round(clock.now - 100 + bucket.take(amount), 6) for amount in amounts]


def test_a_bucket_by_hand() -> None:
    """120 a minute: two a second, two at once."""
    clock = Clock()
    bucket = RateBucket(120, clock)
    assert sent_at(bucket, clock, [1] * 5) == [0, 0, 0.5, 1.0, 1.5]
    clock.now += 100
    assert sent_at(bucket, clock, [1] * 3) == [100, 100, 100.5]


def test_a_slow_rate_lets_one_through_at_once() -> None:
    clock = Clock()
    assert sent_at(RateBucket(6, clock), clock, [1] * 3) == [0, 10, 20]


def test_no_limit() -> None:
    clock = Clock()
    assert sent_at(RateBucket(None, clock), clock, [10**9] * 3) == [0, 0, 0]


def test_tokens_are_settled_when_they_are_known() -> None:
    """6,000 tokens a minute: 100 a second."""
    clock = Clock()
    rates = Rates(None, 6_000, clock)
    assert rates.take(300) == 2.0
    assert rates.take(100) == 3.0
    rates.settle(300, 200)
    assert rates.take(100) == 3.0
    rates.settle(100, 400)
    assert rates.take(100) == 7.0


def most_in_a_minute(times: list[float], amounts: list[float]) -> float:
    """The most that falls into any minute."""
    return max(
        sum(a for t, a in zip(times, amounts, strict=True) if start <= t < start + 60)
        for start in times
    )


def test_any_minute_holds_a_minutes_worth_and_a_burst() -> None:
    clock = Clock()
    bucket = RateBucket(600, clock)
    amounts = [1.0 + number % 7 for number in range(2_000)]
    times = []
    for number, amount in enumerate(amounts):
        times.append(clock.now + bucket.take(amount))
        clock.now += (number % 13 == 0) * 1.7
    assert times == sorted(times)
    assert most_in_a_minute(times, amounts) <= 600 + 10 + 7


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_the_client_keeps_a_model_to_its_rate(tmp_path: Path) -> None:
    """Retries count: ten prompts that fail once are twenty requests, two of them at once."""
    with FaultServer(lambda asked: Reply() if asked.times_before else Reply(status=500)) as server:
        complete(tmp_path / "warm", server.url, ["warm"])
        server.asked.clear()
        prompts = [str(number) for number in range(10)]
        seconds = timed(
            lambda: complete(
                tmp_path, server.url, prompts, requests_per_minute=600.0, max_concurrent=20
            )
        )
        assert len(server.asked) == 20
    assert 0.9 <= seconds < 20


def test_a_model_has_a_rate_of_its_own(tmp_path: Path) -> None:
    """12 tokens an answer, a token a second: the second question waits for the first's tokens."""
    own = {"openai/tiny": {"tokens_per_minute": 300.0, "max_concurrent": 1}}
    with FaultServer(lambda asked: Reply()) as server:
        complete(tmp_path / "warm", server.url, ["warm"])
        fast = timed(lambda: complete(tmp_path / "a", server.url, ["a", "b", "c"]))
        slow = timed(lambda: complete(tmp_path / "b", server.url, ["a", "b", "c"], models=own))
    assert slow > fast + 2
