"""Scores of a hookpoint, brought up to date with its predictions.

In: a lake, a run and a hookpoint. Out: the unit of the table kept_scores (`score_table`).

1. One process at a time does it for a hookpoint. So that of the last one to end holds what every
   process has written, whoever else was writing meanwhile.
2. Which latents have answers in files that the unit does not name is read from these; scores of the
   others are taken over as they are.
3. Ranges of latents are computed one after the other, so what is in memory does not grow with the
   coder, and the unit is written as they come.

Merging (`compaction`) brings the rows of files that go in one that is named `merged-`; where a file
is gone without one, all is computed again.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from delphi_assets.errors import DelphiAssetsError
from delphi_assets.lake import database
from delphi_assets.lake.lake import File, Files, Lake
from delphi_assets.lake.locks import claimed
from delphi_assets.lake.manifests import Manifest, folder_of
from delphi_assets.lake.schema import KEPT_SCORES, PREDICTIONS
from delphi_assets.lake.score_table import (
    COMPUTED_BY,
    FILES,
    Behind,
    hash_of,
    is_of,
    kept_of,
)
from delphi_assets.lake.units import kept_scores_unit

LATENTS_AT_ONCE = 2_048
"""Latents whose answers are in memory at a time."""
PATIENCE = 10.0
"""Seconds of waiting for another process before the log tells of it."""
_TRIES = 3
"""Files may be merged while they are read."""

log = logging.getLogger(__name__)


class _There(NamedTuple):
    """What there is of a hookpoint."""

    names: set[str]
    """Files of its predictions."""
    kept: Manifest | None
    """Of its kept scores; None where these are not there whole."""

    @property
    def is_up_to_date(self) -> bool:
        """Whether the scores of these files are kept, or there are none."""
        held = self.kept is not None and is_of(self.kept, self.names, database.sql_folder())
        return held or not self.names


class _Work(NamedTuple):
    """What there is to compute."""

    files: Files
    """Of predictions, all of the hookpoint."""
    kept: Files | None
    """What is taken over; None where everything is computed."""
    changed: list[int] | None
    """Latents that are computed; None is all."""
    n_latents: int
    """Above every latent."""


def keep_up(lake: Lake, run: str, hookpoint: str) -> None:
    """Bring what is kept up to date; what goes wrong is logged.

    The answers are there all the same, and whoever reads scores computes them.
    """
    try:
        bring_up_to_date(lake, run, hookpoint)
    except (DelphiAssetsError, OSError, duckdb.Error, pa.ArrowException) as error:
        log.warning("the scores of %s were not kept: %s", hookpoint, error)


def bring_up_to_date(lake: Lake, run: str, hookpoint: str) -> bool:
    """Write the scores of a hookpoint unless they are kept; whether there was something to do.

    Raises `StorageError` when the lake cannot be written, `DataError` for a damaged file.
    """
    place = Behind(run, hookpoint)
    if _there(lake, place).is_up_to_date:
        return False
    path = f"{folder_of('claims', place._asdict())}/scores.lock"
    with claimed(lake, path, f"keep the scores of {hookpoint!r}", PATIENCE):
        for left in reversed(range(_TRIES)):
            there = _there(lake, place)
            if there.is_up_to_date:
                return False
            try:
                _write(lake, place, there)
            except duckdb.IOException as error:
                if "No such file" not in str(error) or not left:
                    raise
            else:
                return True
    return False


def _there(lake: Lake, place: Behind) -> _There:
    names = {name for name in lake.names(place.predictions) if name.endswith(".parquet")}
    return _There(names, kept_of(lake, place))


def _write(lake: Lake, place: Behind, there: _There) -> None:
    statements = hash_of(database.sql_folder())
    with database.connect(lake, up_to_date=False) as con:
        work = _work(lake, con, place, there)
        facts = {FILES: sorted(there.names), COMPUTED_BY: statements}
        rows = File(_rows(con, work))
        lake.publish(kept_scores_unit(*place), [rows], {}, facts, versioned=True)


def _work(lake: Lake, con: duckdb.DuckDBPyConnection, place: Behind, there: _There) -> _Work:
    names, kept = there
    files = _files(lake, place, names)
    (last,) = database.query(con, "kept/last", files=files)["latent"].to_pylist()
    if kept is None or kept.facts[COMPUTED_BY] != hash_of(database.sql_folder()):
        return _Work(files, None, None, last + 1)
    known = set(kept.facts[FILES])
    new = names - known
    if known - names and not any(name.startswith("merged-") for name in new):
        return _Work(files, None, None, last + 1)
    found = database.query(con, "kept/changed", files=_files(lake, place, new))
    changed: list[int] = found["latent"].to_pylist()
    return _Work(files, lake.checked(KEPT_SCORES.name, kept.files), changed, last + 1)


def _files(lake: Lake, place: Behind, names: set[str]) -> Files:
    locations = [lake.location(f"{place.predictions}/{name}") for name in sorted(names)]
    return Files(PREDICTIONS.name, locations)


def _rows(con: duckdb.DuckDBPyConnection, work: _Work) -> Iterator[pa.Table]:
    for first in range(0, work.n_latents, LATENTS_AT_ONCE):
        ends = {"first": first, "last": first + LATENTS_AT_ONCE}
        parts = []
        if work.kept is not None:
            latents = _among(work.changed or [], **ends)
            parts.append(database.query(con, "kept/kept", files=work.kept, latents=latents, **ends))
        wanted = None if work.changed is None else _among(work.changed, **ends)
        if wanted != []:
            found = database.query(con, "kept/computed", files=work.files, latents=wanted, **ends)
            parts.append(found.drop_columns(["run", "hookpoint"]))
        rows = pa.concat_tables([KEPT_SCORES.conform(part) for part in parts])
        yield rows.sort_by("latent")


def _among(latents: Sequence[int], first: int, last: int) -> list[int]:
    return [latent for latent in latents if first <= latent < last]
