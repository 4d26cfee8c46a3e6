"""Versions of data and code in manifests, those of earlier ones among them."""

import json
from pathlib import Path

import pytest

from delphi_assets.lake.code_versions import CODE_VERSIONS, unsaid
from delphi_assets.lake.lake import File, Lake, Manifest, Unit
from delphi_assets.lake.schema import INTERMEDIATE, TABLES
from delphi_assets.lake.versions import changes, code_versions, data_version, data_versions
from tests.lake.test_lake import rows

UNIT = Unit("vocabulary", {"run": "r"})


def publish(lake: Lake, *tokens: int, inputs: dict[str, str] | None = None) -> Manifest:
    return lake.publish(UNIT, [File(rows(*tokens))], {}, inputs=inputs, versioned=True)


def without_versions(lake: Lake, manifest: Manifest) -> Manifest:
    """The manifest as versions before this one wrote it."""
    stored = json.loads(Path(lake.location(manifest.unit.path)).read_text())
    del stored["code_version"], stored["inputs"]
    return Manifest.read(manifest.unit.path, stored)


def test_every_table_of_manifests_has_a_code_version() -> None:
    """Not below that of rows that say none."""
    written_once = {table.name for table in TABLES.values() if not table.grows}
    assert written_once <= set(CODE_VERSIONS)
    assert set(CODE_VERSIONS) <= written_once | set(INTERMEDIATE)
    assert all(number >= unsaid(table) for table, number in CODE_VERSIONS.items())


def test_the_data_version_is_that_of_the_rows(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    first = publish(lake, 1, 2)
    assert data_version([publish(lake, 1, 2)]) == data_version([first]), "another file"
    assert data_version([publish(lake, 1)]) != data_version([first])
    other = lake.publish(Unit("vocabulary", {"run": "s"}), [File(rows(3))], {})
    assert data_version([first, other]) == data_version([other, first])
    assert data_version([first, other]) != data_version([first])


def test_another_code_and_other_inputs_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path)
    first = publish(lake, 1)
    made_from = {"vocabulary": [first]}
    made = publish(lake, 2, inputs=data_versions(made_from))
    assert changes(made, made_from) == []
    assert changes(made, {"vocabulary": [made]}) == [
        "made from other vocabulary than are there now"
    ]
    monkeypatch.setitem(CODE_VERSIONS, "vocabulary", 2)
    assert changes(made, made_from) == ["code version 1, now 2"]
    assert code_versions([made, publish(lake, 3)]) == (1, 2)


def test_a_manifest_that_says_none_is_of_the_code_of_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And made from what is there, unless that was written again by another code."""
    lake = Lake(tmp_path)
    earlier = without_versions(lake, publish(lake, 1))
    assert (earlier.code, changes(earlier)) == (1, [])
    assert changes(earlier, {"vocabulary": [publish(lake, 2)]}) == []
    monkeypatch.setitem(CODE_VERSIONS, "vocabulary", 2)
    assert changes(earlier) == ["code version 1, now 2"]
    assert changes(earlier, {"vocabulary": [publish(lake, 3)]}) == [
        "code version 1, now 2",
        "made from other vocabulary than are there now",
    ]
