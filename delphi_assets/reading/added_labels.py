"""Labels of one's own beside what the lake says of latents: added, replaced and withdrawn.

In: a file of labels (`label_files`) and who they are from. Out: rows of the table labels.

1. Each row of the file belongs to a run and a hookpoint: by its columns of these names, by what the
   call says, or as the lake holds one only.
2. Latents that a hookpoint does not have, and a name that a latent has twice, are refused by number
   before anything is written.
3. What says something else than is stored is appended: the last value of a run, hookpoint, source,
   latent and name is the one that counts. What a file does not say stays as it is.
4. A source is withdrawn by rows without a value. Nothing is deleted, so it can be added again.
"""

import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from delphi_assets.errors import DataError, SettingError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.shown_values import few, shown
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake import compaction
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import LABELS
from delphi_assets.reading.label_files import LabelFile, numbers, read_labels

_EMPTY = pa.schema(
    [
        ("latent", pa.int32()),
        ("name", pa.string()),
        ("value", pa.string()),
        ("number", pa.float64()),
    ]
).empty_table()
_SOURCE = re.compile(r"[^\s./\\](?:[^./\\\n]*[^\s./\\])?")


class LabelPlace(NamedTuple):
    """A hookpoint of a run."""

    run: str
    hookpoint: str


class _Named(NamedTuple):
    """What the columns of a file say of a row; None for one that it does not have."""

    run: str | None
    hookpoint: str | None


class _Given(NamedTuple):
    """Labels of one hookpoint: columns latent, name, value and number."""

    place: LabelPlace
    rows: pa.Table


class _News(NamedTuple):
    """Of these, what says something else than is stored, with the column replaces."""

    place: LabelPlace
    rows: pa.Table


@terminable()
def add_labels(
    lake: Lake,
    file: str | os.PathLike[str],
    source: str,
    run: str | None = None,
    hookpoint: str | None = None,
) -> StageReport:
    """Add the labels in a file, .csv, .tsv or .parquet: a column `latent`, every other one a name.

    `run` and `hookpoint` may be columns as well; else they are what is given, else the only ones of
    the lake. Rows are the file's labels; facts are latents, names, and how many were added,
    replaced and unchanged. Raises `SettingError` for an impossible source and where it is not clear
    which hookpoint is meant, `DataError` for a file that is not as it should be, by the numbers of
    latents, `NotReadyError` without a lake.
    """
    started = time.perf_counter()
    _check_source(source)
    held = read_labels(Path(file))
    with connect(lake, up_to_date=False) as con:
        given = list(_by_place(con, held, run, hookpoint))
        for one in given:
            _check(con, Path(file), one)
        found = [_news(con, source, one) for one in given]
    for place, rows in found:
        _append(lake, place, source, rows.drop_columns(["replaces"]))
    n_rows, n_new = (sum(one.rows.num_rows for one in several) for several in (given, found))
    replaced = sum(pc.sum(one.rows["replaces"]).as_py() or 0 for one in found)
    return StageReport(
        rows=n_rows,
        new_rows=n_new,
        seconds=time.perf_counter() - started,
        facts={
            "latents": sum(len(pc.unique(one.rows["latent"])) for one in given),
            "names": len(held.columns),
            "added": n_new - replaced,
            "replaced": replaced,
            "unchanged": n_rows - n_new,
        },
    )


@terminable()
def remove_labels(
    lake: Lake, source: str, run: str | None = None, hookpoint: str | None = None
) -> StageReport:
    """Withdraw the labels of a source, at one hookpoint or run or everywhere.

    Their files stay, so they can be added again. Raises `SettingError` naming the sources that
    there are when the source has none, `NotReadyError` without a lake.
    """
    started = time.perf_counter()
    with connect(lake, up_to_date=False) as con:
        found = query(con, "labels/of_source", source=source, run=run, hookpoint=hookpoint)
        if not found.num_rows:
            sources = query(con, "labels/sources")["source"].to_pylist()
            raise SettingError(
                f"the lake holds no labels of source {shown(source)}, run {run!r}, hookpoint "
                f"{hookpoint!r} (None: any); it holds those of {shown(sources)}."
            )
    nothing = pa.nulls(found.num_rows, pa.string()), pa.nulls(found.num_rows, pa.float64())
    rows = found.append_column("value", nothing[0]).append_column("number", nothing[1])
    for named in _distinct(rows["run"], rows["hookpoint"]):
        here = rows.filter(_is_at(rows["run"], rows["hookpoint"], named))
        place = LabelPlace(str(named.run), str(named.hookpoint))
        _append(lake, place, source, here.drop_columns(["run", "hookpoint"]))
    return StageReport(
        rows=0, new_rows=rows.num_rows, seconds=time.perf_counter() - started, facts={}
    )


