"""Non-activating windows: whole aligned windows in which a latent is silent.

In: what was chosen for the latents of a bucket, as temporary tables (`sql/examples/`), and what the
sources need. Out: the temporary table non_activating. Sources, asked in the order of
`selection.non_activating_source`, each for its share:

- random (`sql/examples/non_activating_random.sql`): drawn from all windows.
- co-occurrence, decoder, encoder (`neighbours`): where the latents most like it fire.
- semantic (`semantic`): nearest in meaning to the windows in which it fires.

A window that one source gave is not offered by the next. What a source lacks stays missing and is
named in the table shortfalls. No source offers a window that a train or test window reaches into.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import duckdb
import pyarrow as pa

from delphi_assets.activations import published_buckets
from delphi_assets.database import execute, query
from delphi_assets.embeddings import Array, window_embeddings
from delphi_assets.errors import NotReadyError
from delphi_assets.lake import Lake, Manifest
from delphi_assets.latents import HookpointTables
from delphi_assets.neighbours import neighbours_unit
from delphi_assets.non_activating.firings import Firings, read_firings
from delphi_assets.non_activating.neighbours import (
    windows_of_neighbours,
    with_neighbour_activations,
)
from delphi_assets.non_activating.window_lists import WindowLists
from delphi_assets.settings import NeighbourMethod, Profile, SelectionSettings


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
    run: str
    seed: int
    device: str
    neighbours: Mapping[str, list[str]]
    """Files of the table neighbours, by method."""
    firings: Firings | None
    """Where every latent fires; for neighbours."""
    embeddings: Array | None
    """[n_windows, d] int16; for semantic."""

    def draw(self, con: duckdb.DuckDBPyConnection, latents: list[int]) -> None:
        """Make the temporary table non_activating for those of these latents in the table pool."""
        execute(con, "examples/non_activating")
        execute(con, "examples/occupied")
        for source, n in self.quotas:
            if n and source == "random":
                execute(
                    con,
                    "examples/non_activating_random",
                    n_non_activating=n,
                    example_ctx_len=self.example_ctx_len,
                    n_tokens=self.n_tokens,
                    seed=self.seed,
                    run=self.run,
                )
            elif n and source == "semantic":
                self._add(con, source, self._semantic(con, n))
            elif n:
                self._add(con, source, self._of_neighbours(con, latents, source, n))

    def _add(self, con: duckdb.DuckDBPyConnection, source: str, found: pa.Table) -> None:
        con.register("found", found)
        execute(con, "examples/non_activating_found", source=source)
        con.unregister("found")

    def with_neighbour_activations(self, rows: pa.Table) -> pa.Table:
        """`rows` of the table examples with that column."""
        return with_neighbour_activations(rows, self.example_ctx_len, self.firings)

    @property
    def n_windows(self) -> int:
        """Whole aligned windows of the run."""
        return self.n_tokens // self.example_ctx_len

    def _taken(self, con: duckdb.DuckDBPyConnection) -> WindowLists:
        size = {"example_ctx_len": self.example_ctx_len, "n_tokens": self.n_tokens}
        return WindowLists.of(query(con, "examples/taken", **size))

    def _of_neighbours(
        self, con: duckdb.DuckDBPyConnection, latents: list[int], method: str, n: int
    ) -> pa.Table:
        assert self.firings is not None, "opened with a neighbour source"
        near = query(
            con,
            "examples/nearest_latents",
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
            draw_of=f"{self.seed} {self.run}",
        )

    def _semantic(self, con: duckdb.DuckDBPyConnection, n: int) -> pa.Table:
        # Only this source needs torch.
        from delphi_assets.non_activating.semantic import nearest_windows

        assert self.embeddings is not None, "opened with the source semantic"
        shown = query(
            con,
            "examples/shown",
            example_ctx_len=self.example_ctx_len,
            n_tokens=self.n_tokens,
        )
        return nearest_windows(
            self._taken(con),
            WindowLists.of(shown),
            self.embeddings,
            length=self.example_ctx_len,
            n=n,
            device=self.device,
        )


def quotas(selection: SelectionSettings) -> list[Quota]:
    """Windows asked for by share, with the largest remainders; the first source wins ties."""
    n = selection.n_non_activating + selection.n_non_activating_train
    shares = selection.non_activating_source
    whole = {source: int(n * share) for source, share in shares.items()}
    by_remainder = sorted(shares, key=lambda source: whole[source] - n * shares[source])
    for source in by_remainder[: n - sum(whole.values())]:
        whole[source] += 1
    return [Quota(source, number) for source, number in whole.items()]


def sources_config(
    profile: Profile, lake: Lake, hookpoint: str, selection: SelectionSettings
) -> dict[str, object]:
    """What a selection's name stands for, as far as its sources go.

    Raises `NotReadyError` for neighbours that have not been found, `ConflictError` for neighbours
    found in another run's data.
    """
    config: dict[str, object] = {
        # In order: it matters, and two tables that differ in it are equal in JSON.
        "non_activating_source": [list(item) for item in selection.non_activating_source.items()]
    }
    if "semantic" in selection.non_activating_source:
        config["sentence_encoder"] = selection.sentence_encoder
    if methods := selection.neighbour_methods:
        found = {name: _published_neighbours(profile, lake, hookpoint, name) for name in methods}
        config["non_activating_source.n_neighbours"] = {
            method: manifest.config["neighbours.n_neighbours"] for method, manifest in found.items()
        }
    return config


def open_sources(
    profile: Profile, lake: Lake, tables: HookpointTables, selection: SelectionSettings
) -> Sources:
    """What the sources of a selection need; the table embeddings is written if need be.

    Raises as `sources_config` and `embeddings.window_embeddings`.
    """
    hookpoint, methods = tables.hookpoint, selection.neighbour_methods
    neighbours: dict[str, list[str]] = {
        method: lake.checked(
            "neighbours", _published_neighbours(profile, lake, hookpoint, method).files
        )
        for method in methods
    }
    firings = (
        read_firings(lake, published_buckets(profile, lake, hookpoint), tables.num_latents)
        if methods
        else None
    )
    embeddings = (
        window_embeddings(
            profile,
            lake,
            tables,
            sentence_encoder=selection.sentence_encoder,
            example_ctx_len=selection.example_ctx_len,
        )
        if "semantic" in selection.non_activating_source
        else None
    )
    return Sources(
        quotas(selection),
        selection.example_ctx_len,
        tables.size.n_tokens,
        profile.run.name,
        profile.seed_of(selection),
        profile.model.device,
        neighbours,
        firings,
        embeddings,
    )


def _published_neighbours(
    profile: Profile, lake: Lake, hookpoint: str, method: NeighbourMethod
) -> Manifest:
    """A method's neighbours, however many were asked for."""
    manifest = lake.manifest(neighbours_unit(profile, hookpoint, method))
    if manifest is None:
        raise NotReadyError(
            f"selection.non_activating_source asks for windows of neighbours by {method!r}, but "
            f"{lake!r} holds none of run {profile.run.name!r} at {hookpoint!r}; materialize the "
            f"asset 'neighbours' with neighbours.methods = [{method!r}] first."
        )
    n_neighbours = {"neighbours.n_neighbours": manifest.config["neighbours.n_neighbours"]}
    manifest.check_config({**n_neighbours, **profile.hookpoint_config(hookpoint)})
    return manifest
