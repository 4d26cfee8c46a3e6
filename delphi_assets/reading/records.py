"""Records: what explainers, scorers and readers see of a latent, from rows of the table examples.

In: the published examples of a hookpoint and selection, or rows that were chosen and not written.
Out: one `LatentRecord` a latent, in order.

1. Row groups without a latent that is asked for are skipped, by the ranges in the file's footer.
2. A file is compared with its hash before the first of its row groups is read.
3. A row group is in memory at a time, and of one latent Python objects.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from delphi_assets.caching.published import check_fires
from delphi_assets.errors import NotReadyError
from delphi_assets.lake.lake import Lake, StoredFile, reading
from delphi_assets.lake.parquet import row_groups_of
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import EXAMPLES
from delphi_assets.latent_ranges import Latents
from delphi_assets.reading.rendering import (
    SHOWN,
    Displayed,
    Section,
    Sheet,
    section,
    window_html,
    window_text,
)


@dataclass(frozen=True)
class Example(Displayed):
    """One window; the lists have one entry a token."""

    example: int
    activating: bool
    split: str
    source: str
    quantile: int | None
    position: int
    tokens: list[int]
    str_tokens: list[str]
    activations: list[float]
    normalized: list[int]
    max_activation: float
    latent_max: float
    neighbour: int | None = None
    similarity: float | None = None
    neighbour_activations: list[float] | None = None

    def html(self) -> str:
        """The window with its tokens shaded."""
        return window_html(self)

    def text(self, *, colour: bool) -> str:
        """The window with its tokens shaded, or marked."""
        return window_text(self, colour=colour)


@dataclass(frozen=True, repr=False)
class LatentRecord(Displayed):
    """A latent with its examples."""

    latent: int
    examples: list[Example]

    def __repr__(self) -> str:
        counts = f"train={len(self.train)}, test={len(self.test)}"
        silent = len(self.non_activating)
        return f"{type(self).__name__}({self.latent}, {counts}, non_activating={silent})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # A notebook asks for this beside HTML, and for each latent of a list: no page for these.
        printer.text(repr(self))

    @property
    def train(self) -> list[Example]:
        """Activating windows for the explainer."""
        return [e for e in self.examples if e.split == "train" and e.activating]

    @property
    def train_non_activating(self) -> list[Example]:
        """Windows for the explainer in which the latent is silent."""
        return [e for e in self.examples if e.split == "train" and not e.activating]

    @property
    def test(self) -> list[Example]:
        """Activating windows for the scorers."""
        return [e for e in self.examples if e.split == "test" and e.activating]

    @property
    def non_activating(self) -> list[Example]:
        """Windows for the scorers in which the latent is silent."""
        return [e for e in self.examples if e.split == "test" and not e.activating]

    @property
    def max_activation(self) -> float:
        """Strongest activation of the latent over its pool, not only over these; 0 without any."""
        return self.examples[0].latent_max if self.examples else 0.0

    def sheet(self, windows: int = SHOWN) -> Sheet:
        """The latent as it is shown, with up to `windows` windows of every group."""
        return Sheet(self._title(), self._notes(), self._sections(windows))

    def html(self) -> str:
        """The latent's `sheet` as HTML."""
        return self.sheet().html()

    def text(self, *, colour: bool) -> str:
        """The latent's `sheet` as text."""
        return self.sheet().text(colour=colour)

    def _title(self) -> str:
        return f"latent {self.latent}"

    def _notes(self) -> list[str]:
        return []

    def _sections(self, windows: int) -> list[Section]:
        """Groups by split and quantile, non-activating windows by source, strongest first."""
        groups: dict[str, list[Example]] = {}
        for kind, examples in (("train", self.train), ("test", self.test)):
            binned = sorted(examples, key=lambda one: (one.quantile is None, one.quantile or 0))
            for one in binned:
                bin_of = "" if one.quantile is None else f", quantile {one.quantile}"
                groups.setdefault(f"{kind}{bin_of}", []).append(one)
        for one in (*self.non_activating, *self.train_non_activating):
            groups.setdefault(f"non-activating, {one.split}, {one.source}", []).append(one)
        return [
            section(title, sorted(group, key=lambda one: -abs(one.max_activation)), windows)
            for title, group in groups.items()
        ]


