"""The sources that come with delphi-assets; what each computes is in a module of its own.

- random (`sql/examples/5_silent/non_activating_random.sql`): drawn from all windows.
- co-occurrence, decoder, encoder (`neighbours`): where the latents most like it fire.
- semantic (`semantic`): nearest in meaning to the windows in which it fires.
"""

from collections.abc import Mapping

import pyarrow as pa

from delphi_assets.errors import NotReadyError
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import Manifest
from delphi_assets.lake.manifests import DRAWN_FROM
from delphi_assets.lake.place import Place
from delphi_assets.lake.units import neighbours_unit
from delphi_assets.selection.non_activating.embeddings import window_embeddings
from delphi_assets.selection.non_activating.neighbours import windows_of_neighbours
from delphi_assets.selection.non_activating.source import (
    Draws,
    SourceBucket,
    SourcePlace,
    WindowSource,
)
from delphi_assets.settings import SelectionSettings


class RandomSource(WindowSource):
    """Windows drawn from all."""

    def open(self, place: SourcePlace) -> Draws:
        """Needs nothing."""

        def draws(bucket: SourceBucket) -> pa.Table:
            return query(
                bucket.con,
                "examples/5_silent/non_activating_random",
                n_non_activating=bucket.n,
                example_ctx_len=place.length,
                n_tokens=place.n_tokens,
                draw_of=place.draw_of,
            )

        return draws


class NeighbourSource(WindowSource):
    """Windows in which neighbours by one method fire."""

    def __init__(self, method: str) -> None:
        self._method = method

    def config(self, place: Place, selection: SelectionSettings) -> Mapping[str, object]:
        """The neighbours.

        Raises `NotReadyError` when they have not been found, `ConflictError` for neighbours found
        in another run's data.
        """
        found = self._published(place)
        files = {self._method: [file.sha256 for file in found.files]}
        return {DRAWN_FROM: files}

    def open(self, place: SourcePlace) -> Draws:
        """Reads where every latent fires; raises as `config`."""
        found = self._published(place)
        files, firings = place.lake.checked("neighbours", found.files), place.firings

        def draws(bucket: SourceBucket) -> pa.Table:
            near = query(
                bucket.con,
                "examples/5_silent/nearest_latents",
                neighbours=files,
                first=bucket.latents[0],
                last=bucket.latents[-1],
            )
            return windows_of_neighbours(
                bucket.taken(),
                near,
                firings,
                length=place.length,
                n_windows=place.n_windows,
                n=bucket.n,
                draw_of=place.draw_of,
            )

        return draws

    def _published(self, place: Place) -> Manifest:
        """The method's neighbours, however many were asked for."""
        unit = neighbours_unit(place.run, place.hookpoint, self._method)
        manifest = place.lake.manifest(unit)
        if manifest is None:
            raise NotReadyError(
                f"selection.non_activating_source asks for windows of neighbours by "
                f"{self._method!r}, but {place.lake!r} holds none of run {place.run!r} at "
                f"{place.hookpoint!r}; materialize the asset 'neighbours' with "
                f"neighbours.methods = [{self._method!r}] first."
            )
        n_neighbours = {"neighbours.n_neighbours": manifest.config["neighbours.n_neighbours"]}
        options = place.profile.neighbours.options_told(self._method)
        manifest.check_config({**n_neighbours, **options, **place.config})
        return manifest


class SemanticSource(WindowSource):
    """Windows nearest in meaning to those that are shown."""

    def config(self, place: Place, selection: SelectionSettings) -> Mapping[str, object]:
        """The encoder."""
        return {"sentence_encoder": selection.sentence_encoder}

    def open(self, place: SourcePlace) -> Draws:
        """Writes the table embeddings if need be; raises as `window_embeddings`."""
        embeddings = window_embeddings(
            place,
            place.tables,
            sentence_encoder=place.selection.sentence_encoder,
            example_ctx_len=place.length,
        )

        def draws(bucket: SourceBucket) -> pa.Table:
            # Only this source needs torch.
            from delphi_assets.selection.non_activating.semantic import nearest_windows

            return nearest_windows(
                bucket.taken(place.selection.semantic_gap),
                bucket.shown(),
                embeddings,
                length=place.length,
                n=bucket.n,
                device=place.profile.model.device,
            )

        return draws


RANDOM, SEMANTIC = RandomSource(), SemanticSource()
CO_OCCURRENCE = NeighbourSource("co-occurrence")
DECODER, ENCODER = NeighbourSource("decoder"), NeighbourSource("encoder")
