"""Export of runs in Delphi's layout, from lakes of random or chosen activations."""

import json
import resource
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from delphi_assets.delphi_runs.run_export import export_run
from delphi_assets.errors import DataError, NotReadyError, StorageError
from delphi_assets.lake.database import connect
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import EXPLANATIONS
from tests.parts.random_lake import (
    HOOKPOINT,
    profile_of,
    random_lake,
    write_activations,
    write_corpus,
)

pytestmark = pytest.mark.slow


def test_exported_files_are_as_delphi_writes_them(tmp_path: Path) -> None:
    """A run of several token shards and buckets; its short last context is left out."""
    made = random_lake(tmp_path / "lake", n_tokens=1_000, ctx_len=32, num_latents=12, n_buckets=3)
    report = export_run(made.lake, "random", tmp_path / "out")
    assert report.facts["tokens_left_out"] == 1_000 % 32
    folder = tmp_path / "out" / "latents" / HOOKPOINT
    names = ["0_3.safetensors", "4_7.safetensors", "8_11.safetensors", "config.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    found: dict[int, dict[int, float]] = {latent: {} for latent in range(12)}
    for first in (0, 4, 8):
        held = load_file(folder / f"{first}_{first + 3}.safetensors")
        assert (held["locations"].dtype, held["activations"].dtype) == (np.uint16, np.float16)
        assert held["tokens"].ravel().tolist() == made.tokens[: 31 * 32]
        assert held["locations"].tolist() == sorted(held["locations"].tolist())
        for (context, offset, latent), value in zip(
            held["locations"].tolist(), held["activations"].tolist(), strict=True
        ):
            found[first + latent][context * 32 + offset] = value
    for latent, values in made.fired.items():
        assert found[latent] == {p: value for p, value in values.items() if p < 31 * 32}
    config = json.loads((folder / "config.json").read_text())
    assert (config["cache_ctx_len"], config["n_splits"], config["n_tokens"]) == (32, 3, 31 * 32)


def small_lake(folder: Path, fired: dict[int, dict[int, float]], n_contexts: int = 2) -> Lake:
    """A run of contexts of 32 tokens and two latents, one a bucket."""
    lake, profile = Lake(folder), profile_of(n_tokens=32 * n_contexts, ctx_len=32, n_buckets=2)
    write_corpus(lake, profile, [1] * 32 * n_contexts)
    write_activations(lake, profile, fired, num_latents=2)
    return lake


def test_single_precision_is_rounded(tmp_path: Path) -> None:
    """As Delphi rounds it; what would be zero is left out and counted."""
    lake = small_lake(tmp_path / "lake", {0: {3: 1e-9, 5: 0.1}, 1: {40: 2.0}})
    report = export_run(lake, "random", tmp_path / "out")
    assert (report.rows, report.facts["activations_left_out"]) == (2, 1)
    held = load_file(tmp_path / "out" / "latents" / HOOKPOINT / "0_0.safetensors")
    assert held["locations"].tolist() == [[0, 5, 0]]
    assert held["activations"].tolist() == [float(np.float16(0.1))]


def test_an_activation_above_half_precision_is_refused(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", {0: {3: 1.0}, 1: {40: 7e4}})
    with pytest.raises(DataError, match=r"latent 1 .*70000\.0 at position 40.*65504"):
        export_run(lake, "random", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


@pytest.mark.parametrize("table", ["contexts", "activations"])
def test_a_changed_file_is_not_exported(tmp_path: Path, table: str) -> None:
    """Of the same size, so that only its hash tells."""
    lake = small_lake(tmp_path / "lake", {0: {3: 1.0}, 1: {40: 2.0}})
    path = Path(lake.root, lake.manifests(table)[-1].files[0].path)
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{table}.*is not as it was written"):
        export_run(lake, "random", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_bucket_is_named(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", {0: {3: 1.0}, 1: {40: 2.0}})
    manifests = Path(lake.root, "manifests", "activations", "run=random", f"hookpoint={HOOKPOINT}")
    (manifests / "bucket=0" / "all.json").unlink()
    with pytest.raises(NotReadyError, match="1 of 2 buckets"):
        export_run(lake, "random", tmp_path / "out")


@pytest.mark.parametrize("size", [4_000, 10_000])
def test_without_room_nothing_is_left(tmp_path: Path, size: int) -> None:
    """Files may have `size` bytes: a split file has 8,000, the text of an explanation 20,000."""
    lake = small_lake(tmp_path / "lake", {0: {3: 1.0}, 1: {40: 2.0}}, n_contexts=32)
    row = {
        "explanation_id": "x",
        "latent": 1,
        "selection": "default",
        "explainer": "mine",
        "explainer_model": "none",
        "explanation": "word " * 4_000,
    }
    keys = {"run": "random", "hookpoint": HOOKPOINT}
    lake.append(EXPLANATIONS, keys, EXPLANATIONS.from_rows([row]))
    connect(lake).close()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"out cannot be written .*File too large"):
            export_run(lake, "random", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
    export_run(lake, "random", tmp_path / "out")
