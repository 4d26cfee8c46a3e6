"""Captures that are killed at random times, run at once, or run out of room, end with the tables of
an undisturbed run."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.lake.lake import Lake, read_parquet
from delphi_assets.settings import Profile
from tests.parts.capturing import KILLS

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


@pytest.fixture
def profile(tiny_profile: Callable[..., Profile]) -> Profile:
    """Many small shards, so that much of the time goes into publishing."""
    return tiny_profile(cache={"shard_tokens": 32, "batch_size": 2})


@pytest.fixture
def lake(profile: Profile) -> Lake:
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    for hookpoint in profile.cache.hookpoints:
        prepare_coder(profile, lake, hookpoint)
    return lake


def run(profile: Profile, folder: Path, *program: str, under: Sequence[str] = ()) -> dict[str, Any]:
    """What a program says in a process of its own."""
    (folder / "profile.json").write_text(profile.model_dump_json())
    done = subprocess.run(
        [*under, sys.executable, "-m", *program, str(folder / "profile.json")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-30000:]
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def table(lake: Lake, run_name: str, hookpoint: str) -> list[dict[str, Any]]:
    rows = read_parquet(lake, lake.files("activations", run=run_name, hookpoint=hookpoint))
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def undisturbed(profile: Profile, lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """The tables of the same profile in a lake of its own."""
    other = Lake(f"{lake.root}-undisturbed")
    build_contexts(profile, other)
    for hookpoint in profile.cache.hookpoints:
        prepare_coder(profile, other, hookpoint)
    capture(profile, other, range(profile.n_shards))
    for hookpoint in profile.cache.hookpoints:
        merge_shards(profile, other, hookpoint)
    return {name: table(other, "tiny", name) for name in profile.cache.hookpoints}


def test_killed_at_random_times(profile: Profile, lake: Lake, tmp_path: Path) -> None:
    said = run(profile, tmp_path, "tests.parts.capturing", "killed")
    assert said["kills"] >= KILLS
    for hookpoint in profile.cache.hookpoints:
        expected = table(lake, "undisturbed", hookpoint)
        assert expected
        for name in said["runs"]:
            assert table(lake, name, hookpoint) == expected
    assert not list(Path(lake.root, "captured").rglob("*.parquet"))


def test_two_write_different_shards_while_a_third_reads(
    profile: Profile, lake: Lake, tmp_path: Path
) -> None:
    said = run(profile, tmp_path, "tests.parts.capturing", "together")
    assert said["ends"] == [0, 0, 0, 0]
    expected = undisturbed(profile, lake)
    for hookpoint, rows in expected.items():
        assert table(lake, "tiny", hookpoint) == rows
    units, counts = zip(*said["reads"], strict=True)
    assert sorted(units) == list(units)
    assert len(set(units)) > 2, "the reader looked while shards were published"
    assert sorted(counts) == list(counts)
    assert counts[0] == 0
    assert counts[-1] <= sum(map(len, expected.values()))


def test_two_write_the_same_shards(profile: Profile, lake: Lake, tmp_path: Path) -> None:
    assert run(profile, tmp_path, "tests.parts.capturing", "same")["ends"] == [0, 0, 0]
    for hookpoint, rows in undisturbed(profile, lake).items():
        assert table(lake, "tiny", hookpoint) == rows


def test_a_full_disk_loses_nothing(
    profile: Profile, tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    under = ["unshare", "--mount", "--map-root-user"]
    try:
        subprocess.run([*under, "mount", "-t", "tmpfs", "none", tmp_path], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk needs a mount namespace, which this machine refuses: {error}")
    Path(profile.run.lake).mkdir()
    said = run(profile, tmp_path, "tests.parts.full_disk", under=under)
    for table_name in ("captured", "activations"):
        told = said[table_name]
        assert "cannot be written" in told["error"]
        assert "No space left on device" in told["error"]
        assert "What was published before is kept" in told["error"]
        assert told["staged"] == []
    assert 0 < len(said["captured"]["published"]) < 2 * profile.n_shards
    kept = Lake(f"{profile.run.lake}-kept")
    for hookpoint, rows in undisturbed(profile, Lake(tmp_path / "other")).items():
        assert table(kept, "tiny", hookpoint) == rows
