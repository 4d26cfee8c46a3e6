"""The one place that knows where files live.

Layout, under a local folder or an fsspec URL:

    <table>/<key>=<value>/.../<file>.parquet          data, hive partitioned
    manifests/<table>/<key>=<value>/.../<unit>.json   one per published unit: what is complete
    manifests/lake.json                               the version of the lake
    manifests/runs/<run>.json                         the configuration a run name stands for
    manifests/run_/, manifests/context_/              a list of no manifests, see `LISTED`
    manifests/versions/<table>/<key>=<value>/...      digests of growing tables (`lake.newest_rows`)
    <table with _ for its last letter>/.../*.parquet  a file of the table without rows, see `EMPTY`
    origins/run=<run>/                                what contexts and judges are from (`origins`)
    coders/run=<run>/<hookpoint>/                     coders trained here, in sparsify's layout
    batches/run=<run>/                                batches on their way (`llm.batch.store`)
    claims/run=<run>/                                 locks of those who ask (`lake.claims`)
    staging/                                          files being written, never read
    superseded/                                       files that were replaced, as they lay; only
                                                      `lake.vacuum` deletes there

Two ways to write, neither of which ever touches a file that somebody may be reading:

1. `publish`: bulk units, written once. Files are staged, then described by a manifest, which also
   says where they are staged and what they replace; then they are put in place, and what they
   replace goes to `superseded/`. So what a table's folders show is published, whenever a process is
   killed: whoever meets a manifest whose files are not in place finishes that (`manifest`). A file
   is never written over: a newer one has a name of its own. A unit whose files are not what its
   manifest says is written again by the stage that asks (`ready`).
2. `append`: small growing tables, one uniquely named file a call. Views let the latest row win.

Readers of the pipeline take files from manifests (`files`), so neither a half-published unit nor a
damaged file is ever data.
"""

import hashlib
import json
import logging
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from delphi_assets.errors import DataError, NotReadyError, StorageError
from delphi_assets.lake.locks import claimed
from delphi_assets.lake.manifests import (
    Manifest,
    StoredFile,
    Unit,
    check_same,
    check_version,
    folder_of,
)
from delphi_assets.lake.parquet import HashedSink, row_groups_of, write_rows
from delphi_assets.lake.schema import FIRST_VERSION, INTERMEDIATE, SCHEMA_VERSION, TABLES, Table
from delphi_assets.lake.storage import Storage
from delphi_assets.latent_ranges import ALL, Latents, WhichLatents, as_latents
from delphi_assets.settings import Profile

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Draft", "File", "Lake", "Manifest", "StoredFile", "Unit", "read_parquet", "reading"]

_ASSETS = {
    "completions": "explanations",
    "eligibility": "examples",
    "embeddings": "examples",
    "kept_scores": "predictions",
    "shortfalls": "examples",
    "vocabulary": "contexts",
    "weights": "sparse_coder",
    "windows": "examples",
}
"""Which asset writes a table of another name."""


def asset_of(table: str) -> str:
    """The asset that writes a table."""
    return _ASSETS.get(table, table)


log = logging.getLogger(__name__)


EMPTY = "_"
"""Last letter of the folders of the files without rows, in place of that of the table.

A view reads `completion[s_]/...`, which finds both; whoever reads `completions/**` finds rows. So
every table has a file with today's columns, and a table that gets its first rows shows them.
"""


GENERATION = "generation"
"""Column of the growing tables that says which of two rows was written later."""

SUPERSEDED = "superseded"
"""Folder of the files that were replaced, outside of every table's pattern."""

PATIENCE = 10.0
"""Seconds of waiting for another process that publishes before the log tells of it."""

VERSION = "manifests/lake.json"
"""Where a lake's version is noted; a lake without it is of `FIRST_VERSION`."""


class Listed(NamedTuple):
    """Manifests that a view reads: the name it knows them by, what finds them, and a list of none.

    As `EMPTY` says of tables, what finds them always finds that list.
    """

    name: str
    pattern: str
    empty: str
    text: str = "[]"


