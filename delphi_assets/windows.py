"""The windows in which a hookpoint's latents fire, ranked once for every selection.

In: the table activations of a bucket. Out: the table windows for a window length, a unit per bucket
(`sql/windows/ranked.sql`). Sorted by latent, the strongest window first: what is chosen by rank
needs no sorting, and the strongest windows of one latent are a short read.
"""

from delphi_assets.database import query
from delphi_assets.lake import File, Lake, Unit
from delphi_assets.latents import HookpointTables
from delphi_assets.settings import Profile


def ranked_windows(
    profile: Profile,
    lake: Lake,
    tables: HookpointTables,
    bucket: int,
    *,
    example_ctx_len: int,
    activations: list[str],
) -> list[str]:
    """Location of a bucket's windows of a length, which are written if they are not there.

    `activations` are the bucket's files. Raises `ConflictError` for windows made with other
    settings, `DataError` for a damaged file.
    """
    place = {"run": profile.run.name, "hookpoint": tables.hookpoint}
    unit = Unit("windows", {**place, "example_ctx_len": example_ctx_len, "bucket": bucket})
    config = profile.hookpoint_config(tables.hookpoint)
    manifest = lake.ready(unit, config)
    if manifest is None:
        rows = query(
            tables.con,
            "windows/ranked",
            activations=activations,
            example_ctx_len=example_ctx_len,
            n_tokens=tables.size.n_tokens,
        )
        manifest = lake.publish(unit, [File(rows)], config)
    return lake.checked("windows", manifest.files)
