"""Stage neighbours: for each latent the latents most like it.

In: the activations of a hookpoint, or its coder. Out: the table neighbours, a unit per method:

- `co_occurrence`: latents that fire on the same tokens, by the Jaccard index.
- `weight_similarity`: latents with similar decoder or encoder rows, by their cosine.
- `ranked`: what both find becomes rows, the nearest first.

Every pair of latents is compared; nothing is estimated. Rows are written as they are found.
"""

import time
from collections.abc import Iterator

import pyarrow as pa

from delphi_assets.caching.published import check_settings
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import File, Lake
from delphi_assets.lake.place import Place
from delphi_assets.lake.units import neighbours_unit
from delphi_assets.selection.neighbours.co_occurrence import co_occurring
from delphi_assets.settings import NeighbourMethod, NeighbourSettings, Profile


@terminable()
def find_neighbours(
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    method: NeighbourMethod,
    settings: NeighbourSettings | None = None,
) -> StageReport:
    """Write a hookpoint's neighbours by one method, unless they are there.

    Of `settings`, the profile's unless given, `n_neighbours` is used. The fact `latents` counts
    those that have a neighbour. Raises `NotReadyError` without activations or, for the weights,
    without a coder (imported runs have none), `ConflictError` for data made with other settings or
    another coder, and `DataError` for a damaged file.
    """
    started, new_rows = time.perf_counter(), 0
    settings = settings or profile.neighbours
    place = Place(lake.as_made(profile), lake, hookpoint)
    check_settings(place)
    unit = neighbours_unit(place.run, hookpoint, method)
    config = {"neighbours.n_neighbours": settings.n_neighbours, **place.config}
    manifest = lake.ready(unit, config)
    if manifest is None:
        facts = {"latents": 0}
        rows = _counted(_found(place, method, settings.n_neighbours), facts)
        with lake.draft(unit) as draft:
            draft.add(File(rows))
            manifest = draft.publish(config, facts)
        new_rows = manifest.rows
    seconds = time.perf_counter() - started
    return StageReport(manifest.rows, new_rows, seconds, manifest.bytes, manifest.facts)


def find_all_neighbours(
    profile: Profile, lake: Lake, hookpoint: str, settings: NeighbourSettings
) -> StageReport:
    """Write a hookpoint's neighbours by each of `settings.methods`, one after the other.

    Rows, seconds and bytes are sums; the fact `latents_<method>` counts those that have a neighbour
    by a method. Raises as `find_neighbours`.
    """
    reports = {
        method: find_neighbours(profile, lake, hookpoint, method, settings)
        for method in settings.methods
    }
    return StageReport(
        rows=sum(report.rows for report in reports.values()),
        new_rows=sum(report.new_rows for report in reports.values()),
        seconds=sum(report.seconds for report in reports.values()),
        bytes=sum(report.bytes for report in reports.values()),
        facts={f"latents_{name}": report.facts["latents"] for name, report in reports.items()},
    )


def _found(place: Place, method: NeighbourMethod, n_neighbours: int) -> Iterator[pa.Table]:
    if method == "co-occurrence":
        return co_occurring(place, n_neighbours)
    # Activations are compared without torch.
    from delphi_assets.selection.neighbours.weight_similarity import similar_weights

    return similar_weights(place, method, n_neighbours)


def _counted(tables: Iterator[pa.Table], facts: dict[str, int]) -> Iterator[pa.Table]:
    """The same tables; latents are added to `facts` as they pass, each is in one table only."""
    for table in tables:
        facts["latents"] += len(table["latent"].unique())
        yield table
