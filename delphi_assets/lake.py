"""The one place that knows where files live.

Layout, under a local folder or an fsspec URL:

    <table>/<key>=<value>/.../<file>.parquet          data, hive partitioned
    manifests/<table>/<key>=<value>/.../<unit>.json   one per published unit: what is complete
    manifests/runs/<run>.json                         the configuration a run name stands for
    coders/run=<run>/<hookpoint>/                     coders trained here, in sparsify's layout
    staging/                                          files being written, never read

Two ways to write, neither of which ever touches a file that somebody may be reading:

1. `publish`: bulk units, written once. Files are staged, renamed into place, then described by a
   manifest. A unit without a manifest is not there; writing it again gives the same file names.
2. `append`: small growing tables, one uniquely named file a call. Views let the latest row win.

Readers of the pipeline take files from manifests (`files`), so a half-published unit is never
data. `Unit` names what is published at once: a table, its path keys, and a name.
"""

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from delphi_assets.errors import ConflictError, DataError, NotReadyError
from delphi_assets.schema import SCHEMA_VERSION, TABLES, Table

Scalar = str | int | float | bool | None


class Unit(NamedTuple):
    """What one `publish` writes: e.g. the activations of a hookpoint from one token shard."""

    table: str
    keys: Mapping[str, str | int]
    name: str = "all"

    def __str__(self) -> str:
        keys = ", ".join(f"{key}={value}" for key, value in self.keys.items())
        return f"{self.table} ({keys}) {self.name}"


@dataclass(frozen=True)
class Manifest:
    """What is known of a published unit. `files` are paths relative to the lake's root."""

    table: str
    keys: dict[str, Scalar]
    name: str
    rows: int
    bytes: int
    files: list[str]
    config: dict[str, Any]
    facts: dict[str, Any]
    schema_version: int
    written_at: str


class File(NamedTuple):
    """Rows for one file of a unit; `keys` are path keys that the unit itself does not fix."""

    rows: pa.Table
    keys: Mapping[str, str | int] = {}


