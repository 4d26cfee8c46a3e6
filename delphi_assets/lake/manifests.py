"""Manifests: what is known of a published unit, and whether its files still are what they were.

In: what a stage wrote, as `Unit`, settings and facts. Out: a JSON file a unit, read back as
`Manifest`. A manifest names every file with its size and SHA-256, so that a file that was cut,
lost or changed since is noticed before it is read as data.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from delphi_assets.errors import ConflictError, DataError
from delphi_assets.ground.library_version import library_version
from delphi_assets.lake.code_versions import CODE_VERSIONS, unsaid
from delphi_assets.lake.schema import FIRST_VERSION, SCHEMA_VERSION
from delphi_assets.settings import with_earlier

_MOVING = ("staged", "replaced")
"""Fields of a manifest whose files are not in place; older versions do not know them."""

Scalar = str | int | float | bool | None

FINGERPRINT = "coder_fingerprint"
"""Name of the coder's fingerprint among the facts of `weights` and of what was captured with it."""

DRAWN_FROM = "non_activating_source.neighbours"
"""Name of the hashes of the neighbours' files, by method, among the settings of `examples`."""

TOKENS = "tokens_sha256"
"""Name of the hash of a shard's tokens among the facts of `contexts`."""


class Unit(NamedTuple):
    """What one `publish` writes: e.g. the activations of a hookpoint from one token shard."""

    table: str
    keys: Mapping[str, str | int]
    name: str = "all"

    def __str__(self) -> str:
        keys = ", ".join(f"{key}={value}" for key, value in self.keys.items())
        return f"{self.table} ({keys}) {self.name}"

    @property
    def path(self) -> str:
        """Where its manifest is, relative to the lake's root."""
        return f"manifests/{folder_of(self.table, self.keys)}/{self.name}.json"


class StoredFile(NamedTuple):
    """A published file: path relative to the lake's root, size, SHA-256 of its content."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is known of a published unit."""

    table: str
    keys: dict[str, Scalar]
    name: str
    rows: int
    files: list[StoredFile]
    config: dict[str, Any]
    facts: dict[str, Any]
    schema_version: int
    written_at: str
    staged: dict[str, str] = field(default_factory=dict)
    """Where files are that may not be in place yet, by their paths; empty once they are."""
    replaced: list[str] = field(default_factory=list)
    """Files that may not have made room yet; empty once they have."""
    code_version: int | None = None
    """Of the code that made the rows (`lake.code_versions`); None where it was not noted."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Data versions of what the rows were made from, by table, as far as they are noted."""
    written_with: str | None = field(default=None, compare=False)
    """Version of this library; None where it was not noted. For people: nothing goes by it."""

    @classmethod
    def of(
        cls,
        unit: Unit,
        rows: int,
        files: list[StoredFile],
        config: Mapping[str, Any],
        facts: Mapping[str, Any],
        *,
        inputs: Mapping[str, str],
    ) -> Self:
        """The manifest of a unit that is published now."""
        return cls(
            table=unit.table,
            keys=dict(unit.keys),
            name=unit.name,
            rows=rows,
            files=files,
            config=dict(config),
            facts=dict(facts),
            schema_version=SCHEMA_VERSION,
            written_at=datetime.now(UTC).isoformat(),
            code_version=CODE_VERSIONS.get(unit.table),
            inputs=dict(inputs),
            written_with=library_version(),
        )

    @classmethod
    def read(cls, path: str, stored: Mapping[str, Any]) -> Self:
        """A manifest from its JSON at `path`; raises `ConflictError` for a version not read.

        What a later version of the library adds to it without another `schema_version` is left out.
        """
        check_version(path, stored)
        try:
            known = {each.name: stored[each.name] for each in fields(cls) if each.name in stored}
            return cls(**{**known, "files": [StoredFile(*file) for file in stored["files"]]})
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{path} is no manifest ({error}); delete it and materialize its asset again."
            ) from error

    def to_json(self) -> str:
        """The manifest as it is stored."""
        held = {name: value for name, value in asdict(self).items() if value or name not in _MOVING}
        return json.dumps(held, indent=1)

    @property
    def in_place(self) -> bool:
        """Whether its files are where it says, see `Lake.publish`."""
        return not self.staged and not self.replaced

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Raise `ConflictError` for a setting in which it differs from `config`."""
        other = "selection (selection.name)" if "selection" in self.keys else "run (run.name)"
        check_same(str(self.unit), self.config, config, f"give the {other} another name")

    @property
    def unit(self) -> Unit:
        """The unit it describes."""
        return Unit(self.table, {key: str(value) for key, value in self.keys.items()}, self.name)

    @property
    def code(self) -> int:
        """Version of the code that made its rows."""
        return unsaid(self.table) if self.code_version is None else self.code_version

    @property
    def content(self) -> str:
        """What tells its rows from others: of contexts their tokens, else its files' hashes."""
        tokens = self.facts.get(TOKENS)
        return str(tokens) if tokens else " ".join(file.sha256 for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of its files."""
        return sum(file.bytes for file in self.files)


def check_version(where: str, stored: Mapping[str, Any]) -> int:
    """The version of what is stored; raises `ConflictError` for one that is not read."""
    version: object = stored.get("schema_version")
    if isinstance(version, int) and FIRST_VERSION <= version <= SCHEMA_VERSION:
        return version
    raise ConflictError(
        f"{where} has schema_version = {version!r}; this version of delphi-assets reads "
        f"{FIRST_VERSION} to {SCHEMA_VERSION}. Use the version that wrote it, or another lake "
        "(run.lake)."
    )


def folder_of(table: str, keys: Mapping[str, str | int]) -> str:
    """Folder of a table under path keys, hive style, relative to the lake's root."""
    parts = [f"{key}={quote(str(value), safe='@')}" for key, value in keys.items()]
    return "/".join([table, *parts])


def check_same(
    what: str, stored: Mapping[str, Any], wanted: Mapping[str, Any], way_out: str
) -> None:
    """Raise `ConflictError` for the first setting in which two configurations differ.

    A setting that was not there yet counts as what was done before it.
    """
    for different in differences(stored, wanted):
        raise ConflictError(
            f"{what} in the lake was made with {different} is asked for; {way_out}, or restore "
            "the setting."
        )


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """Each setting in which two configurations differ, with both values.

    A setting that was not there yet counts as what was done before it.
    """
    wanted = json.loads(json.dumps(dict(wanted)))
    stored = with_earlier(stored, wanted)
    for setting in sorted(set(stored) | set(wanted)):
        if stored.get(setting) != wanted.get(setting):
            yield (f"{setting} = {stored.get(setting)!r}, now {setting} = {wanted.get(setting)!r}")
