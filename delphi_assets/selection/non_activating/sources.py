"""The sources of non-activating windows, asked for the latents of one bucket.

In: what was chosen for these latents, as temporary tables (`sql/examples/`), and what the sources
need. Out: the temporary table non_activating.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import duckdb
import pyarrow as pa

from delphi_assets.lake.database import execute, query
from delphi_assets.selection.non_activating.embeddings import Array
from delphi_assets.selection.non_activating.firings import Firings
from delphi_assets.selection.non_activating.neighbours import (
    windows_of_neighbours,
    with_neighbour_activations,
)
from delphi_assets.selection.non_activating.window_lists import WindowLists


class Quota(NamedTuple):
    """How many windows a source is asked for, per latent."""

    source: str
    n: int


@dataclass(frozen=True)
class Sources:
    """The sources of a selection, ready to be asked for the latents of a bucket."""

    quotas: list[Quota]
    example_ctx_len: int
    n_tokens: int
    draw_of: str
    """What draws depend on, beside latent and window."""
    semantic_gap: int
    device: str
    neighbours: Mapping[str, list[str]]
    """Files of the table neighbours, by method."""
    firings: Firings | None
    """Where every latent fires; for neighbours."""
    embeddings: Array | None
    """[n_windows, d] int16; for semantic."""

    def draw(self, con: duckdb.DuckDBPyConnection, latents: list[int]) -> None:
        """Make the temporary table non_activating for those of these latents in the table pool."""
        execute(con, "examples/5_silent/non_activating")
        execute(con, "examples/5_silent/occupied")
        for source, n in self.quotas:
            if n and source == "random":
                execute(
                    con,
                    "examples/5_silent/non_activating_random",
                    n_non_activating=n,
                    example_ctx_len=self.example_ctx_len,
                    n_tokens=self.n_tokens,
                    draw_of=self.draw_of,
                )
            elif n and source == "semantic":
                self._add(con, source, self._semantic(con, n))
            elif n:
                self._add(con, source, self._of_neighbours(con, latents, source, n))

    def _add(self, con: duckdb.DuckDBPyConnection, source: str, found: pa.Table) -> None:
        con.register("found", found)
        execute(con, "examples/5_silent/non_activating_found", source=source)
        con.unregister("found")

    def with_neighbour_activations(self, rows: pa.Table) -> pa.Table:
        """`rows` of the table examples with that column."""
        return with_neighbour_activations(rows, self.example_ctx_len, self.firings)

    @property
    def n_windows(self) -> int:
        """Whole aligned windows of the run."""
        return self.n_tokens // self.example_ctx_len

    def _taken(self, con: duckdb.DuckDBPyConnection, gap: int = 0) -> WindowLists:
        size = {"example_ctx_len": self.example_ctx_len, "n_tokens": self.n_tokens}
        return WindowLists.of(query(con, "examples/5_silent/taken", **size, gap=gap))

    def _of_neighbours(
        self, con: duckdb.DuckDBPyConnection, latents: list[int], method: str, n: int
    ) -> pa.Table:
        assert self.firings is not None, "opened with a neighbour source"
        near = query(
            con,
            "examples/5_silent/nearest_latents",
            neighbours=self.neighbours[method],
            first=latents[0],
            last=latents[-1],
        )
        return windows_of_neighbours(
            self._taken(con),
            near,
            self.firings,
            length=self.example_ctx_len,
            n_windows=self.n_windows,
            n=n,
            draw_of=self.draw_of,
        )

    def _semantic(self, con: duckdb.DuckDBPyConnection, n: int) -> pa.Table:
        # Only this source needs torch.
        from delphi_assets.selection.non_activating.semantic import nearest_windows

        assert self.embeddings is not None, "opened with the source semantic"
        shown = query(
            con,
            "examples/5_silent/shown",
            example_ctx_len=self.example_ctx_len,
            n_tokens=self.n_tokens,
        )
        return nearest_windows(
            self._taken(con, self.semantic_gap),
            WindowLists.of(shown),
            self.embeddings,
            length=self.example_ctx_len,
            n=n,
            device=self.device,
        )
