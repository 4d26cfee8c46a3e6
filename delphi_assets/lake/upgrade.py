"""A lake of an earlier version becomes one of this version, step by step, without losing a row.

In: a lake. Out: what there is to do, and after `apply` a lake that notes this version.

From 3 to 4:

1. Files without rows lay in the tables' own folders (`run=_`), where every reader finds them.
2. Files that were replaced, or left by a process that was killed before it had described them, lay
   there too. What no manifest of a table that is written once names, no stage believes.

From 4 to 5:

3. `predictions.judge` and `explanations.explainer_model` were both called `model`, and
   `explanations.n_shown`, windows, was called n_examples, as answers are in scores. Files that say
   so are written again, those of a folder as one.
4. Reasons in latents and shortfalls were words, and are codes; selections get rows in the table
   eligibility (`reason_codes`).

Of any version: scores that are not kept, or are behind their predictions, are (`score_table`).

What leaves a table goes to `superseded/`, as it lies; nothing is deleted. Each step looks at what
the files are, so killed anywhere it goes on where it was; the version is noted last. Nothing else
may write to the lake meanwhile.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow.parquet as pq

from delphi_assets.errors import NotReadyError
from delphi_assets.lake.compaction import write_again
from delphi_assets.lake.database import sql_folder
from delphi_assets.lake.lake import VERSION, File, Lake, reading
from delphi_assets.lake.manifests import Manifest, Unit
from delphi_assets.lake.reason_codes import (
    eligibility_of,
    latents_with_codes,
    shortfalls_with_codes,
)
from delphi_assets.lake.schema import (
    ELIGIBILITY,
    EXAMPLES,
    LATENTS,
    SCHEMA_VERSION,
    SHORTFALLS,
    TABLES,
)
from delphi_assets.lake.score_keeping import bring_up_to_date
from delphi_assets.lake.score_table import Behind, behind

_WITH_CODES = 5
"""Version since which reasons are codes."""


class Upgrade(NamedTuple):
    """What becomes of a lake."""

    version: int
    """Before."""
    without_rows: list[str]
    """Paths of files that only made views possible."""
    not_believed: list[str]
    """Paths of files that no manifest names."""
    renamed: list[str]
    """Paths of files in which a column has a former name."""
    reasoned: list[Manifest]
    """Units of latents and shortfalls whose reasons are words."""
    unsaid: list[Manifest]
    """Units of examples without eligibility."""
    unkept: list[Behind]
    """Hookpoints whose kept scores are behind their predictions."""


def planned(lake: Lake) -> Upgrade:
    """What `apply` would do, without doing it.

    Raises `NotReadyError` without a lake, `ConflictError` for one of a newer version.
    """
    version = lake.version
    if version is None:
        raise NotReadyError(f"there is no lake at {lake.location('')!r}; check the path.")
    upgrade = Upgrade(version, [], [], [], [], [], behind(lake, sql_folder()))
    for step in range(version, SCHEMA_VERSION):
        upgrade = _STEPS[step](lake, upgrade)
    return upgrade


def apply(lake: Lake, upgrade: Upgrade) -> None:
    """Do what was planned.

    Raises `StorageError` when the lake cannot be written, `DataError` naming a file that is not as
    it was written: mend it, and upgrade again.
    """
    for path in (*upgrade.without_rows, *upgrade.not_believed):
        lake.supersede(path)
    lake.initialize()
    for folder, paths in groupby(upgrade.renamed, key=lambda path: path.rpartition("/")[0]):
        table, *keys = folder.split("/")
        write_again(lake, TABLES[table], _keys(keys), list(paths))
    for manifest in upgrade.reasoned:
        _with_codes(lake, manifest)
    for manifest in upgrade.unsaid:
        beside = manifest.unit._replace(table=SHORTFALLS.name)
        rows = eligibility_of(lake, manifest, lake.manifest(beside))
        lake.publish(_eligibility(manifest), [File(rows)], manifest.config)
    for place in upgrade.unkept:
        bring_up_to_date(lake, *place)
    if upgrade.version < SCHEMA_VERSION:
        lake.write_text(VERSION, json.dumps({"schema_version": SCHEMA_VERSION}))


def unnamed(lake: Lake) -> Iterator[str]:
    """Paths of files with rows, of tables that are written once, that no manifest names."""
    for table in TABLES.values():
        if not table.grows:
            held = lake.manifests(table.name)
            named = {file.path for manifest in held for file in manifest.files}
            found = (path for path in lake.paths(table.name) if not _without_rows(path))
            yield from sorted(set(found) - named)


def _from_3(lake: Lake, upgrade: Upgrade) -> Upgrade:
    empty = [path for name in TABLES for path in lake.paths(name) if _without_rows(path)]
    return upgrade._replace(
        without_rows=[*upgrade.without_rows, *empty],
        not_believed=[*upgrade.not_believed, *unnamed(lake)],
    )


def _from_4(lake: Lake, upgrade: Upgrade) -> Upgrade:
    renamed = [
        path
        for table in TABLES.values()
        for path in (lake.paths(table.name) if table.formerly else [])
        if not _without_rows(path) and table.formerly.keys() & _columns(lake, path)
    ]
    reasoned = [
        manifest
        for table in (LATENTS, SHORTFALLS)
        for manifest in lake.manifests(table.name)
        if manifest.schema_version < _WITH_CODES
    ]
    unsaid = [
        manifest
        for manifest in lake.manifests(EXAMPLES.name)
        if manifest.schema_version < _WITH_CODES and lake.manifest(_eligibility(manifest)) is None
    ]
    return upgrade._replace(renamed=renamed, reasoned=reasoned, unsaid=unsaid)


_STEPS: dict[int, Callable[[Lake, Upgrade], Upgrade]] = {3: _from_3, 4: _from_4}
"""What leads from a version to the next one."""


def _without_rows(path: str) -> bool:
    """Whether it is a file that version 3 laid so that views work."""
    return path.split("/")[1] == "run=_"


def _columns(lake: Lake, path: str) -> set[str]:
    location = lake.location(path)
    with reading(location), lake.open(location) as source:
        return set(pq.read_schema(source).names)


def _keys(parts: list[str]) -> Mapping[str, str]:
    """Path keys from the names of folders."""
    return {key: unquote(value) for key, _, value in (part.partition("=") for part in parts)}


def _with_codes(lake: Lake, manifest: Manifest) -> None:
    of_latents = manifest.table == LATENTS.name
    rows = (latents_with_codes if of_latents else shortfalls_with_codes)(lake, manifest)
    # What the setting made a difference to is in eligibility now.
    config = {
        name: value for name, value in manifest.config.items() if name != "selection.min_examples"
    }
    facts = manifest.facts
    lake.publish(manifest.unit, [File(rows)], config, facts, versioned=True, rows_of=manifest)


def _eligibility(examples: Manifest) -> Unit:
    """The unit beside one of examples."""
    return examples.unit._replace(table=ELIGIBILITY.name)