def _check_source(source: str) -> None:
    """A source is a folder's name, and stands before a dot in names of columns."""
    if _SOURCE.fullmatch(source) is None:
        raise SettingError(
            f"source {shown(source)}; expected a name such as neuronpedia or alice, without dots, "
            "slashes, or blanks at its ends: columns are called source.name."
        )


def _by_place(
    con: duckdb.DuckDBPyConnection, held: LabelFile, run: str | None, hookpoint: str | None
) -> Iterator[_Given]:
    """The labels of each hookpoint that is meant."""
    for name, option, column in (
        ("run", run, held.runs),
        ("hookpoint", hookpoint, held.hookpoints),
    ):
        if option is not None and column is not None:
            raise SettingError(
                f"{name} = {option!r} is given, and the file has a column {name}; expected one of "
                "the two."
            )
    there = [
        LabelPlace(row["run"], row["hookpoint"]) for row in query(con, "queries/places").to_pylist()
    ]
    nothing = pa.chunked_array([pa.nulls(len(held.latents), pa.string())])
    runs = nothing if held.runs is None else held.runs
    hookpoints = nothing if held.hookpoints is None else held.hookpoints
    for named in _distinct(runs, hookpoints):
        place = _meant(list(dict.fromkeys(there)), named.run or run, named.hookpoint or hookpoint)
        yield _Given(place, _long(held, _is_at(runs, hookpoints, named)))


def _distinct(runs: pa.ChunkedArray, hookpoints: pa.ChunkedArray) -> list[_Named]:
    """Pairs of run and hookpoint that there are."""
    pairs = pa.table({"run": runs, "hookpoint": hookpoints}).group_by(["run", "hookpoint"])
    return [_Named(row["run"], row["hookpoint"]) for row in pairs.aggregate([]).to_pylist()]


def _is_at(runs: pa.ChunkedArray, hookpoints: pa.ChunkedArray, named: _Named) -> pa.ChunkedArray:
    """Which rows have this run and hookpoint."""
    run, hookpoint = (
        pc.is_null(names) if name is None else pc.equal(names, name)
        for names, name in ((runs, named.run), (hookpoints, named.hookpoint))
    )
    return pc.and_(run, hookpoint)


def _meant(there: list[LabelPlace], run: str | None, hookpoint: str | None) -> LabelPlace:
    """The one place of the lake that fits; raises `SettingError` that lists those there are."""
    found = [one for one in there if run in (None, one.run) and hookpoint in (None, one.hookpoint)]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(f"run {one.run!r}, hookpoint {one.hookpoint!r}" for one in there)
    raise SettingError(
        f"the labels are of run {run!r}, hookpoint {hookpoint!r} (None: not said), of which the "
        f"lake holds {len(found) or 'none'}; expected one of: {listed or 'nothing is there'}. Say "
        "which by --run and --hookpoint, or by columns of these names."
    )


def _long(held: LabelFile, here: pa.ChunkedArray) -> pa.Table:
    """The labels in some rows of the file: a row each."""
    parts = [_EMPTY]
    for column in held.columns:
        is_given = pc.and_(here, pc.is_valid(column.values))
        values = column.values.filter(is_given)
        name = pa.repeat(column.name, len(values))
        numbered = numbers(values)
        columns = [held.latents.filter(is_given), name, values, numbered]
        parts.append(pa.table(columns, schema=_EMPTY.schema))
    return pa.concat_tables(parts)


def _check(con: duckdb.DuckDBPyConnection, file: Path, given: _Given) -> None:
    """Refuse latents that are not there, and names that a latent has twice, by number."""
    con.register("given", given.rows)
    where = f"hookpoint {given.place.hookpoint!r} of run {given.place.run!r}"
    unknown = query(con, "labels/unknown", **given.place._asdict())["latent"].to_pylist()
    if unknown:
        raise DataError(
            f"{file} has labels of {few('latent', unknown)}, which {where} does not have; expected "
            "latents of its coder. Nothing was added."
        )
    repeated = query(con, "labels/repeated").to_pylist()
    if repeated:
        name = repeated[0]["name"]
        latents = [row["latent"] for row in repeated if row["name"] == name]
        raise DataError(
            f"{file} has several values of {shown(name)} for {few('latent', latents)} at {where}; "
            "expected one. Nothing was added."
        )


def _news(con: duckdb.DuckDBPyConnection, source: str, given: _Given) -> _News:
    con.register("given", given.rows)
    return _News(given.place, query(con, "labels/news", **given.place._asdict(), source=source))


def _append(lake: Lake, place: LabelPlace, source: str, rows: pa.Table) -> None:
    """Write rows with columns latent, name, value and number as one file, and merge many."""
    if not rows.num_rows:
        return
    keys: dict[str, str | int] = {**place._asdict(), "source": source}
    now = pa.repeat(pa.scalar(datetime.now(UTC), LABELS.arrow.field("written_at").type), len(rows))
    lake.append(LABELS, keys, rows.append_column("written_at", now))
    compaction.compact(lake, LABELS, keys, compaction.MANY_AT_REST)