class Lake:
    """A lake at `root`: a local folder or a URL that fsspec understands."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.url = os.fspath(root)
        self.fs, path = fsspec.core.url_to_fs(self.url)
        self.root = path.rstrip("/")
        self.local = "file" in _protocols(self.fs)

    def __repr__(self) -> str:
        return f"Lake({self.url!r})"

    def location(self, relative: str) -> str:
        """`relative` as DuckDB and fsspec read it: with the protocol unless local."""
        path = f"{self.root}/{relative}" if relative else self.root
        return path if self.local else f"{_protocols(self.fs)[0]}://{path}"

    def initialize(self) -> None:
        """Lay an empty file under every table, so that views work before there is data."""
        for table in TABLES.values():
            path = _empty_file(table)
            if not self.exists(path):
                self._put(path, table.arrow.empty_table())

    def initialized(self) -> bool:
        """Whether the views can be opened, see `initialize`."""
        return all(self.exists(_empty_file(table)) for table in TABLES.values())

    def manifest(self, unit: Unit) -> Manifest | None:
        """The unit's manifest, or None when it has not been published."""
        stored = self._read_json(_manifest_path(unit))
        return None if stored is None else _manifest(_manifest_path(unit), stored)

    def ready(self, unit: Unit, config: Mapping[str, Any]) -> Manifest | None:
        """The manifest if the unit is published, after checking it was made with `config`.

        Raises `ConflictError` naming the setting that differs.
        """
        manifest = self.manifest(unit)
        if manifest is not None:
            other = "selection (selection.name)" if "selection" in unit.keys else "run (run.name)"
            _same(str(unit), manifest.config, config, f"give the {other} another name")
        return manifest

    def publish(
        self,
        unit: Unit,
        files: Iterable[File],
        config: Mapping[str, Any],
        facts: Mapping[str, Any] | None = None,
        *,
        versioned: bool = False,
    ) -> Manifest:
        """Write the unit's files, then its manifest. Files are staged one at a time.

        `versioned` gives the files unique names, for tables whose latest rows win: a unit written
        again leaves the old file to its readers and points the manifest to the new one.
        """
        table = TABLES[unit.table]
        staged: list[tuple[str, str]] = []
        rows = size = 0
        for file in files:
            folder = _folder(table.name, {**unit.keys, **file.keys})
            name = f"{unit.name}-{uuid.uuid4().hex[:12]}" if versioned else unit.name
            path, stage = f"{folder}/{name}.parquet", f"staging/{uuid.uuid4().hex}.parquet"
            size += self._write_parquet(stage, table.conform(file.rows), table)
            rows += file.rows.num_rows
            staged.append((stage, path))
        if not versioned and (there := self.manifest(unit)) is not None:
            # Another process was faster; its files may have readers already.
            for stage, _ in staged:
                self.fs.rm_file(f"{self.root}/{stage}")
            return there
        for stage, path in staged:
            self._move(stage, path)
        manifest = Manifest(
            table=unit.table,
            keys=dict(unit.keys),
            name=unit.name,
            rows=rows,
            bytes=size,
            files=[path for _, path in staged],
            config=dict(config),
            facts=dict(facts or {}),
            schema_version=SCHEMA_VERSION,
            written_at=datetime.now(UTC).isoformat(),
        )
        self._write_text(_manifest_path(unit), json.dumps(asdict(manifest), indent=1))
        return manifest

    def append(self, table: Table, keys: Mapping[str, str | int], rows: pa.Table) -> str | None:
        """Add rows to a growing table as one new file; returns its path, None without rows."""
        if not rows.num_rows:
            return None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = f"{_folder(table.name, keys)}/{stamp}-{uuid.uuid4().hex[:12]}.parquet"
        self._put(path, table.conform(rows))
        return path

    def manifests(self, table: str, **keys: str | int) -> list[Manifest]:
        """Manifests of a table's published units under the given leading path keys, by name."""
        folder = f"{self.root}/manifests/{_folder(table, keys)}"
        if not self.fs.exists(folder):
            return []
        paths = sorted(path for path in self.fs.find(folder) if path.endswith(".json"))
        relative = [path.removeprefix(f"{self.root}/") for path in paths]
        stored = [(path, self._read_json(path)) for path in relative]
        return [_manifest(path, held) for path, held in stored if held is not None]

    def files(self, table: str, **keys: str | int) -> list[str]:
        """Locations of the published files of a table; raises `NotReadyError` without any."""
        found = [
            self.location(file)
            for manifest in self.manifests(table, **keys)
            for file in manifest.files
        ]
        if not found:
            shown = ", ".join(f"{key}={value}" for key, value in keys.items())
            raise NotReadyError(
                f"{self!r} holds no {table} for {shown}; materialize the asset {table!r} first."
            )
        return found

    def bucket_files(self, run: str, hookpoint: str) -> dict[int, list[str]]:
        """Locations of the published activation files by latent bucket, each in shard order."""
        files: dict[int, list[str]] = {}
        for manifest in self.manifests("activations", run=run, hookpoint=hookpoint):
            for file in manifest.files:
                bucket = int(file.rsplit("/bucket=", 1)[1].split("/", 1)[0])
                files.setdefault(bucket, []).append(self.location(file))
        return files

    def claim_run(self, run: str, config: Mapping[str, Any]) -> None:
        """Bind a run name to its configuration, or check that it is bound to this one.

        Raises `ConflictError` naming the setting, both values and the way out.
        """
        path = f"manifests/runs/{quote(run, safe='')}.json"
        if not self._create_text(path, json.dumps(dict(config), indent=1)):
            self.check_run(run, config)

    def check_run(self, run: str, config: Mapping[str, Any]) -> None:
        """Check that a run name is bound to this configuration.

        Raises `ConflictError` as `claim_run`, `NotReadyError` when nothing was made under the name.
        """
        stored = self._read_json(f"manifests/runs/{quote(run, safe='')}.json")
        if stored is None:
            raise NotReadyError(
                f"{self!r} holds no run {run!r}; materialize the asset 'contexts' first."
            )
        _same(f"run {run!r}", stored, config, "give the run (run.name) another name")

    @contextmanager
    def local_copy(self, relative: str) -> Iterator[Path]:
        """A folder of the lake as a local path, downloaded when the lake is remote."""
        if self.local:
            yield Path(self.root) / relative
            return
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            self.fs.get(f"{self.root}/{relative}", folder, recursive=True)
            inner = Path(folder) / Path(relative).name
            yield inner if inner.is_dir() else Path(folder)

    def put_folder(self, source: Path, relative: str) -> None:
        """Publish a local folder under `relative`, whole; one that is there already stays."""
        stage = f"staging/{uuid.uuid4().hex}"
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            path = f"{stage}/{file.relative_to(source).as_posix()}"
            self._make_parent(path)
            self.fs.put_file(str(file), f"{self.root}/{path}")
        if self.exists(relative):
            return
        # A folder that appeared meanwhile is not empty, so the move fails and that one stays.
        with suppress(OSError):
            self._move(stage, relative)

    def exists(self, relative: str) -> bool:
        """Whether a file or folder is there."""
        return bool(self.fs.exists(f"{self.root}/{relative}"))

    def _put(self, path: str, rows: pa.Table) -> None:
        stage = f"staging/{uuid.uuid4().hex}.parquet"
        self._write_parquet(stage, rows, None)
        self._move(stage, path)

    def _write_parquet(self, path: str, rows: pa.Table, table: Table | None) -> int:
        self._make_parent(path)
        bulk = table is not None and table.name == "activations"
        with self.fs.open(f"{self.root}/{path}", "wb") as sink:
            pq.write_table(rows, sink, compression="zstd", **(_ACTIVATIONS if bulk else {}))
            if self.local:
                sink.flush()
                os.fsync(sink.fileno())
        return int(self.fs.size(f"{self.root}/{path}"))

    def _read_json(self, path: str) -> dict[str, Any] | None:
        """A JSON object of the lake; None without the file, `DataError` when it is damaged."""
        try:
            stored = json.loads(self.fs.cat_file(f"{self.root}/{path}"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(
                f"{self.location(path)} is not JSON ({error}); delete it and materialize its "
                "asset again."
            ) from error
        if not isinstance(stored, dict):
            raise DataError(
                f"{self.location(path)} holds {type(stored).__name__}; expected a JSON object. "
                "Delete it and materialize its asset again."
            )
        return stored

    def _write_text(self, path: str, text: str) -> None:
        self._move(self._stage_text(text), path)

    def _create_text(self, path: str, text: str) -> bool:
        """Write a file unless it is there; False when it is. Of several writers one wins."""
        if self.exists(path):
            return False
        stage = self._stage_text(text)
        if not self.local:
            self._move(stage, path)
            return True
        self._make_parent(path)
        try:
            os.link(f"{self.root}/{stage}", f"{self.root}/{path}")
        except FileExistsError:
            return False
        finally:
            os.unlink(f"{self.root}/{stage}")
        return True

    def _stage_text(self, text: str) -> str:
        stage = f"staging/{uuid.uuid4().hex}.json"
        self._make_parent(stage)
        with self.fs.open(f"{self.root}/{stage}", "wb") as sink:
            sink.write(text.encode())
            if self.local:
                sink.flush()
                os.fsync(sink.fileno())
        return stage

    def _make_parent(self, path: str) -> None:
        self.fs.makedirs(f"{self.root}/{path}".rsplit("/", 1)[0], exist_ok=True)

    def _move(self, source: str, target: str) -> None:
        self._make_parent(target)
        if self.local:
            os.replace(f"{self.root}/{source}", f"{self.root}/{target}")
        else:
            self.fs.mv(f"{self.root}/{source}", f"{self.root}/{target}", recursive=True)


_ACTIVATIONS: dict[str, Any] = {
    # 3.09 bytes an activation instead of 3.23 for 0.07 us each, where capturing one takes 7.
    "compression_level": 9,
    "use_dictionary": False,
    "column_encoding": {
        "latent": "DELTA_BINARY_PACKED",
        "position": "DELTA_BINARY_PACKED",
        "activation": "BYTE_STREAM_SPLIT",
    },
    "row_group_size": 122_880,
}


def _protocols(fs: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _folder(table: str, keys: Mapping[str, str | int]) -> str:
    parts = [f"{key}={quote(str(value), safe='')}" for key, value in keys.items()]
    return "/".join([table, *parts])


def _empty_file(table: Table) -> str:
    keys = {key.name: "0" if pa.types.is_integer(key.type) else "_" for key in table.keys}
    return f"{_folder(table.name, keys)}/empty.parquet"


def _manifest(path: str, stored: Mapping[str, Any]) -> Manifest:
    if stored.get("schema_version") != SCHEMA_VERSION:
        raise ConflictError(
            f"{path} has schema_version = {stored.get('schema_version')!r}; this version reads "
            f"{SCHEMA_VERSION}. Use the version that wrote it, or another lake (run.lake)."
        )
    return Manifest(**stored)


def _manifest_path(unit: Unit) -> str:
    return f"manifests/{_folder(unit.table, unit.keys)}/{unit.name}.json"


def _same(what: str, stored: Mapping[str, Any], wanted: Mapping[str, Any], way_out: str) -> None:
    """Raise `ConflictError` for the first setting in which two configurations differ."""
    wanted = json.loads(json.dumps(dict(wanted)))
    for setting in sorted(set(stored) | set(wanted)):
        if stored.get(setting) != wanted.get(setting):
            raise ConflictError(
                f"{what} in the lake was made with {setting} = {stored.get(setting)!r}, now "
                f"{setting} = {wanted.get(setting)!r} is asked for; {way_out}, or restore the "
                "setting."
            )


def read_parquet(lake: Lake, locations: list[str], columns: list[str] | None = None) -> pa.Table:
    """Rows of published files; raises `DataError` naming a file that cannot be read."""
    parts = []
    for location in locations:
        try:
            with lake.fs.open(location, "rb") as source:
                parts.append(pq.ParquetFile(source).read(columns=columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(
                f"{location} cannot be read as Parquet ({error}); delete it together with its "
                "manifest under manifests/ and materialize its asset again."
            ) from error
    return pa.concat_tables(parts)
