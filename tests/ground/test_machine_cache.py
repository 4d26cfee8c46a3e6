"""A hash is remembered while size and times are the same, and never longer."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from delphi_assets.ground import machine_cache
from delphi_assets.ground.machine_cache import fingerprint, remembered, sha256_of

LARGE = 2**20


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, and changes that have settled at once."""
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(machine_cache, "_SETTLED_NS", -1)
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read to be hashed."""
    read, seen = machine_cache._read, []

    def noted(path: Path) -> str:
        seen.append(path)
        return read(path)

    monkeypatch.setattr(machine_cache, "_read", noted)
    return seen


def test_a_large_file_is_read_once(cache: Path, reads: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"a" * LARGE)
    expected = hashlib.sha256(b"a" * LARGE).hexdigest()
    assert [sha256_of(file) for _ in range(3)] == [expected] * 3
    assert len(reads) == 1
    (tmp_path / "link").symlink_to(file)
    assert sha256_of(tmp_path / "link") == expected
    assert len(reads) == 1


def test_another_content_of_the_same_size_and_time_is_noticed(
    cache: Path, reads: list[Path], tmp_path: Path
) -> None:
    file, other = tmp_path / "weights", tmp_path / "other"
    file.write_bytes(b"a" * LARGE)
    other.write_bytes(b"b" * LARGE)
    before = sha256_of(file)
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    os.replace(other, file)
    os.utime(file, ns=times)
    assert sha256_of(file) == hashlib.sha256(b"b" * LARGE).hexdigest() != before


def test_a_file_written_a_moment_ago_is_not_remembered(
    cache: Path, reads: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_cache, "_SETTLED_NS", 3600 * 10**9)
    file = tmp_path / "weights"
    file.write_bytes(b"a" * LARGE)
    sha256_of(file)
    sha256_of(file)
    assert len(reads) == 2
    assert not cache.exists()


def test_small_files_leave_no_note(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "cfg.json"
    file.write_bytes(b"{}")
    assert sha256_of(file) == hashlib.sha256(b"{}").hexdigest()
    assert not cache.exists()


@pytest.mark.parametrize("damage", ["", "[]", "{}", '"x"', "\udcff"])
def test_a_damaged_note_is_written_again(
    cache: Path, reads: list[Path], tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"a" * LARGE)
    expected = sha256_of(file)
    (note,) = (cache / "hashes").iterdir()
    note.write_bytes(damage.encode("utf-8", "surrogateescape"))
    assert sha256_of(file) == sha256_of(file) == expected
    assert len(reads) == 2
    assert json.loads(note.read_text())["sha256"] == expected


def test_a_folder_that_cannot_be_written_costs_time_only(
    reads: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(machine_cache, "_SETTLED_NS", -1)
    file = tmp_path / "weights"
    file.write_bytes(b"a" * LARGE)
    assert sha256_of(file) == sha256_of(file)
    assert len(reads) == 2


def test_a_fingerprint_does_not_depend_on_places(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_text("a")
        (tmp_path / folder / "b").write_text("b")
    one, two = ([tmp_path / folder / name for name in "ab"] for folder in ("one", "two"))
    assert fingerprint(one) == fingerprint(two) != fingerprint(reversed(one))


def test_what_was_found_is_found_again_while_nothing_that_it_depends_on_changes(
    cache: Path,
) -> None:
    found = iter(range(9))
    assert [remembered(["a", 1], lambda: {"n": next(found)}) for _ in range(3)] == [{"n": 0}] * 3
    assert remembered(["a", 2], lambda: {"n": next(found)}) == {"n": 1}
    for note in (cache / "found").iterdir():
        note.write_text("{", encoding="utf-8")
    assert remembered(["a", 1], lambda: {"n": next(found)}) == {"n": 2}
