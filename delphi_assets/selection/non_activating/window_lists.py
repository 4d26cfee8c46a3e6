"""Windows by latent, as two flat arrays: what SQL found for the latents of a bucket."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Array = NDArray[Any]


class WindowLists(NamedTuple):
    """Latent i has windows[first[i]:first[i+1]]; a window is a position // example_ctx_len."""

    latents: Array
    """[latents], ascending."""
    first: Array
    """[latents + 1]"""
    windows: Array
    """All latents' lists, laid end to end."""

    @classmethod
    def of(cls, rows: pa.Table) -> Self:
        """From rows (latent, window), sorted by latent."""
        latents, first = np.unique(rows["latent"].to_numpy(), return_index=True)
        return cls(latents, np.append(first, rows.num_rows), rows["window"].to_numpy())

    def __iter__(self) -> Iterator[tuple[int, Array]]:  # type: ignore[override]
        """Each latent with its windows."""
        for place, latent in enumerate(self.latents.tolist()):
            yield latent, self.at(place)

    def at(self, place: int) -> Array:
        """The windows of the latent at a place of `latents`."""
        return self.windows[self.first[place] : self.first[place + 1]]
