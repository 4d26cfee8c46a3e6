"""One flat table: a row a latent, its best explanation, and that explanation's scores.

In: an opened hookpoint. Out: a `.parquet` or `.csv` file, there whole or not at all, with the same
bytes for the same lake. Columns: run and hookpoint, those of the table latents, the best
explanation (`sql/exports/latents.sql`), then for each scorer, `s` by the metric `m`:

    s_m, s_m_low, s_m_high          its score and 95% interval
    s_shuffled, s_empty             the same metric with another latent's explanation, and with none
    s_chance                        in place of these, what a guess gives, where m is accuracy
    s_judge, s_examples, s_failed   who judged, answers asked for, and of these failed

and `source.name` for each label that users gave (`reading.label_columns`).

In CSV, lists are JSON, and no text is a formula to a spreadsheet (`queries.formats.harmless`).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from delphi_assets.errors import SettingError
from delphi_assets.exports.hookpoint import ExportedHookpoint, ScorerMetric
from delphi_assets.exports.targets import whole
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.progress import with_bar
from delphi_assets.queries.formats import harmless

_LATENTS_AT_ONCE = 8_192


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


class ExportedTable(NamedTuple):
    """What a table holds."""

    rows: int
    columns: int
    explained: int
    bytes: int


@terminable()
def export_table(source: ExportedHookpoint, target: Path) -> ExportedTable:
    """Write the table of a hookpoint to a new file.

    Raises `SettingError` unless its name ends in .parquet or .csv, `DataError` when it is there,
    `StorageError` when it cannot be written.
    """
    if target.suffix not in _WRITERS:
        raise SettingError(
            f"{target} ends in {target.suffix!r}; expected .parquet or .csv, by which the format "
            "is chosen."
        )
    with whole(target) as path:
        written = _write(source, path, _WRITERS[target.suffix])
    return written._replace(bytes=target.stat().st_size)


def _write(
    source: ExportedHookpoint, path: Path, open_writer: Callable[[Path, pa.Schema], _Writer]
) -> ExportedTable:
    writer: _Writer | None = None
    rows = explained = 0
    ranges = list(source.ranges(_LATENTS_AT_ONCE))
    try:
        for of in with_bar(ranges, desc=f"export {source.hookpoint}", unit="range"):
            latents = source.latents(of)
            scores = source.scores(of)
            for scorer in source.scorers:
                latents = _beside(latents, scores, scorer)
            latents = source.with_labels(latents, of)
            if path.suffix == ".csv":
                latents = _as_csv(latents)
            writer = writer or open_writer(path, latents.schema)
            writer.write_table(latents)
            rows += latents.num_rows
            explained += latents.num_rows - latents["explanation"].null_count
    finally:
        if writer is not None:
            writer.close()
    return ExportedTable(rows, latents.num_columns, explained, 0)


def _beside(latents: pa.Table, scores: pa.Table, scorer: ScorerMetric) -> pa.Table:
    """`latents` with the columns of a scorer, null where it did not judge."""
    mine = {
        row["latent"]: row
        for row in scores.filter(pa.compute.equal(scores["scorer"], scorer.scorer)).to_pylist()
    }
    rows = [mine.get(latent, {}) for latent in latents["latent"].to_pylist()]
    name, score = scorer.scorer, f"{scorer.scorer}_{scorer.metric}"
    floors = ("chance",) if scorer.metric == "accuracy" else ("shuffled", "empty")
    for column, key, kind in (
        (score, "score", pa.float64()),
        (f"{score}_low", "score_low", pa.float64()),
        (f"{score}_high", "score_high", pa.float64()),
        *((f"{name}_{floor}", floor, pa.float64()) for floor in floors),
        (f"{name}_judge", "judge", pa.string()),
        (f"{name}_examples", "n_examples", pa.int64()),
        (f"{name}_failed", "n_failed", pa.int64()),
    ):
        latents = latents.append_column(column, pa.array([row.get(key) for row in rows], kind))
    return latents


def _as_csv(rows: pa.Table) -> pa.Table:
    for place, field in enumerate(rows.schema):
        if write := _texts_of(field.type):
            texts = [None if held is None else write(held) for held in rows[field.name].to_pylist()]
            rows = rows.set_column(place, field.name, pa.array(texts, pa.string()))
    return rows


def _texts_of(kind: pa.DataType) -> Callable[[Any], str] | None:
    """How values of a kind are written, where it is not as they are."""
    if pa.types.is_list(kind):
        return lambda held: json.dumps(held, ensure_ascii=False)
    return harmless if pa.types.is_string(kind) else None


def _parquet(path: Path, schema: pa.Schema) -> _Writer:
    writer: _Writer = pq.ParquetWriter(path, schema, compression="zstd")
    return writer


def _csv(path: Path, schema: pa.Schema) -> _Writer:
    writer: _Writer = pc.CSVWriter(path, schema)
    return writer


_WRITERS: dict[str, Callable[[Path, pa.Schema], _Writer]] = {".parquet": _parquet, ".csv": _csv}
