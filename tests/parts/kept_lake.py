"""A tiny lake of every schema version, kept so that each later version can show that it reads it.

`tests/parts/lakes/v<version>.tar.xz` holds, with relative paths throughout: `lake/`, the
`profile.toml` that made it, and the parts that it was made from (`model/`, `coder/`, `encoder/`,
`corpus/`), so that a stage finds the fingerprints that it stored. Two hookpoints, every table
filled, a table `latents` that was written twice, LLM answers (refusals among them) and what was
computed from them.

A version that changes the schema adds the file of the version before it once, from a checkout of
that version:

    python -m tests.parts.kept_lake tests/parts/lakes/v3.tar.xz
"""

import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.explainers.explanations import explain
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import ALL
from delphi_assets.scorers.predictions import score
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.selection.neighbours import find_neighbours
from delphi_assets.settings import Profile, load_profile
from tests.parts.fault_server import Asked, Reply

KEPT = Path(__file__).parent / "lakes"
PROFILE = """\
[run]
name = "kept"
lake = "lake"
[model]
name = "model"
dtype = "float32"
device = "cpu"
[corpus]
dataset_repo = "corpus"
[cache]
n_tokens = 1_024
cache_ctx_len = 32
batch_size = 16
hookpoints = ["layers.0", "layers.1"]
shard_tokens = 512
n_buckets = 2
[coder]
sparse_model = "coder"
[neighbours]
n_neighbours = 4
[selection]
latents = "0-5, 24-29"
example_ctx_len = 8
min_examples = 6
n_examples_train = 3
n_examples_test = 3
n_non_activating = 3
n_quantiles = 3
non_activating_source = { random = 0.4, co-occurrence = 0.3, semantic = 0.3 }
sentence_encoder = "encoder"
[explain]
explainer = "default"
explainer_model = "openai/kept"
latents = "0-2, 24-26"
[score]
scorers = ["detection", "fuzz", "simulation"]
scorer_model = "openai/kept"
simulation_type = "json"
controls = ["shuffled", "empty"]
num_examples_per_scorer_prompt = 6
[llm]
max_retries = 1
repair = false
"""


def answer(asked: Asked) -> Reply:
    """What the LLM behind the kept answers says: it refuses some, and judges by length."""
    prompt = asked.prompt
    if re.search(r"^Tokens: ", prompt, re.MULTILINE):
        tokens = json.loads(prompt.rsplit("Tokens: ", 1)[1])
        pairs = [[token, len(token) % 11] for token in tokens]
        return Reply(json.dumps({"activations": pairs}))
    if not prompt.startswith("Description"):
        refused = len(prompt) % 5 == 3
        text = "I can't help with that." if refused else f"Texts such as number {len(prompt)}."
        return Reply(text if refused else f"[EXPLANATION]: {text}")
    windows = re.findall(r"Excerpt \d+: (.*?)(?=\n\nExcerpt|\Z)", prompt, re.DOTALL)
    if len(prompt) % 4 == 0:
        return Reply("I'm sorry, but I can't help with that.")
    return Reply(json.dumps({"answers": [len(window) % 2 for window in windows]}))


def run_stages(folder: Path, api_base: str) -> dict[str, StageReport]:
    """Every stage of the profile in `folder`, with LLMs at `api_base`; reports by stage and place.

    The lake is beside the profile, and so are the parts: paths in it are relative.
    """
    with _in(folder):
        profile = _served(load_profile("profile.toml"), api_base)
        lake, reports = Lake(profile.run.lake), {}
        reports["contexts"] = build_contexts(profile, lake)
        for hookpoint in profile.cache.hookpoints:
            prepare_coder(profile, lake, hookpoint)
        reports["captured"] = capture(profile, lake, range(profile.n_shards))
        for hookpoint in profile.cache.hookpoints:
            reports |= {
                f"{stage} {hookpoint}": report
                for stage, report in _stages_of(profile, lake, hookpoint)
            }
    return reports


def _stages_of(profile: Profile, lake: Lake, hookpoint: str) -> Iterator[tuple[str, StageReport]]:
    selection = profile.selection.name
    yield "activations", merge_shards(profile, lake, hookpoint)
    # Twice: what is described before there are neighbours is written again when there are.
    yield "latents before", describe_latents(profile, lake, hookpoint)
    for method in profile.neighbours.methods:
        report = find_neighbours(profile, lake, hookpoint, method, profile.neighbours)
        yield f"neighbours {method}", report
    yield "latents", describe_latents(profile, lake, hookpoint)
    yield "examples", select_examples(profile, lake, hookpoint, profile.selection)
    yield "explanations", explain(profile, lake, hookpoint, ALL, profile.explain, selection)
    yield "predictions", score(profile, lake, hookpoint, ALL, profile.score, selection)


def _served(profile: Profile, api_base: str) -> Profile:
    return profile.model_copy(update={"llm": profile.llm.model_copy(update={"api_base": api_base})})


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def lay_parts(folder: Path) -> None:
    """The profile, and the model, coder, encoder and corpus that it names."""
    from tests.parts.sentence_encoders import make_encoder
    from tests.parts.tiny_parts import WORDS, make_coder, make_model

    make_model(folder / "model", "llama")
    for number, hookpoint in enumerate(("layers.0", "layers.1")):
        make_coder(folder / "coder", hookpoint, seed=number)
    make_encoder(folder / "encoder")
    (folder / "corpus").mkdir()
    for number in range(40):
        text = f"{number}: {WORDS[number % 5]}, {WORDS[number * 7 % 4]}"
        (folder / "corpus" / f"{number:02d}.txt").write_text(text, encoding="utf-8")
    (folder / "profile.toml").write_text(PROFILE, encoding="utf-8")


def unpack(version: int, folder: Path) -> Path:
    """The kept lake of a version with its parts, in a new folder under `folder`."""
    target = folder / f"v{version}"
    shutil.unpack_archive(KEPT / f"v{version}.tar.xz", target, filter="data")
    return target


def _nobodys(file: tarfile.TarInfo) -> tarfile.TarInfo:
    """The file without the name of who made it."""
    file.uid, file.gid, file.uname, file.gname = 0, 0, "", ""
    return file


def main(target: Path) -> None:
    """Make a lake with the code at hand and keep it as `target`."""
    from tests.parts.fault_server import FaultServer

    with tempfile.TemporaryDirectory() as name, FaultServer(answer) as server:
        folder = Path(name)
        lay_parts(folder)
        run_stages(folder, server.url)
        with tarfile.open(target, "w:xz") as kept:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and "staging" not in path.parts:
                    kept.add(path, path.relative_to(folder), filter=_nobodys)
    print(f"{target}: {target.stat().st_size:,} bytes, {len(server.asked)} requests")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
