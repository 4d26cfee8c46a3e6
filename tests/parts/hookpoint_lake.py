"""A project of two hookpoints whose lake is written by hand, and processes that open it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import TABLES
from tests.parts.hand_built import Row, latent, window

ROOT = Path(__file__).parents[2]
RUN, FIRST, SECOND = "hand", "layers.0", "layers.1"
N_LATENTS = 6
PROFILE = f"""
[run]
name = "{RUN}"
[model]
name = "none"
[corpus]
dataset_repo = "none"
[cache]
hookpoints = ["{FIRST}", "{SECOND}"]
n_tokens = 64
shard_tokens = 32
cache_ctx_len = 32
n_buckets = 1
[coder]
sparse_model = "none"
[selection]
example_ctx_len = 8
min_examples = 1
"""


def make_project(folder: Path) -> Path:
    """Lay the profile and a lake with latents and their windows at both hookpoints."""
    (folder / "profile.toml").write_text(PROFILE, encoding="utf-8")
    for hookpoint in (FIRST, SECOND):
        publish(
            folder, hookpoint, "latents", [latent(one, {}, n_activations=3) for one in range(6)]
        )
        publish(folder, hookpoint, "examples", windows(), selection="default")
    return folder


def windows(*more: Row) -> list[Row]:
    """A train and a test window of latent 0."""
    return [
        window(0, 0, "train", 0, [0.0, 1.0]),
        window(0, 1, "test", 8, [0.0, 1.0]),
        *more,
    ]


def publish(folder: Path, hookpoint: str, table: str, rows: Sequence[Row], **keys: str) -> None:
    """Write, or write again, the rows of a table at a hookpoint."""
    schema = TABLES[table]
    full = [{name: row.get(name) for name in schema.arrow.names} for row in rows]
    unit = Unit(table, {"run": RUN, "hookpoint": hookpoint, **keys})
    files = [File(schema.from_rows(full))]
    Lake(folder / "lake").publish(unit, files, config={"n_buckets": 1}, versioned=True)


def environment(folder: Path) -> dict[str, str]:
    """That of a process whose profile, lake and Dagster instance are the project's."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DELPHI_ASSETS_PROFILE": str(folder / "profile.toml"),
        "DELPHI_ASSETS_LAKE": str(folder / "lake"),
        "DAGSTER_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
    }


def told(folder: Path, program: str) -> Any:
    """What a Python program prints last, read as JSON; it runs in the project."""
    return json.loads(_printed(folder, [sys.executable, "-c", program])[-1])


def answered(folder: Path, query: str, module: str = "dagster_project.definitions") -> Any:
    """What the UI's GraphQL answers in the project, of the definitions in a module."""
    command = str(Path(sys.executable).with_name("dagster-graphql"))
    lines = _printed(folder, [command, "-m", module, "-t", query])
    # The code server says there as well when it starts and ends.
    (answer,) = (line for line in lines if line.startswith("{"))
    return json.loads(answer)["data"]


def _printed(folder: Path, command: list[str]) -> list[str]:
    """The lines that a command prints which runs in the project."""
    ended = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout.splitlines()
