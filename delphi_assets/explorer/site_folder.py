"""The folder of a site: its own files, and the data of every run and hookpoint written into it.

    index.html, *.js, *.css                                    the page itself
    data/index.js                                              what the site holds
    data/run=<run>/hookpoint=<hookpoint>/place.json            which edition is shown
    data/run=<run>/hookpoint=<hookpoint>/<edition>/*.js        the data

1. Data are written as a new edition beside the one that is shown.
2. `publish` points to it, in one rename; until then, whoever looks sees the old one whole.
3. Editions that are not shown are removed. What an interrupted writer left is one of them.
"""

import json
import uuid
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

from delphi_assets.explorer.data_files import data_file
from delphi_assets.lake.manifests import folder_of
from delphi_assets.lake.storage import Storage

FORMAT = 2
"""Version of the data files; the page refuses others."""

_PLACE = "place.json"


class HookpointPlace(NamedTuple):
    """A hookpoint of a run."""

    run: str
    hookpoint: str

    @property
    def folder(self) -> str:
        """Its folder in the site."""
        return folder_of("data", self._asdict())


class SiteFolder:
    """A site at a local folder or a URL. Raises `StorageError` when it cannot be written."""

    def __init__(self, folder: str) -> None:
        self.storage = Storage(folder)
        self._write_index()

    def edition(self, place: HookpointPlace) -> "Edition":
        """A new edition of a place's data, not shown yet."""
        return Edition(self.storage, place)

    def publish(self, edition: "Edition", facts: Mapping[str, object]) -> None:
        """Show an edition, and take away those that are not shown."""
        place = edition.place
        shown = {
            **place._asdict(),
            "format": FORMAT,
            "folder": f"{place.folder}/{edition.name}",
            **facts,
        }
        for file in files("delphi_assets.explorer").joinpath("site").iterdir():
            self.storage.write_text(file.name, file.read_text(encoding="utf-8"))
        self.storage.write_text(f"{place.folder}/{_PLACE}", json.dumps(shown))
        self._write_index()
        self._remove_others(edition)
        self.storage.remove_empty_folder("staging")

    def _write_index(self) -> None:
        """List the places; again if another process has published one meanwhile."""
        listed = None
        while listed != (there := self._places()):
            self.storage.write_text("data/index.js", data_file("index", there))
            listed = there

    def _places(self) -> list[dict[str, object]]:
        paths = self.storage.matching(f"data/run=*/hookpoint=*/{_PLACE}")
        held = [self.storage.read_json(path) for path in paths]
        return [place for place in held if place is not None]

    def _remove_others(self, edition: "Edition") -> None:
        for name in self.storage.names(edition.place.folder):
            if name not in (edition.name, _PLACE):
                self.storage.remove_folder(f"{edition.place.folder}/{name}")


class Edition:
    """Data of a place, being written."""

    def __init__(self, storage: Storage, place: HookpointPlace) -> None:
        self._storage, self.place = storage, place
        self.name = uuid.uuid4().hex[:12]
        self.files = self.bytes = 0

    def add(self, key: str, value: object) -> None:
        """Write the data file `key`, e.g. "latents/12". Raises `StorageError` when that fails."""
        text = data_file(key, value)
        self._storage.write_text(f"{self.place.folder}/{self.name}/{key}.js", text)
        self.files += 1
        self.bytes += len(text.encode())

    def discard(self) -> None:
        """Remove what was written of it."""
        self._storage.remove_folder(f"{self.place.folder}/{self.name}")
