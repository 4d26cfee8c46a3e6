"""A selection that an earlier version began goes on as it was begun; a new one by today's rules."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from delphi_assets.lake.lake import Lake
from delphi_assets.selection.examples import choose_examples, select_examples
from delphi_assets.settings import load_profile
from tests.parts.kept_lake import unpack

pytestmark = pytest.mark.slow

HOOKPOINT = "layers.0"


@pytest.mark.parametrize("lost", ["bucket-00000", "bucket-00001"])
def test_what_is_missing_is_drawn_as_the_rest_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """A bucket of version 3 that is lost comes back row by row, with its keys and its gaps."""
    monkeypatch.chdir(unpack(3, tmp_path))
    profile = load_profile("profile.toml")
    lake = Lake(profile.run.lake)
    folder = Path("lake/examples/run=kept/hookpoint=layers.0/selection=default")
    stored = pq.read_table(folder / f"{lost}.parquet", partitioning=None)
    (folder / f"{lost}.parquet").unlink()
    assert select_examples(profile, lake, HOOKPOINT, profile.selection).new_rows == stored.num_rows
    assert stored.num_rows > 0
    (manifest,) = (
        one
        for one in lake.manifests("examples", run="kept", hookpoint=HOOKPOINT)
        if one.name == lost
    )
    (location,) = lake.checked("examples", manifest.files)
    again = pq.read_table(location, partitioning=None)
    assert again.select(stored.column_names) == stored


def test_a_new_selection_is_drawn_by_the_new_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same seed and settings: other windows, and test windows apart from train documents."""
    monkeypatch.chdir(unpack(3, tmp_path))
    profile = load_profile("profile.toml")
    lake = Lake(profile.run.lake)
    before = {"split_documents": False, "draw_by_hookpoint": False, "semantic_gap": 0}
    earlier, later = (
        choose_examples(profile, lake, HOOKPOINT, profile.selection.model_copy(update=changes))
        for changes in (before, {})
    )
    folder = Path("lake/examples/run=kept/hookpoint=layers.0/selection=default")
    stored = pa.concat_tables(
        pq.read_table(folder / f"bucket-0000{number}.parquet", partitioning=None)
        for number in range(2)
    )
    assert earlier.select(stored.column_names) == stored
    assert later["position"] != earlier["position"]
