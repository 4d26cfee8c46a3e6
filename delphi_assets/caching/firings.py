"""Where every latent of a hookpoint fires, for looking up one latent after the other.

In: the table activations, all buckets. Out: `Firings`: positions and activations in two flat files
without a name in the system's temporary folder, mapped into memory: 12 bytes an activation on disk,
a number a latent in memory.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delphi_assets.ground.flat_file import FlatFile
from delphi_assets.lake.lake import Lake, Manifest, read_parquet

Array = NDArray[Any]


class Firings(NamedTuple):
    """Latent i fires at positions[first[i]:first[i+1]], ascending, with these activations."""

    positions: Array
    activations: NDArray[np.float32]
    first: NDArray[np.int64]

    def tokens(self, latent: int) -> Array:
        """The tokens on which a latent fires, ascending."""
        return self.positions[self.first[latent] : self.first[latent + 1]]

    def windows(self, latent: int, length: int) -> Array:
        """The aligned windows in which a latent fires, ascending; the last may not be whole."""
        windows = self.tokens(latent) // length
        return windows[np.flatnonzero(np.diff(windows, prepend=-1))].astype(np.int64)

    def inside(self, latent: int, start: int, length: int) -> NDArray[np.float32]:
        """A latent's activation on each token of a window [length]."""
        positions = self.tokens(latent)
        begin, end = np.searchsorted(positions, [start, start + length])
        found = np.zeros(length, np.float32)
        entries = slice(self.first[latent] + begin, self.first[latent] + end)
        found[positions[begin:end] - start] = self.activations[entries]
        return found


def read_firings(lake: Lake, buckets: list[Manifest], num_latents: int) -> Firings:
    """The firings of a hookpoint; raises `DataError` naming a damaged file."""
    counts = np.zeros(num_latents, np.int64)
    with FlatFile(np.int64) as places, FlatFile(np.float32) as values:
        for bucket in buckets:
            files = lake.checked("activations", bucket.files)
            rows = read_parquet(lake, files, ["latent", "position", "activation"])
            counts += np.bincount(rows["latent"].to_numpy(), minlength=num_latents)
            places.append(rows["position"].to_numpy())
            values.append(rows["activation"].to_numpy())
        first = np.concatenate([[0], np.cumsum(counts)])
        return Firings(places.mapped(), values.mapped(), first)
