"""What earlier versions said of a latent in words, as the codes of today.

In: units of the tables latents, shortfalls and examples of version 4 or before. Out: their rows
with codes for reasons, and rows of the table eligibility, which those versions did not write.

Words had numbers in them, so codes are worked out anew: from the activations of a latent, from the
windows that a selection found and from its setting min_examples.
"""

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from delphi_assets.lake.buckets import bucket_ranges
from delphi_assets.lake.lake import Lake, read_parquet
from delphi_assets.lake.manifests import Manifest
from delphi_assets.lake.schema import ELIGIBILITY, LATENTS, SHORTFALLS
from delphi_assets.lake.units import latents_unit, weights_unit
from delphi_assets.latent_ranges import Latents

Row = dict[str, object]


def latents_with_codes(lake: Lake, latents: Manifest) -> pa.Table:
    """Rows of a unit of the table latents that say `dead`, or nothing."""
    rows = _rows_of(lake, latents)
    silent = pc.equal(rows["n_activations"], 0)
    reason = pc.if_else(silent, pa.scalar("dead"), pa.scalar(None, pa.string()))
    return LATENTS.conform(rows.drop_columns("reason").append_column("reason", reason))


def shortfalls_with_codes(lake: Lake, shortfalls: Manifest) -> pa.Table:
    """Rows of a unit of the table shortfalls with codes, and which sources were lacking."""
    dead, least = _dead(lake, shortfalls), _min_examples(shortfalls)
    rows = _rows_of(lake, shortfalls).to_pylist()
    return SHORTFALLS.from_rows([_with_code(row, dead, least) for row in rows])


def _with_code(row: Mapping[str, object], dead: set[int], least: int) -> Row:
    silent = re.search(r"\((.*)\)$", str(row["reason"]))
    latent, pool = int(str(row["latent"])), int(str(row["pool"]))
    activating = int(str(row["train_missing"])) + int(str(row["test_missing"])) > 0
    if latent in dead:
        code = "dead"
    elif pool < least:
        code = "too_few_windows"
    elif activating:
        lacks_both = int(str(row["non_activating_missing"])) > 0
        code = "too_few_of_both" if lacks_both else "too_few_activating"
    else:
        code = "too_few_silent"
    return {**row, "reason": code, "lacking": silent[1] if silent else None}


def eligibility_of(lake: Lake, examples: Manifest, shortfalls: Manifest | None) -> pa.Table:
    """Rows of eligibility beside a unit of the table examples, of the latents it was asked for.

    A latent without a row in shortfalls got all that was asked for.
    """
    dead, least = _dead(lake, examples), _min_examples(examples)
    most = int(examples.config["max_examples"])
    short = {} if shortfalls is None else _windows(lake, shortfalls)
    rows: list[Row] = []
    for latent in _asked(lake, examples):
        pool = short.get(latent)
        if latent in dead:
            code = "dead"
        else:
            code = "too_few_windows" if pool is not None and pool < least else "eligible"
        counted = pool if pool is None or pool < most else None
        rows.append({"latent": latent, "code": code, "n_windows": counted, "min_examples": least})
    return ELIGIBILITY.from_rows(rows)


def _windows(lake: Lake, shortfalls: Manifest) -> dict[int, int]:
    rows = _rows_of(lake, shortfalls)
    return dict(zip(rows["latent"].to_pylist(), rows["pool"].to_pylist(), strict=True))


def _asked(lake: Lake, examples: Manifest) -> list[int]:
    """Latents that the selection asks for of the bucket."""
    place = str(examples.keys["run"]), str(examples.keys["hookpoint"])
    counted = lake.manifest(weights_unit(*place)) or lake.manifest(latents_unit(*place))
    if counted is None:
        return []
    ranges = tuple((int(first), int(last)) for first, last in examples.config["latents"])
    number = int(examples.name.rpartition("-")[2])
    bucket = bucket_ranges(counted.rows, int(examples.config["n_buckets"]))[number]
    return Latents(ranges).among(bucket.first, bucket.last)


def _dead(lake: Lake, of: Manifest) -> set[int]:
    """Latents of the unit's hookpoint that never fire; none before they were described."""
    described = lake.manifest(latents_unit(str(of.keys["run"]), str(of.keys["hookpoint"])))
    if described is None:
        return set()
    rows = _rows_of(lake, described)
    return set(rows.filter(pc.equal(rows["n_activations"], 0))["latent"].to_pylist())


def _min_examples(of: Manifest) -> int:
    return int(of.config["min_examples"])


def _rows_of(lake: Lake, manifest: Manifest) -> pa.Table:
    """Rows of a unit; raises `DataError` naming a file that is not as it was written."""
    return read_parquet(lake, lake.checked(manifest.table, manifest.files))
