"""A lake of random rows with two runs, three hookpoints and two selections, and its stages.

`begin_lake` writes what a model would have: contexts, activations, weights. One hookpoint has a
bucket without activations. `finish_lake` runs every stage that needs no model and `show_lake` what
shows results, with the DuckDB that is installed. `leave_one_run` makes the lake in which DuckDB 2.0
loses rows: one run, beside partitions without rows, which a join on `run` does not read.
"""

import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.parts.engine_queries import HOOKPOINTS, NOWHERE, RUNS, SELECTIONS
from delphi_assets.explainers.explanations import explain
from delphi_assets.explorer.writing import write_explorer
from delphi_assets.exports.hookpoint import ExportedHookpoint
from delphi_assets.exports.table import export_table
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import TABLES
from delphi_assets.latent_ranges import ALL
from delphi_assets.scorers.predictions import score
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.selection.neighbours import find_neighbours
from delphi_assets.settings import ExplainSettings, NeighbourSettings, Profile, ScoreSettings
from tests.parts.random_lake import VOCABULARY, profile_of, write_activations, write_corpus

N_TOKENS, CTX_LEN, N_LATENTS, N_BUCKETS = 2_048, 32, 16, 4
"""Few, as every engine runs every stage several times."""
_SELECTION = {
    "example_ctx_len": 16,
    "n_examples_train": 6,
    "n_examples_test": 8,
    "n_non_activating": 8,
    "n_quantiles": 4,
    "min_examples": 6,
}
_OTHER_SELECTION = {
    "name": SELECTIONS[1],
    "seed": 3,
    "train_type": "random",
    "center_examples": True,
}


def profile_at(run: str, hookpoint: str) -> Profile:
    """The settings of a place."""
    selection = {**_SELECTION, "name": SELECTIONS[0]}
    return profile_of(N_TOKENS, CTX_LEN, N_BUCKETS, run, hookpoint, **selection)


def begin_lake(root: Path, seed: int) -> None:
    """Contexts, activations and weights of every place."""
    chance, lake = random.Random(seed), Lake(root)
    values = [number / 64 for number in range(1, len(RUNS) * len(HOOKPOINTS) * N_TOKENS * 8)]
    chance.shuffle(values)
    for run in RUNS:
        profile = profile_at(run, HOOKPOINTS[0])
        lake.claim_run(run, profile.run_config())
        write_corpus(lake, profile, [chance.randrange(VOCABULARY) for _ in range(N_TOKENS)])
        for hookpoint in HOOKPOINTS:
            fired = _fired(chance, values)
            write_activations(lake, profile_at(run, hookpoint), fired, N_LATENTS)


def _fired(chance: random.Random, values: list[float]) -> dict[int, dict[int, float]]:
    """Activation by position, by latent, none twice; those of the first bucket never fire."""
    fired = {}
    for latent in range(N_LATENTS):
        share = 0.0 if latent < N_LATENTS // N_BUCKETS else chance.uniform(0.01, 0.3)
        positions = (place for place in range(N_TOKENS) if chance.random() < share)
        fired[latent] = {place: values.pop() for place in positions}
    return fired


def finish_lake(root: Path) -> None:
    """Every stage without a model, and some calls."""
    lake = Lake(root)
    for run in RUNS:
        for hookpoint in HOOKPOINTS:
            _stages(lake, run, hookpoint)
        calls: list[dict[str, object]] = [
            {
                "request": f"{number:064x}", "role": "explainer", "model": "m", "answer": "x",
                "messages": "[]", "prompt_tokens": number, "completion_tokens": 3, "cost": 0.5,
                "latency": 1.0, "attempts": 1, "error": "timeout" if number % 5 == 0 else None,
                "written_at": datetime(2026, 1, 1, tzinfo=UTC),
            }
            for number in range(40)
        ]  # fmt: skip
        table = TABLES["completions"]
        full = [{name: call.get(name) for name in table.arrow.names} for call in calls]
        lake.append(table, {"run": run}, table.from_rows(full))


def leave_one_run(finished: Path, root: Path) -> None:
    """A copy with the first run only, and a file without rows of another run in every table."""
    shutil.copytree(finished, root)
    for folder in sorted(root.rglob(f"run={RUNS[1]}")):
        shutil.rmtree(folder)
    for table in TABLES.values():
        keys = (
            f"{key.name}={0 if pa.types.is_integer(key.type) else NOWHERE}" for key in table.keys
        )
        folder = root.joinpath(table.name, *keys)
        folder.mkdir(parents=True)
        pq.write_table(table.arrow.empty_table(), folder / "none.parquet")


def show_lake(root: Path, scratch: Path) -> None:
    """The explorer and an export of a finished lake, which ask many statements."""
    lake = Lake(root)
    write_explorer(lake, scratch / "site")
    with ExportedHookpoint(lake, RUNS[0], HOOKPOINTS[1]) as source:
        export_table(source, scratch / "table.parquet")


def _stages(lake: Lake, run: str, hookpoint: str) -> None:
    profile = profile_at(run, hookpoint)
    other = profile.selection.model_copy(update=_OTHER_SELECTION)
    find_neighbours(profile, lake, hookpoint, "co-occurrence", NeighbourSettings())
    describe_latents(profile, lake, hookpoint)
    for selection in (profile.selection, other):
        select_examples(profile, lake, hookpoint, selection)
        explained = ExplainSettings(explainer="lexical")
        explain(profile, lake, hookpoint, ALL, explained, selection.name)
        scored = ScoreSettings(scorers=("detection", "fuzz"))
        score(profile, lake, hookpoint, ALL, scored, selection.name)
