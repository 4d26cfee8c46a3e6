"""What makes latents alike, as an object that a name stands for.

In: a `NeighbourPlace`, the hookpoint whose latents are compared. Out: `Pairs` of latents, block by
block, of which the nearest become rows of the table neighbours.

A `NeighbourMethod` is named in `neighbours.methods`; its neighbours are a unit under that name.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from numpy.typing import NDArray

from delphi_assets.caching.firings import Firings, read_firings
from delphi_assets.caching.published import published_buckets
from delphi_assets.errors import NotReadyError
from delphi_assets.lake.place import Place


@dataclass(frozen=True)
class NeighbourPlace(Place):
    """Where latents are compared: a hookpoint."""

    n_neighbours: int
    """Of a latent, at most."""

    @cached_property
    def num_latents(self) -> int:
        """Latents of the hookpoint; raises `NotReadyError` before its coder is described."""
        if (weights := self.weights()) is None:
            raise NotReadyError(
                f"{self.lake!r} holds no weights of run {self.run!r} at {self.hookpoint!r}; "
                "materialize the asset 'sparse_coder' first."
            )
        return weights.rows

    @cached_property
    def firings(self) -> Firings:
        """Where every latent of the hookpoint fires, read when first asked for.

        Raises `NotReadyError` without activations, `DataError` naming a damaged file.
        """
        return read_firings(self.lake, published_buckets(self), self.num_latents)


class Pairs(NamedTuple):
    """Latents and what is like them, in any order: three arrays [pairs]."""

    latent: NDArray[Any]
    neighbour: NDArray[Any]
    """Another latent."""
    similarity: NDArray[Any]
    """The larger the more alike; it need not be the same the other way round."""


class NeighbourMethod(ABC):
    """By what latents are compared."""

    @abstractmethod
    def find(self, place: NeighbourPlace) -> Iterator[Pairs]:
        """The pairs, some latents at a time, in order, all pairs of a latent in one block.

        Each pair once. Of a latent's pairs those `place.n_neighbours` are kept that are most alike.
        """