LISTED = (
    Listed("runs", "manifests/run[s_]/*.json", "manifests/run_/none.json"),
    Listed(
        "shards",
        "manifests/context[s_]/*/*/*.json",
        "manifests/context_/run=_/shard=0/none.json",
    ),
)
"""What `runs` is read from: the settings of every run, and what its shards of contexts hold."""

OLDEST = "oldest_files"
"""Version that a lake is to be upgraded from, where a later one has written to it since."""


class Files(list[str]):
    """Locations of published files of one table."""

    def __init__(self, table: str, locations: Iterable[str]) -> None:
        super().__init__(locations)
        self.table = table


class File(NamedTuple):
    """Rows for one file of a unit; `keys` are path keys that the unit itself does not fix."""

    rows: pa.Table | Iterable[pa.Table]
    keys: Mapping[str, str | int] = {}


class Lake(Storage):
    """A lake at `root`: a local folder or a URL that fsspec understands."""

    _initialized = False

    def initialize(self) -> None:
        """Note the version of a lake that begins here, and lay the files without rows.

        So views work before there is data, and show it when it comes.
        """
        if self._initialized:
            return
        self._initialized = True
        version = self.version
        if version is None:
            self.create_text(VERSION, json.dumps({"schema_version": SCHEMA_VERSION}))
        elif version < SCHEMA_VERSION:
            # Earlier versions would misread what is written from now on: they refuse the lake.
            noted = {"schema_version": SCHEMA_VERSION, OLDEST: version}
            self.write_text(VERSION, json.dumps(noted))
        read = [table.as_read for table in TABLES.values()]
        for listed in LISTED:
            self.create_text(listed.empty, listed.text)
        missing = [table for table in read if not self.exists(empty_file(table))]
        with ThreadPoolExecutor(max(1, len(missing))) as pool:
            # Together, as each waits for the disk.
            for _ in pool.map(lambda one: self._put(empty_file(one), one.empty(), one), missing):
                pass

    @property
    def version(self) -> int | None:
        """Version of the schema that the lake began or was upgraded with; None without a lake.

        Raises `ConflictError` for a newer one than this version of the library reads.
        """
        noted = self.read_json(VERSION)
        if noted is None:
            begun = any(self.exists(folder) for folder in ("manifests", *TABLES))
            return FIRST_VERSION if begun else None
        written_with = check_version(self.location(VERSION), noted)
        return int(noted.get(OLDEST, written_with))

    def manifest(self, unit: Unit) -> Manifest | None:
        """The unit's manifest, or None when it has not been published."""
        return self._manifest_at(unit.path)

    def _manifest_at(self, path: str) -> Manifest | None:
        """A manifest, after what a killed process left to do for its files."""
        manifest = self._read_manifest(path)
        if manifest is None or manifest.in_place:
            return manifest
        try:
            with self.alone_at(path):
                return self.put_in_place(path)
        except StorageError as error:
            log.warning("files of %s are not in place: %s", manifest.unit, error)
            return manifest

    def _read_manifest(self, path: str) -> Manifest | None:
        stored = self.read_json(path)
        return None if stored is None else Manifest.read(path, stored)

    @contextmanager
    def alone_at(self, path: str) -> Iterator[None]:
        """Keep others from publishing the unit of this manifest; not for a lake at a URL."""
        if not self.local:
            yield
            return
        few = hashlib.sha256(path.encode()).hexdigest()[:2]
        with claimed(self, f"manifests/locks/{few}", "publish to it", PATIENCE):
            yield

    def put_in_place(self, path: str) -> Manifest | None:
        """Finish what the manifest at `path` says of its files; for who is alone at it."""
        manifest = self._read_manifest(path)
        if manifest is None or manifest.in_place:
            return manifest
        for target, staged in manifest.staged.items():
            if self.exists(staged):
                self.move(staged, target)
        for old in manifest.replaced:
            self.supersede(old)
        whole = replace(manifest, staged={}, replaced=[])
        self.write_text(path, whole.to_json())
        return whole

    def supersede_others(self, manifest: Manifest) -> None:
        """Move files of a unit that its manifest does not name out of its table.

        Earlier versions left a file that they had replaced beside the newer one.
        """
        named = {file.path for file in manifest.files}
        folders = {path.rpartition("/")[0] for path in named}
        for path in self.files_of(manifest.unit, folders) - named:
            self.supersede(path)

    def files_of(self, unit: Unit, folders: Iterable[str]) -> set[str]:
        """Paths of a unit's files in some folders, whether its manifest names them or not."""
        own = re.compile(rf"{re.escape(unit.name)}(-[0-9a-f]{{12}})?\.parquet")
        return {
            f"{folder}/{name}"
            for folder in folders
            for name in self.names(folder)
            if own.fullmatch(name)
        }

    def supersede(self, path: str) -> None:
        """Move a file that is replaced out of its table, if it is there."""
        if self.exists(path):
            target = f"{SUPERSEDED}/{path}"
            taken = self.exists(target)
            self.move(path, f"{target}-{uuid.uuid4().hex[:12]}" if taken else target)

    def ready(self, unit: Unit, config: Mapping[str, Any]) -> Manifest | None:
        """The manifest if the unit is published and whole, after checking its settings.

        A file that is missing or cut is logged by name. Raises `ConflictError` naming the setting
        that differs.
        """
        return self.whole(self.manifest(unit), config)

    def whole(self, manifest: Manifest | None, config: Mapping[str, Any]) -> Manifest | None:
        """The manifest, which was read already, if its unit is `ready`; raises as that."""
        if manifest is None:
            return None
        manifest.check_config(config)
        damages = [damage for file in manifest.files if (damage := self.damage(file))]
        for damage in damages:
            log.warning("%s; %s has to be written again", damage, manifest.unit)
        return None if damages else manifest

    def damage(self, file: StoredFile, *, thorough: bool = False) -> str | None:
        """What is wrong with a published file, None when nothing is.

        Its size is compared, and when `thorough` its content.
        """
        location = self.location(file.path)
        try:
            size = int(self.fs.size(f"{self.root}/{file.path}"))
            if size != file.bytes:
                return f"{location} has {size} bytes, written were {file.bytes}"
            if thorough and self.sha256(location) != file.sha256:
                return f"{location} is not as it was written: delete it"
        except FileNotFoundError:
            return f"{location} is missing"
        return None

    def publish(
        self,
        unit: Unit,
        files: Iterable[File],
        config: Mapping[str, Any],
        facts: Mapping[str, Any] | None = None,
        *,
        inputs: Mapping[str, str] | None = None,
        versioned: bool = False,
        rows_of: Manifest | None = None,
    ) -> Manifest:
        """Write the unit's files and its manifest. Files are staged one at a time.

        `inputs` are the data versions of what the rows are made from. What is published already and
        whole stays as it is, unless it is `versioned`: written again as what it is computed from
        changes. Rows of another manifest that are only put differently are of its code, and made
        from what they were made from.
        """
        with self.draft(unit, versioned=versioned) as draft:
            for file in files:
                draft.add(file)
            return draft.publish(config, facts, inputs, rows_of=rows_of)

    def draft(self, unit: Unit, *, versioned: bool = False) -> "Draft":
        """A unit to which files are added as they come, see `publish`."""
        self.initialize()
        return Draft(self, unit, versioned)

    def sweep(self) -> None:
        """Remove what processes that were killed left in a local staging folder a day ago.

        What they had published and not put in place is put in place.
        """
        if left := self.left_in_staging():
            for table in (*TABLES, *INTERMEDIATE):
                self.manifests(table)
            for path in left:
                path.unlink(missing_ok=True)

    def remove(self, table: str, **keys: str | int) -> None:
        """Remove the files of a table under the given leading path keys; manifests stay."""
        self.remove_folder(folder_of(table, keys))

    def append(self, table: Table, keys: Mapping[str, str | int], rows: pa.Table) -> str | None:
        """Add rows to a growing table as one new file; returns its path, None without rows.

        They get a `generation` above that of every file that is there.
        """
        if not rows.num_rows:
            return None
        self.initialize()
        folder = folder_of(table.name, keys)
        number = 1 + self.generation(table.name, keys)
        if GENERATION in table.arrow.names:
            numbers = pa.array([number] * rows.num_rows, table.arrow.field(GENERATION).type)
            known = [name for name in rows.column_names if name != GENERATION]
            rows = rows.select(known).append_column(GENERATION, numbers)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = f"{folder}/{number:010d}-{stamp}-{uuid.uuid4().hex[:12]}.parquet"
        self._put(path, rows, table)
        return path

    def generation(self, table: str, keys: Mapping[str, str | int]) -> int:
        """The largest of rows of a growing table; 0 without any, and before it was counted."""
        return max(map(generation_of, self.names(folder_of(table, keys))), default=0)

    def holds(self, table: str, **keys: str | int) -> bool:
        """Whether files of a table lie under the given leading path keys."""
        return self.exists(folder_of(table, keys))

    def manifests(self, table: str, **keys: str | int) -> list[Manifest]:
        """Manifests of a table's published units under the given leading path keys.

        In order of their keys, numbers as numbers (shard 2 before shard 10), then by name.
        """
        folder = f"{self.root}/manifests/{folder_of(table, keys)}"
        if not self.fs.exists(folder):
            return []
        paths = [path for path in self.fs.find(folder) if path.endswith(".json")]
        relative = [path.removeprefix(f"{self.root}/") for path in paths]
        found = [held for path in relative if (held := self._manifest_at(path)) is not None]
        return sorted(found, key=lambda manifest: (*manifest.keys.values(), manifest.name))

    def paths(self, table: str) -> list[str]:
        """Paths of all Parquet files in a table's folders, published or not."""
        found = self.fs.find(f"{self.root}/{table}")
        paths = [str(path).removeprefix(f"{self.root}/") for path in found]
        return sorted(path for path in paths if path.endswith(".parquet"))

    def files(self, table: str, **keys: str | int) -> Files:
        """Locations of the published files of a table, see `checked`.

        Raises `NotReadyError` without any, `DataError` naming one that is not as it was written.
        """
        return self.files_in(table, self.manifests(table, **keys), **keys)

    def files_in(self, table: str, manifests: Iterable[Manifest], **keys: str | int) -> Files:
        """Those of manifests of a table that were read already; raises as `files`."""
        found = [file for manifest in manifests for file in manifest.files]
        if not found:
            raise self._not_ready(table, keys)
        return self.checked(table, found)

    def scan(
        self,
        table: str,
        run: str | None = None,
        hookpoint: str | None = None,
        latents: WhichLatents = ALL,
    ) -> "pl.LazyFrame":
        """Published rows of a table as a lazy Polars frame; `scan("activations", latents="0-4")`.

        Files of other runs and hookpoints are not opened, row groups without the latents not read.
        Raises `DataError` for a table that is not there, that grows, or that has no such key,
        `NotReadyError` when it has no files.
        """
        from delphi_assets.lake.frames import lazy_frame

        if table not in TABLES or TABLES[table].grows:
            known = [name for name, one in TABLES.items() if not one.grows]
            raise DataError(
                f"scan({table!r}); expected one of {known}. Views, and tables in which the last "
                f"row of a key counts, come from connect(lake).sql('from {table}').pl()."
            )
        wanted = {"run": run, "hookpoint": hookpoint}
        keys = {name: value for name, value in wanted.items() if value is not None}
        lacking = keys.keys() - {key.name for key in TABLES[table].keys}
        if lacking:
            raise DataError(f"the table {table!r} has no key {sorted(lacking)}; leave it out.")
        paths = [
            file.path
            for manifest in self.manifests(table)
            if keys.items() <= manifest.keys.items()
            for file in manifest.files
        ]
        if not paths:
            raise self._not_ready(table, keys)
        return lazy_frame(self, TABLES[table], paths, as_latents(latents))

    def _not_ready(self, table: str, keys: Mapping[str, str | int]) -> NotReadyError:
        shown = ", ".join(f"{key}={value}" for key, value in keys.items()) or "any run"
        return NotReadyError(
            f"{self!r} holds no {table} for {shown}; materialize the asset {asset_of(table)!r} "
            "first."
        )

    def checked(self, table: str, files: Iterable[StoredFile]) -> Files:
        """Locations of files that are as they were written, down to the last bit.

        Raises `DataError` naming one that is not.
        """
        locations = []
        for file in files:
            if damage := self.damage(file, thorough=True):
                raise DataError(
                    f"{damage}; materialize the asset {asset_of(table)!r} again, which "
                    "writes it anew or says what it needs."
                )
            locations.append(self.location(file.path))
        return Files(table, locations)

    def table_of(self, location: str) -> Table:
        """The table of a file at a `location`."""
        name = location.removeprefix(self.location("")).strip("/").partition("/")[0]
        return TABLES.get(name) or INTERMEDIATE[name]

    def claim_run(self, run: str, config: Mapping[str, Any]) -> None:
        """Bind a run name to its configuration, or check that it is bound to this one.

        Raises `ConflictError` naming the setting, both values and the way out.
        """
        self.initialize()
        path = f"manifests/runs/{quote(run, safe='')}.json"
        if not self.create_text(path, json.dumps(dict(config), indent=1)):
            self.check_run(run, config)

    def run_settings(self, run: str) -> dict[str, Any]:
        """The configuration that a run name is bound to; empty when nothing was made under it."""
        return self.read_json(f"manifests/runs/{quote(run, safe='')}.json") or {}

    def as_made(self, profile: Profile) -> Profile:
        """The profile with what it does not say as the run was made, see `settings.as_made`."""
        return profile.as_made(self.run_settings(profile.run.name))

    def check_run(self, run: str, config: Mapping[str, Any]) -> None:
        """Check that a run name is bound to this configuration.

        Raises `ConflictError` as `claim_run`, `NotReadyError` when nothing was made under the name.
        """
        stored = self.read_json(f"manifests/runs/{quote(run, safe='')}.json")
        if stored is None:
            raise NotReadyError(
                f"{self!r} holds no run {run!r}; materialize the asset 'contexts' first."
            )
        check_same(f"run {run!r}", stored, config, "give the run (run.name) another name")

    def _put(self, path: str, rows: pa.Table, table: Table) -> None:
        self.move(self._stage_parquet(rows, table).path, path)

    def _stage_parquet(self, rows: pa.Table | Iterable[pa.Table], table: Table) -> "_Staged":
        path = f"staging/{uuid.uuid4().hex}.parquet"
        with self.staged(path) as sink:
            hashed = HashedSink(sink)
            count = write_rows(hashed, rows, table)
        return _Staged(path, count, hashed.size, hashed.sha256)


