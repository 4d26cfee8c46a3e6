"""Every benchmark runs: tiny inputs, and numbers with units come out."""

import json
import logging
import math
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save_file

from benchmarks import __main__ as runner
from benchmarks.delphi_windows import SETTINGS, WINDOWS, select
from benchmarks.parts.record import RESULTS
from benchmarks.parts.windows_compared import HERE
from delphi_assets import connect
from delphi_assets.caching.planting.predicates import read_predicates
from delphi_assets.delphi_runs.run_export import export_run
from delphi_assets.delphi_runs.run_import import import_run
from delphi_assets.lake.lake import Lake
from delphi_assets.llm.calls import attempts
from delphi_assets.runs.library import run as run_step
from delphi_assets.runs.order import steps
from delphi_assets.runs.planting import plant_run
from delphi_assets.settings import load_profile
from tests.parts.random_lake import HOOKPOINT, RUN, random_lake
from tests.parts.tiny_project import make_project

pytestmark = pytest.mark.slow

PREDICATES = """
[[predicate]]
name = "token"
kind = "words"
words = ["token", "tokens"]
text = 'The word "token" or "tokens".'
wrong.sibling = 'The word "context".'

[[predicate]]
name = "after-a"
kind = "after"
words = ["a"]
text = 'The word directly after "a".'
wrong.sibling = 'The word directly after "the".'
"""

ELSEWHERE = {"delphi_reads": "delphi", "explainer_prompts": "delphi"}
"""Benchmarks that need a package which is not among the project's, by what it is imported as."""


class Made(NamedTuple):
    """What benchmarks read here."""

    lake: Path
    cache: Path
    """The lake as a run of Delphi's, and of that the folder `latents`."""
    scratch: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Made:
    """Latent 11 fires nearly everywhere, so that it has windows enough for every count.

    The cache names a model that there is: its tokenizer is asked.
    """
    folder = tmp_path_factory.mktemp("benchmarks")
    random_lake(folder / "lake", n_tokens=13_000, ctx_len=64)
    export_run(Lake(folder / "lake"), RUN, folder / "run")
    config = folder / "run" / "latents" / HOOKPOINT / "config.json"
    said = {**json.loads(config.read_text(encoding="utf-8")), "model_name": str(tiny_model)}
    config.write_text(json.dumps(said), encoding="utf-8")
    return Made(folder / "lake", folder / "run" / "latents", folder / "scratch")


def _nothing(made: Made) -> list[str]:
    return []


def _windows(made: Made) -> list[str]:
    """What is here stands for what Delphi would have written."""
    folder, lake = made.scratch / "windows", Lake(made.scratch / "windows" / "lake")
    said = {"hookpoint": HOOKPOINT, "latents": 12, "strongest": 50, "min_examples": 100}
    folder.mkdir(parents=True)
    (folder / SETTINGS).write_text(json.dumps({**said, "delphi": "none"}), encoding="utf-8")
    select(made.cache, lake, said)
    with connect(lake) as con:
        con.execute(HERE, {"hookpoint": HOOKPOINT, "latents": 12})
        theirs = con.sql("select * exclude latent_max from here")
        theirs.write_parquet(str(folder / WINDOWS))
    return ["compare", str(made.cache), str(folder)]


def _prompts(made: Made) -> list[str]:
    """The profile of an imported run."""
    imported = import_run(made.cache, Lake(made.scratch / "prompts"), "benchmark")
    return ["--profile", str(imported.facts["profile"]), "--latents", "11"]


def _saelens(made: Made) -> list[str]:
    """A JumpReLU coder as SAELens saves one, and what its definition gives."""
    folder = made.scratch / "saelens"
    (folder / "jumprelu").mkdir(parents=True)
    draw = torch.Generator().manual_seed(0)
    x, into, out = (torch.randn(shape, generator=draw) for shape in ((40, 8), (8, 32), (32, 8)))
    names = ("b_enc", "b_dec", "threshold")
    vectors = {name: torch.full((8 if name == "b_dec" else 32,), 0.5) for name in names}
    tensors = {"W_enc": into, "W_dec": out, **vectors}
    save_file(tensors, folder / "jumprelu" / "sae_weights.safetensors")
    config = {"architecture": "jumprelu", "d_in": 8, "d_sae": 32, "apply_b_dec_to_input": False}
    (folder / "jumprelu" / "cfg.json").write_text(json.dumps(config), encoding="utf-8")
    read = x @ into + 0.5
    fired = read * (read > 0.5)
    torch.save(x, folder / "x.pt")
    expected = {"activations": fired, "rebuilt": fired @ out + 0.5}
    torch.save(expected, folder / "jumprelu" / "expected.pt")
    return ["read", str(folder)]