_COLUMNS = ["latent", *Example.__dataclass_fields__]


class Selection:
    """The published examples of a hookpoint under a selection's name, for reading many times.

    Raises `NotReadyError` unless every bucket is there: half a selection looks like a whole one;
    `DataError` where no latent fires, which leaves nothing to select.
    """

    def __init__(self, lake: Lake, run: str, hookpoint: str, selection: str) -> None:
        self._lake = lake
        self._files = _published(lake, run, hookpoint, selection)
        self._checked: set[StoredFile] = set()

    def files(self) -> list[str]:
        """Locations, in order of latent; raises `DataError` naming a damaged file."""
        found = self._lake.checked("examples", self._files)
        self._checked.update(self._files)
        return found

    def records(self, latents: Latents) -> Iterator[LatentRecord]:
        """Records of the given latents that have examples, in order of latent.

        Raises `DataError` naming a file that is not as it was written, when it comes to it.
        """
        for file in self._files:
            yield from records_in(self._row_groups(file, latents), latents)

    def _row_groups(self, file: StoredFile, latents: Latents) -> Iterator[pa.Table]:
        location = self._lake.location(file.path)
        with reading(location), self._lake.open(location) as source:
            parquet = pq.ParquetFile(source)
            wanted = row_groups_of(latents, parquet.metadata)
            if wanted and file not in self._checked:
                self._lake.checked("examples", [file])
                self._checked.add(file)
            for number in wanted:
                rows = parquet.read_row_group(number, _COLUMNS)
                yield EXAMPLES.completed(rows).select(_COLUMNS)


@dataclass(frozen=True)
class SelectionPlace(Place):
    """A hookpoint of a run in a lake, and a selection of its examples."""

    selection: str

    @cached_property
    def examples(self) -> Selection:
        """The published examples, looked up when first asked for; raises as `Selection`."""
        return Selection(self.lake, self.run, self.hookpoint, self.selection)


def records_in(tables: Iterable[pa.Table], latents: Latents) -> Iterator[LatentRecord]:
    """Records from rows of the table examples, in order of latent; latents may span tables."""
    rest: pa.Table | None = None
    for table in tables:
        rows = table.select(_COLUMNS)
        *whole, rest = _by_latent(rows if rest is None else pa.concat_tables([rest, rows]))
        yield from _records(whole, latents)
    if rest is not None:
        yield from _records([rest], latents)


def _by_latent(rows: pa.Table) -> list[pa.Table]:
    """`rows` cut where the latent changes; at least one piece."""
    edges = np.flatnonzero(np.diff(rows["latent"].to_numpy())) + 1
    return [rows[start:end] for start, end in pairwise([0, *edges.tolist(), rows.num_rows])]


def _records(pieces: Iterable[pa.Table], latents: Latents) -> Iterator[LatentRecord]:
    for piece in pieces:
        if piece.num_rows and (latent := piece["latent"][0].as_py()) in latents:
            rows = piece.drop_columns("latent").to_pylist()
            yield LatentRecord(latent, [Example(**row) for row in rows])


def _published(lake: Lake, run: str, hookpoint: str, selection: str) -> list[StoredFile]:
    place: dict[str, str | int] = {"run": run, "hookpoint": hookpoint}
    manifests = lake.manifests("examples", **place, selection=selection)
    if not any(manifest.rows for manifest in manifests):
        check_fires(hookpoint, lake.manifests("activations", **place))
    expected = manifests[0].config["n_buckets"] if manifests else None
    if expected is None or len(manifests) < expected:
        there = {str(held.keys["selection"]) for held in lake.manifests("examples", **place)}
        raise NotReadyError(
            f"{lake!r} holds {len(manifests)} of {expected or 'all'} buckets of examples of run "
            f"{run!r} at {hookpoint!r} under the selection {selection!r}; the selections with "
            f"examples are {sorted(there)}. Materialize the asset 'examples' first."
        )
    return [file for manifest in manifests for file in manifest.files]