class _Staged(NamedTuple):
    """A file that has been written and is not in place yet."""

    path: str
    rows: int
    bytes: int
    sha256: str


class Draft:
    """A unit being written: its files are staged as they are added, in place once published.

    Used in a `with` statement, which removes what was staged and not published.
    """

    def __init__(self, lake: Lake, unit: Unit, versioned: bool) -> None:
        self._lake, self._unit = lake, unit
        self._versioned = versioned
        self._staged: list[tuple[_Staged, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for staged, _ in self._staged:
            self._lake.discard(staged.path)

    def add(self, file: File) -> None:
        """Write one file. Raises `StorageError` when that fails, `DataError` for odd columns."""
        unit, table = self._unit, TABLES.get(self._unit.table) or INTERMEDIATE[self._unit.table]
        folder = folder_of(table.name, {**unit.keys, **file.keys})
        staged = self._lake._stage_parquet(file.rows, table)
        self._staged.append((staged, folder))

    @property
    def rows(self) -> int:
        """Rows added so far."""
        return sum(staged.rows for staged, _ in self._staged)

    def publish(
        self,
        config: Mapping[str, Any],
        facts: Mapping[str, Any] | None = None,
        inputs: Mapping[str, str] | None = None,
        *,
        rows_of: Manifest | None = None,
    ) -> Manifest:
        """Write the manifest and put the files in place, unless another process did."""
        lake, path = self._lake, self._unit.path
        with lake.alone_at(path):
            there = lake.put_in_place(path)
            if there and not self._versioned and not any(map(lake.damage, there.files)):
                # Its files may have readers already.
                return there
            old = self._old_files(there)
            name = f"{self._unit.name}-{uuid.uuid4().hex[:12]}" if old else self._unit.name
            moves = {f"{folder}/{name}.parquet": held for held, folder in self._staged}
            files = [StoredFile(path, held.bytes, held.sha256) for path, held in moves.items()]
            made = Manifest.of(
                self._unit, self.rows, files, config, facts or {}, inputs=inputs or {}
            )
            if rows_of is not None:
                made = replace(made, code_version=rows_of.code_version, inputs=rows_of.inputs)
            manifest = replace(
                made,
                staged={target: held.path for target, held in moves.items()},
                replaced=old,
            )
            lake.write_text(path, manifest.to_json())
            self._staged.clear()
            return lake.put_in_place(path) or manifest

    def _old_files(self, there: Manifest | None) -> list[str]:
        """Files of the unit that are in the way: those of its manifest, and what nobody names."""
        found = {file.path for file in there.files} if there else set()
        found |= self._lake.files_of(self._unit, {folder for _, folder in self._staged})
        return sorted(found)


def generation_of(name: str) -> int:
    """The largest generation of rows in a file of a growing table; 0 before it was counted."""
    found = re.match(r"(?:merged-)?(\d{10})-", name)
    return int(found[1]) if found else 0


def empty_file(table: Table) -> str:
    """Where the file without rows of a table is; another one for other columns."""
    keys = {key.name: "0" if pa.types.is_integer(key.type) else "_" for key in table.keys}
    columns = hashlib.sha256(str(table.as_read.arrow).encode()).hexdigest()[:12]
    return f"{folder_of(table.name[:-1] + EMPTY, keys)}/{columns}.parquet"


def pattern(table: Table) -> str:
    """What finds a table's files and the one without rows, relative to the lake's root."""
    name = f"{table.name[:-1]}[{table.name[-1]}{EMPTY}]"
    return "/".join([name, *["*"] * len(table.keys), "*.parquet"])


def read_parquet(
    lake: Lake,
    locations: list[str],
    columns: list[str] | None = None,
    latents: Latents = ALL,
) -> pa.Table:
    """Rows of published files; raises `DataError` naming a file that cannot be read.

    Row groups without any of `latents` are left out: there are rows of others, but not of all. A
    column that was added after a file was written is null in its rows.
    """
    parts = []
    for location in locations:
        with reading(location), lake.open(location) as source:
            file = pq.ParquetFile(source)
            groups = row_groups_of(latents, file.metadata)
            rows = lake.table_of(location).completed(file.read_row_groups(groups, columns))
            parts.append(rows if columns is None else rows.select(columns))
    return pa.concat_tables(parts, promote_options="default")


@contextmanager
def reading(location: str) -> Iterator[None]:
    """Turn what goes wrong while a Parquet file is read into a `DataError` that names it."""
    try:
        yield
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise DataError(
            f"{location} cannot be read as Parquet ({error}); materialize its asset again, "
            "which writes it anew."
        ) from error
