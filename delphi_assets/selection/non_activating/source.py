"""What a source of non-activating windows is.

In: a `SourcePlace`, the hookpoint whose latents get windows; then a `SourceBucket` of them. Out:
rows of windows in which the latents are silent.

A `WindowSource` is named in `selection.non_activating_source`. It is opened once a selection, and
gives for every bucket what it has for its latents, `n` windows each at most.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import duckdb
import pyarrow as pa

from delphi_assets.caching.firings import Firings, read_firings
from delphi_assets.caching.hookpoint_tables import HookpointTables
from delphi_assets.lake.database import query
from delphi_assets.lake.place import Place
from delphi_assets.selection.non_activating.window_lists import WindowLists
from delphi_assets.settings import SelectionSettings


@dataclass(frozen=True)
class SourcePlace(Place):
    """Where windows are chosen: a hookpoint, for a selection."""

    tables: HookpointTables
    selection: SelectionSettings

    @property
    def draw_of(self) -> str:
        """What draws depend on, beside latent and window."""
        return self.profile.draws_of(self.selection, self.hookpoint)

    @property
    def length(self) -> int:
        """Tokens in a window."""
        return self.selection.example_ctx_len

    @property
    def n_tokens(self) -> int:
        """Positions of the run."""
        return self.tables.size.n_tokens

    @property
    def n_windows(self) -> int:
        """Whole aligned windows of the run."""
        return self.n_tokens // self.length

    @cached_property
    def firings(self) -> Firings:
        """Where every latent of the hookpoint fires, read when first asked for."""
        return read_firings(self.lake, self.tables.buckets, self.tables.num_latents)


@dataclass(frozen=True)
class SourceBucket:
    """Latents that get windows, and what they have so far as temporary tables of `con`."""

    place: SourcePlace
    con: duckdb.DuckDBPyConnection
    latents: list[int]
    """Ascending. Those that are explained are in the table pool."""
    n: int
    """Windows a latent, above 0."""

    def taken(self, gap: int = 0) -> WindowLists:
        """Of each latent of the pool the whole aligned windows that cannot be given to it.

        Those in which it fires, which another source gave, and into which a train or test window
        reaches, with `gap` windows on either side of that.
        """
        size = {"example_ctx_len": self.place.length, "n_tokens": self.place.n_tokens}
        return WindowLists.of(query(self.con, "examples/5_silent/taken", **size, gap=gap))

    def shown(self) -> WindowLists:
        """Of each latent the whole aligned windows that stand for its train and test windows."""
        size = {"example_ctx_len": self.place.length, "n_tokens": self.place.n_tokens}
        return WindowLists.of(query(self.con, "examples/5_silent/shown", **size))


Draws: TypeAlias = Callable[[SourceBucket], pa.Table]
"""Rows (latent, position) for a bucket, and where it has them neighbour and similarity.

`position` is the first token of a whole aligned window that is not taken.
"""


class WindowSource(ABC):
    """Where non-activating windows come from."""

    def config(self, place: Place, selection: SelectionSettings) -> Mapping[str, object]:
        """What windows depend on beside the source's name and options.

        A selection's name stands for it too. Values of one name that are tables are merged.
        """
        return {}

    @abstractmethod
    def open(self, place: SourcePlace) -> Draws:
        """The function that gives the windows; it is called by several threads."""
