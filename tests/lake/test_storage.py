"""Folders that cannot be published."""

from pathlib import Path

import pytest

from delphi_assets.errors import StorageError
from delphi_assets.lake.storage import Storage


@pytest.mark.parametrize("blocked", ["staging", "coders"])
def test_a_folder_that_cannot_be_written(tmp_path: Path, blocked: str) -> None:
    """A file stands where a folder has to be: no file can be staged, or the folder not be moved."""
    source, root = tmp_path / "source", tmp_path / "lake"
    for folder in (source, root):
        folder.mkdir()
    (source / "weights").write_text("1 2 3")
    (root / blocked).write_text("")
    with pytest.raises(StorageError, match=r"coders/run=r cannot be written"):
        Storage(root).put_folder(source, "coders/run=r")
    assert [path for path in root.rglob("*") if path.name == "weights"] == []
    (root / blocked).unlink()
    Storage(root).put_folder(source, "coders/run=r")
    assert (root / "coders" / "run=r" / "weights").read_text() == "1 2 3"


def test_a_folder_that_appeared_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The move onto it fails, which is no error then, and nothing stays staged."""
    source, root = tmp_path / "source", tmp_path / "lake"
    source.mkdir()
    (source / "weights").write_text("second")
    move = Storage.move

    def late(storage: Storage, stage: str, target: str) -> None:
        (root / target).mkdir(parents=True)
        (root / target / "weights").write_text("first")
        move(storage, stage, target)

    monkeypatch.setattr(Storage, "move", late)
    Storage(root).put_folder(source, "coders/run=r")
    assert (root / "coders" / "run=r" / "weights").read_text() == "first"
    assert list((root / "staging").iterdir()) == []
