"""What an import of a Delphi run left in a lake."""

import pyarrow as pa

from delphi_assets.lake.database import connect
from delphi_assets.lake.lake import Lake, read_parquet
from tests.parts.delphi_folders import Fired

TABLES = ("contexts", "vocabulary", "weights", "activations", "explanations", "predictions")


def activations(lake: Lake, run: str, hookpoint: str) -> Fired:
    """The activations in the lake, after a look at their order."""
    held: Fired = {}
    for manifest in lake.manifests("activations", run=run, hookpoint=hookpoint):
        for file in manifest.files:
            rows = read_parquet(lake, [lake.location(file.path)])
            keys = list(
                zip(*(rows[name].to_pylist() for name in ("latent", "position")), strict=True)
            )
            assert keys == sorted(keys)
            held |= dict(zip(keys, rows["activation"].to_pylist(), strict=True))
    return held


def contents(lake: Lake, run: str) -> dict[str, pa.Table]:
    """The run's tables as people read them, but for ids and times."""
    con = connect(lake)
    tables = {}
    for name in TABLES:
        rows = con.sql(f"from {name}").to_arrow_table()
        rows = rows.filter(pa.compute.equal(rows["run"], run))
        kept = [c for c in rows.column_names if c not in ("run", "explanation_id", "written_at")]
        rows = rows.select(kept)
        order = [(c, "ascending") for c in kept if not pa.types.is_list(rows[c].type)]
        tables[name] = rows.sort_by(order)
    return tables
