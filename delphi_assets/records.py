"""Records: what explainers and scorers see of a latent, read back from the table examples.

In: the published examples of a hookpoint and selection. Out: one `LatentRecord` a latent, in
order. A bucket of examples is in memory at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa

from delphi_assets.errors import NotReadyError
from delphi_assets.lake import Lake, read_parquet
from delphi_assets.settings import Latents


@dataclass(frozen=True)
class Example:
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


@dataclass(frozen=True)
class LatentRecord:
    """A latent with its examples."""

    latent: int
    examples: list[Example]

    @property
    def train(self) -> list[Example]:
        """Windows for the explainer."""
        return [example for example in self.examples if example.split == "train"]

    @property
    def test(self) -> list[Example]:
        """Activating windows for the scorers."""
        return [e for e in self.examples if e.split == "test" and e.activating]

    @property
    def non_activating(self) -> list[Example]:
        """Windows for the scorers in which the latent is silent."""
        return [example for example in self.examples if not example.activating]

    @property
    def max_activation(self) -> float:
        """Largest activation of the latent over its pool, not only over these examples."""
        return self.examples[0].latent_max


def example_files(lake: Lake, run: str, hookpoint: str, selection: str) -> list[str]:
    """Locations of a selection's examples, in order of latent.

    Raises `NotReadyError` unless every bucket is there: half a selection looks like a whole one.
    """
    keys = {"run": run, "hookpoint": hookpoint, "selection": selection}
    manifests = lake.manifests("examples", **keys)
    n_buckets = manifests[0].config["n_buckets"] if manifests else None
    if n_buckets is None or len(manifests) < n_buckets:
        raise NotReadyError(
            f"{lake!r} holds {len(manifests)} of {n_buckets or 'all'} buckets of examples of run "
            f"{run!r} at {hookpoint!r} under the selection {selection!r}; materialize the asset "
            "'examples' first."
        )
    return lake.checked("examples", [file for manifest in manifests for file in manifest.files])


_COLUMNS = ["latent", *Example.__dataclass_fields__]


def read_records(
    lake: Lake, run: str, hookpoint: str, selection: str, latents: Latents
) -> Iterator[LatentRecord]:
    """Records of the given latents that have examples, in order of latent.

    Raises `NotReadyError` when the selection has not been materialized.
    """
    for file in example_files(lake, run, hookpoint, selection):
        rows = read_parquet(lake, [file], _COLUMNS)
        wanted = pa.array((latent in latents for latent in rows["latent"].to_pylist()), pa.bool_())
        for latent, group in groupby(
            rows.filter(wanted).to_pylist(), key=lambda row: int(row.pop("latent"))
        ):
            yield LatentRecord(latent, [Example(**row) for row in group])