def _planted(scratch: Path) -> Path:
    """A lake with a planted run of two latents, up to its windows."""
    scratch.mkdir(parents=True)
    folder = make_project(scratch)
    (folder / "own.toml").write_text(PREDICATES, encoding="utf-8")
    lake, profile = Lake(folder / "lake"), load_profile(str(folder / "tiny.toml"))
    for step in steps(profile, "contexts"):
        run_step(profile, lake, step)
    run = plant_run(profile, lake, "planted", read_predicates(folder / "own.toml"))
    profile = load_profile(run.profile_file)
    for step in steps(profile, "examples"):
        run_step(profile, lake, step)
    return folder / "lake"


def _truth(made: Made) -> list[str]:
    lake = _planted(made.scratch / "truth")
    parts = ["metrics", "texts", "lexical", "explainers", "embedding"]
    return ["--lake", str(lake), "--latents", "2", "--parts", *parts]


def _planted_coverage(made: Made) -> list[str]:
    lake = _planted(made.scratch / "coverage")
    return [str(lake), "--latents", "2", "--draws", "2"]


def _explainer_prompts(made: Made) -> list[str]:
    lake = _planted(made.scratch / "explainer_prompts")
    model = ["--model", "local/smollm2-135m", "--delphi", sys.executable]
    return [str(lake), *model, "--latents", "3"]


def _routes(made: Made) -> list[str]:
    lake = _planted(made.scratch / "routes")
    return [str(lake), "--run", "planted", "--hookpoint", "planted", "--recall", "0"]


def _fixed(line: str) -> Callable[[Made], list[str]]:
    return lambda made: line.format(**made._asdict()).split()


OPTIONS: dict[str, Callable[[Made], list[str]]] = {
    "bad_input": _fixed("--mutants 3"),
    "capture": _fixed("--tokens 2048 --width 256 --k 8 --d-model 64 --repeats 1"),
    "delphi_reads": _fixed("read {scratch}/delphi"),
    "delphi_windows": _windows,
    "engines": _fixed(
        "installed= installed-off= --queries 10 --tries 1 --threads 2 --without-statements"
    ),
    "examples": _fixed("--delphi-cache {cache} --min-examples 100"),
    "explorer": _fixed("--latents 200 --with-windows 5"),
    "explainer_prompts": _explainer_prompts,
    "imports": _nothing,
    "interval_coverage": _fixed("--explanations 5 --hookpoints 2"),
    "llm": _fixed("--processes 1 --calls 20 --rounds 1 --memory-calls 50 --stored 50"),
    "llm_faults": _fixed("--questions 42 --max-concurrent 16 --first-pause 0.02"),
    "neighbours": _fixed("--delphi-cache {cache} --n-neighbours 5"),
    "planted_coverage": _planted_coverage,
    "prompts": _prompts,
    "questions": _fixed("{lake} --repeats 1"),
    "reading": _fixed("{lake} --run random --hookpoint layers.0 --latents 3"),
    "routes": _routes,
    "saelens_reads": _saelens,
    "truth": _truth,
}


def test_every_benchmark_is_tried() -> None:
    assert set(OPTIONS) == set(runner.benchmarks())


@pytest.mark.parametrize("name", OPTIONS)
def test_it_measures(name: str, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    package = ELSEWHERE.get(name)
    if package and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    kept, before = [*RESULTS.rglob("*.json")], process_wide()
    assert runner.main([name, *OPTIONS[name](made)]) == 0
    numbers = _numbers(capsys)
    assert numbers
    for number in numbers.values():
        values = number["value"] if isinstance(number["value"], list) else [number["value"]]
        assert number["unit"]
        assert all(math.isfinite(value) for value in values)
    assert [*RESULTS.rglob("*.json")] == kept
    assert process_wide() == before, "what comes after in this process finds it as it was"


def process_wide() -> tuple[object, ...]:
    """What a benchmark may change while it runs."""
    told = {name: os.environ.get(name) for name in ("OPENAI_API_KEY", "TQDM_DISABLE")}
    return told, logging.root.manager.disable, attempts.FIRST_PAUSE, sys.stderr


def test_neighbours_by_weights_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["neighbours", "--width", "64", "--d-model", "16", "--n-neighbours", "5"]
    assert runner.main(given) == 0
    assert _numbers(capsys)["layers.0.mlp, decoder: neighbours"] == {
        "value": 320,
        "unit": "neighbours",
    }


def test_what_delphi_is_to_read_is_made(tmp_path: Path) -> None:
    assert runner.main(["delphi_reads", "make", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fired.json", "lake", "run"]


def test_a_difference_without_reason_is_wrong(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    given = _saelens(made._replace(scratch=made.scratch / "other"))
    expected = Path(given[1], "jumprelu", "expected.pt")
    torch.save({name: 2 * of for name, of in torch.load(expected).items()}, expected)
    assert runner.main(["saelens_reads", *given]) == 1
    assert json.loads(capsys.readouterr().out)["wrong"] == ["jumprelu differs"]


def _numbers(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(capsys.readouterr().out)["numbers"]
    return found
