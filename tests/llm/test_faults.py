"""A server that fails in every way, processes that are stopped: nothing is paid twice."""

from pathlib import Path

import pytest

from delphi_assets.llm.calls import attempts
from tests.parts.fault_run import KINDS, run

pytestmark = pytest.mark.slow


def test_everything_ends_and_nothing_is_paid_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)
    found = run(tmp_path, questions=10 * len(KINDS), max_concurrent=16)
    assert found.failures == found.expected
    assert found.without_row == 0
    assert found.paid_twice == 0
    assert found.sent_when_resumed == found.open_before == 20
    assert 0 < found.stopped_at < found.requests
