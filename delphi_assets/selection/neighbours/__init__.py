"""Stage neighbours: for each latent the latents most like it.

In: the activations of a hookpoint, or its coder. Out: the table neighbours, a unit per method:

- `co_occurrence`: latents that fire on the same tokens, by the Jaccard index.
- `weight_similarity`: latents with similar decoder or encoder rows, by their cosine.
- `ranked`: what a method finds becomes rows, the nearest first.
- `kept`: what is there already and stays.

Both compare every pair of latents; nothing is estimated. Rows are written as they are found. A name
stands for a `NeighbourMethod` (`method`); `ground.registries` says how one of one's own gets its
name. What one's own finds is checked.
"""

import time
from collections.abc import Iterator

import pyarrow as pa

from delphi_assets.caching.published import check_settings, held_buckets
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.registries import NEIGHBOUR_METHODS
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import File, Lake
from delphi_assets.lake.units import neighbours_unit
from delphi_assets.lake.versions import Inputs, data_version, data_versions
from delphi_assets.selection.neighbours.fitting import fitting
from delphi_assets.selection.neighbours.kept import kept
from delphi_assets.selection.neighbours.method import NeighbourMethod, NeighbourPlace
from delphi_assets.selection.neighbours.ranked import ranked
from delphi_assets.settings import NeighbourSettings, Profile
from delphi_assets.settings.options import made


@terminable()
def find_neighbours(
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    method: str,
    settings: NeighbourSettings | None = None,
    *,
    rebuild: bool = False,
) -> StageReport:
    """Write a hookpoint's neighbours by one method, unless they are there as they are asked for.

    Of `settings`, the profile's unless given, `n_neighbours` is used. The fact `latents` counts
    those that have a neighbour. Neighbours of another code, of other activations or with other
    settings are written again; where a selection drew on them, other settings need `rebuild`.
    Raises `NotReadyError` without activations or, for the weights, without a coder (imported runs
    have none), `ConflictError` for data made with other settings or another coder, or a selection
    that drew on them, and `DataError` for a damaged file.
    """
    started, new_rows = time.perf_counter(), 0
    settings = settings or profile.neighbours
    place = NeighbourPlace(lake.as_made(profile), lake, hookpoint, settings.n_neighbours)
    check_settings(place)
    unit = neighbours_unit(place.run, hookpoint, method)
    own = {"neighbours.n_neighbours": settings.n_neighbours, **settings.options_told(method)}
    config = {**own, **place.config}
    made_from: Inputs = {"activations": held_buckets(place)}
    there = lake.manifest(unit)
    manifest = kept(place, there, own, made_from, rebuild=rebuild)
    if manifest is None:
        facts = {"latents": 0}
        rows = _counted(_rows(place, method, settings), facts)
        with lake.draft(unit, versioned=there is not None) as draft:
            draft.add(File(rows))
            manifest = draft.publish(config, facts, data_versions(made_from))
        new_rows = manifest.rows
    return StageReport(
        rows=manifest.rows,
        new_rows=new_rows,
        seconds=time.perf_counter() - started,
        bytes=manifest.bytes,
        facts=manifest.facts,
        data_version=data_version([manifest]),
        code_versions=(manifest.code,),
    )


def find_all_neighbours(
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    settings: NeighbourSettings,
    *,
    rebuild: bool = False,
) -> StageReport:
    """Write a hookpoint's neighbours by each of `settings.methods`, one after the other.

    Rows, seconds and bytes are sums; the fact `latents_<method>` counts those that have a neighbour
    by a method. Raises as `find_neighbours`.

    The data version is that of all methods whose neighbours are there.
    """
    reports = {
        method: find_neighbours(profile, lake, hookpoint, method, settings, rebuild=rebuild)
        for method in settings.methods
    }
    return StageReport(
        rows=sum(report.rows for report in reports.values()),
        new_rows=sum(report.new_rows for report in reports.values()),
        seconds=sum(report.seconds for report in reports.values()),
        bytes=sum(report.bytes for report in reports.values()),
        facts={f"latents_{name}": report.facts["latents"] for name, report in reports.items()},
        data_version=data_version(
            lake.manifests("neighbours", run=profile.run.name, hookpoint=hookpoint)
        ),
        code_versions=tuple(
            sorted({code for report in reports.values() for code in report.code_versions})
        ),
    )


def _rows(place: NeighbourPlace, method: str, settings: NeighbourSettings) -> Iterator[pa.Table]:
    found = made(
        NEIGHBOUR_METHODS, NeighbourMethod, "neighbours.options", settings.options, method
    ).find(place)
    if method not in NEIGHBOUR_METHODS.shipped():
        found = fitting(found, method, place.num_latents)
    return (ranked(pairs, place.n_neighbours) for pairs in found)


def _counted(tables: Iterator[pa.Table], facts: dict[str, int]) -> Iterator[pa.Table]:
    """The same tables; latents are added to `facts` as they pass, each is in one table only."""
    for table in tables:
        facts["latents"] += len(table["latent"].unique())
        yield table
