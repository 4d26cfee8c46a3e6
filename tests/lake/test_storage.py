"""Files under a root: what is there, and folders that cannot be published."""

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


@pytest.mark.parametrize("url", ["{folder}/site[1]", "memory://site[1]/{folder}"])
def test_what_a_root_holds(tmp_path: Path, url: str) -> None:
    storage = Storage(url.format(folder=tmp_path))
    assert storage.bytes_in("data") == 0
    assert storage.matching("data/*/place.json") == []
    for name in ("b", "a", "a/deeper"):
        storage.write_text(f"data/{name}/place.json", "{}")
    storage.write_text("data/a/other.json", "[1]")

    assert storage.matching("data/*/place.json") == ["data/a/place.json", "data/b/place.json"]
    assert storage.bytes_in("data") == 3 * 2 + 3
    assert storage.bytes_in("data/b") == 2

    storage.remove_empty_folder("data/b")
    storage.remove_empty_folder("never/there")
    assert storage.exists("data/b/place.json")
    storage.discard("data/b/place.json")
    storage.remove_empty_folder("data/b")
    assert not storage.exists("data/b")


def test_only_a_local_root_has_paths(tmp_path: Path) -> None:
    assert Storage(tmp_path).local_path("data/a") == tmp_path / "data" / "a"
    assert Storage("memory://lake").local_path("data/a") is None
