"""A folder with all that the demo needs at a tiny scale, and the demo run in it as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from delphi_assets.lake.database import connect
from delphi_assets.lake.schema import TABLES

ROOT = Path(__file__).parents[2]
RUN, HOOKPOINT = "tiny", "layers.0"
UNREPEATABLE = {"written_at", "generation", "latency"}
"""Columns that differ between two runs that did the same."""


def make_project(
    folder: Path, hookpoints: Sequence[str] = (HOOKPOINT,), expansion_factor: int = 3
) -> Path:
    """Lay model, corpus and profile in `folder`; its coders are trained by the run itself.

    A coder has 16 * `expansion_factor` latents; 48 all have enough examples to be explained, 144
    are more than share a file of explanations or predictions.
    """
    from tests.parts.tiny_parts import WORDS, make_model

    model = make_model(folder / "model", "llama")
    corpus = folder / "corpus"
    corpus.mkdir()
    for number in range(160):
        text = f"{number}: {WORDS[number % 5]}, {WORDS[number * 7 % 4]}"
        (corpus / f"{number:03d}.txt").write_text(text, encoding="utf-8")
    sections: dict[str, dict[str, object]] = {
        "run": {"name": RUN},
        "model": {"name": str(model), "dtype": "float32", "device": "cpu"},
        "corpus": {"dataset_repo": str(corpus)},
        "cache": {
            "n_tokens": 2_048,
            "cache_ctx_len": 32,
            "batch_size": 16,
            "hookpoints": list(hookpoints),
            "shard_tokens": 1_024,
            "n_buckets": 2,
        },
        "coder": {
            "sparse_model": "embedded:train",
            "expansion_factor": expansion_factor,
            "k": 4,
            "train_tokens": 1_024,
            "epochs": 2,
            "train_batch": 256,
        },
        "selection": {
            "example_ctx_len": 8,
            "min_examples": 8,
            "n_examples_train": 4,
            "n_examples_test": 4,
            "n_non_activating": 4,
            "n_quantiles": 2,
        },
        "explain": {"explainer": "lexical", "explainer_model": "lexical"},
        "score": {"scorer_model": "lexical", "controls": ["shuffled"]},
    }
    lines = [
        line
        for name, settings in sections.items()
        for line in (
            f"[{name}]",
            *(f"{key} = {json.dumps(value)}" for key, value in settings.items()),
        )
    ]
    (folder / "tiny.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder


def environment(folder: Path, name: str = "lake") -> dict[str, str]:
    """The environment of a process that works in a project, on the lake of that name."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DELPHI_ASSETS_PROFILE": str(folder / "tiny.toml"),
        "DELPHI_ASSETS_LAKE": str(folder / name),
        "DAGSTER_HOME": str(folder / f"dagster-{name}"),
        "HF_HUB_OFFLINE": "1",
    }


def run_demo(
    folder: Path, name: str = "lake", start: Sequence[str] = ("-m", "dagster_project.demo")
) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end, whatever that is."""
    return subprocess.run(
        [sys.executable, *start],
        cwd=folder,
        env=environment(folder, name),
        capture_output=True,
        text=True,
        check=False,
    )


def contents(folder: Path, name: str = "lake") -> dict[str, pa.Table]:
    """Every table of a lake in a fixed order, without the columns that no two runs share."""
    found: dict[str, pa.Table] = {}
    with connect(folder / name) as con:
        for table in TABLES.values():
            order = [(column, "ascending") for column in table.identity]
            rows = con.table(table.name).to_arrow_table()
            kept = [column for column in rows.column_names if column not in UNREPEATABLE]
            found[table.name] = rows.select(kept).sort_by(order).combine_chunks()
    return found
