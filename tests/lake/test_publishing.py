"""Publishing, killed at every step: what a table's folders show is published, and whole."""

import errno
import fcntl
import itertools
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import duckdb
import pytest

from delphi_assets import connect
from delphi_assets.errors import NotReadyError, StorageError
from delphi_assets.lake.lake import File, Lake, Manifest, Unit, read_parquet
from delphi_assets.lake.storage import Storage
from tests.lake.test_lake import rows

UNIT = Unit("vocabulary", {"run": "r"})


class KilledError(BaseException):
    """Stands for kill -9: nothing is written or removed after it."""


def shown(lake: Lake) -> list[int]:
    """Tokens that a foreign reader finds in the table's folders."""
    files = [str(path) for path in Path(lake.root, "vocabulary").rglob("*.parquet")]
    if not files:
        return []
    found = duckdb.sql("select token from read_parquet($files)", params={"files": files})
    return sorted(token for (token,) in found.fetchall())


def viewed(lake: Lake) -> list[int]:
    with connect(lake) as con:
        return [token for (token,) in con.sql("select token from vocabulary order by 1").fetchall()]


def held(lake: Lake) -> list[int]:
    """Tokens that a stage of the pipeline finds."""
    try:
        files = lake.files("vocabulary", run="r")
    except NotReadyError:
        return []
    found: list[int] = read_parquet(lake, files)["token"].to_pylist()
    return sorted(found)


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> bool:
    """Do `work` until it moves, removes or stages a file for the `step`-th time."""
    real = {name: getattr(Storage, name) for name in ("move", "staged", "discard")}
    left = step

    def counted(name: str, *arguments: object) -> object:
        nonlocal left
        if left <= 0:
            raise KilledError(name)
        left -= 1
        return real[name](*arguments)

    with monkeypatch.context() as killing:
        for name in real:
            killing.setattr(Storage, name, lambda *given, name=name: counted(name, *given))
        try:
            work()
            return False
        except KilledError:
            return True


def publish(lake: Lake, *tokens: int, versioned: bool = False) -> Manifest:
    return lake.publish(UNIT, [File(rows(*tokens))], {}, versioned=versioned)


@pytest.mark.slow
def test_killed_at_any_step_it_is_published_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in itertools.count():
        lake = Lake(tmp_path / str(step))
        lake.initialize()
        killed = killed_at(step, monkeypatch, partial(publish, lake, 1, 2))
        assert shown(lake) in ([], held(lake))
        # Whoever met the manifest has put the file in place.
        assert shown(lake) == viewed(lake) == held(lake)
        publish(lake, 1, 2)
        assert shown(lake) == viewed(lake) == held(lake) == [1, 2]
        if not killed:
            break
    assert step == 6, "to stage and move the manifest twice, and the file"


@pytest.mark.slow
def test_killed_while_it_replaces_it_shows_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in itertools.count():
        lake = Lake(tmp_path / str(step))
        old = publish(lake, 1, 2)
        killed = killed_at(step, monkeypatch, partial(publish, lake, 3, versioned=True))
        assert held(lake) == viewed(lake) == shown(lake)
        assert held(lake) in ([1, 2], [3])
        publish(lake, 3, versioned=True)
        assert held(lake) == viewed(lake) == shown(lake) == [3]
        assert lake.exists(f"superseded/{old.files[0].path}")
        if not killed:
            break
    assert step == 7, "besides, to move the old file away"


def test_a_damaged_file_is_not_written_over(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    (first,) = publish(lake, 1, 2).files
    Path(lake.location(first.path)).write_bytes(b"cut")
    (second,) = publish(lake, 1, 2).files
    assert second.path != first.path
    assert held(lake) == viewed(lake) == shown(lake) == [1, 2]
    assert (tmp_path / "superseded" / first.path).read_bytes() == b"cut"


def test_a_file_that_no_manifest_names_makes_room(tmp_path: Path) -> None:
    """Earlier versions put a file in place before its manifest, and could be killed between."""
    lake = Lake(tmp_path)
    manifest = publish(lake, 1, 2)
    (tmp_path / UNIT.path).unlink()
    (file,) = publish(lake, 3).files
    assert file.path != manifest.files[0].path
    assert held(lake) == viewed(lake) == shown(lake) == [3]


def test_what_is_staged_and_published_outlives_sweeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path)
    lake.initialize()
    assert killed_at(3, monkeypatch, lambda: publish(lake, 1))
    (tmp_path / "staging" / "remains.parquet").touch()
    for path in (tmp_path / "staging").iterdir():
        os.utime(path, (time.time() - 2 * 24 * 3600,) * 2)
    lake.sweep()
    assert list((tmp_path / "staging").iterdir()) == []
    assert shown(lake) == [1]


def test_where_there_are_no_locks_it_is_published_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unknown(*given: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    lake = Lake(tmp_path)
    publish(lake, 1, 2)
    publish(lake, 3, versioned=True)
    assert held(lake) == viewed(lake) == [3]
    told = f"{lake!r} has no locks: let one process at a time publish to it ("
    assert [told in line and "No locks available" in line for line in caplog.messages] == [True]


def test_another_error_of_a_lock_is_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(StorageError, match=r"locks/.. cannot be locked \(.*Input/output"):
        publish(Lake(tmp_path), 1)


def test_who_publishes_waits_for_who_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("delphi_assets.lake.lake.PATIENCE", 0.0)
    lake = Lake(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        with lake.alone_at(UNIT.path):
            waiting = pool.submit(publish, lake, 1)
            while not caplog.messages:
                time.sleep(0.02)
            assert lake.manifest(UNIT) is None
        assert waiting.result().rows == 1
    named = f"waiting for process {os.getpid()} on {socket.gethostname()}, before this one can pub"
    assert [named in line for line in caplog.messages] == [True]


def test_what_cannot_be_put_in_place_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By a reader that may not write; the unit counts as damaged for it."""
    lake = Lake(tmp_path)
    lake.initialize()
    assert killed_at(3, monkeypatch, lambda: publish(lake, 1))

    def forbidden(*given: object) -> None:
        raise PermissionError("read-only")

    with monkeypatch.context() as reading:
        reading.setattr(os, "replace", forbidden)
        assert lake.ready(UNIT, {}) is None
    assert "vocabulary (run=r) all are not in place" in caplog.text
    assert held(lake) == [1]
