"""The windows in which a hookpoint's latents fire, ranked once for every selection.

In: the table activations of a bucket. Out: the table windows for a window length, a unit per bucket
(`sql/windows/ranked.sql`). Sorted by latent, the strongest window first: what is chosen by rank
needs no sorting, and the strongest windows of one latent are a short read.

They are written again when their file is damaged, when it is of another version of the code or of
other activations, and when it is of a version that ranked by the largest activation: negative ones
counted as weak.
"""

import logging

import pyarrow.parquet as pq

from delphi_assets.caching.hookpoint_tables import HookpointTables
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import File, Files, Lake, Manifest, reading
from delphi_assets.lake.place import Place
from delphi_assets.lake.units import windows_unit
from delphi_assets.lake.versions import changes, data_versions

_RANKED_BY, _MAGNITUDE = "ranked_by", "magnitude"

log = logging.getLogger(__name__)


def ranked_windows(
    place: Place,
    tables: HookpointTables,
    bucket: int,
    *,
    example_ctx_len: int,
    activations: list[str],
) -> Files:
    """Location of a bucket's windows of a length, which are written if they are not there.

    `activations` are the bucket's files. Raises `ConflictError` for windows made with other
    settings.
    """
    lake, config = place.lake, place.config
    unit = windows_unit(place.run, place.hookpoint, example_ctx_len, bucket)
    there, made_from = lake.ready(unit, config), {"activations": [tables.buckets[bucket]]}
    if there is not None and not changes(there, made_from) and _holds(lake, there, activations):
        manifest = there
    else:
        rows = query(
            tables.con,
            "windows/ranked",
            activations=activations,
            example_ctx_len=example_ctx_len,
            n_tokens=tables.size.n_tokens,
        )
        facts = {_RANKED_BY: _MAGNITUDE}
        manifest = lake.publish(
            unit,
            [File(rows)],
            config,
            facts,
            inputs=data_versions(made_from),
            versioned=there is not None,
        )
    return Files("windows", (lake.location(file.path) for file in manifest.files))


def _holds(lake: Lake, there: Manifest, activations: list[str]) -> bool:
    """Whether the windows are as they were written, and ranked as they are today."""
    damages = [damage for file in there.files if (damage := lake.damage(file, thorough=True))]
    for damage in damages:
        log.warning("%s; its windows are ranked again", damage)
    if damages:
        return False
    return there.facts.get(_RANKED_BY) == _MAGNITUDE or not _any_negative(lake, activations)


def _any_negative(lake: Lake, activations: list[str]) -> bool:
    """Whether one of these files holds a negative activation, by what their footers say."""
    for location in activations:
        with reading(location), lake.open(location) as source:
            footer = pq.read_metadata(source)
        column = footer.schema.names.index("activation")
        least = (
            footer.row_group(group).column(column).statistics.min
            for group in range(footer.num_row_groups)
        )
        if any(value < 0 for value in least):
            return True
    return False
