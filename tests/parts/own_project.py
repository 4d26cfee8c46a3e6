"""A project as `delphi-assets init` lays it, with a model, a coder and a corpus that are tiny.

python -m tests.parts.own_project FOLDER
"""

import json
import re
import sys
from pathlib import Path

from tests.parts.tiny_parts import WORDS, make_coder, make_model

HOOKPOINT = "layers.1"
TINY: dict[str, dict[str, object]] = {
    "model": {"name": "model"},
    "corpus": {"dataset_repo": "corpus"},
    "cache": {
        "n_tokens": 2_048,
        "cache_ctx_len": 32,
        "batch_size": 16,
        "hookpoints": [HOOKPOINT],
        "shard_tokens": 1_024,
    },
    "coder": {"sparse_model": "coder"},
    "selection": {
        "example_ctx_len": 8,
        "min_examples": 8,
        "n_examples_train": 4,
        "n_examples_test": 4,
        "n_non_activating": 4,
        "n_quantiles": 2,
    },
}


def put_tiny_parts(folder: Path) -> None:
    """Lay model, coder and corpus in the project in `folder`, and put them into its profile."""
    make_model(folder / "model", "llama")
    make_coder(folder / "coder", HOOKPOINT, seed=2)
    (folder / "corpus").mkdir()
    for number in range(160):
        text = f"{number}: {WORDS[number % 5]}, {WORDS[number * 7 % 4]}"
        (folder / "corpus" / f"{number:03d}.txt").write_text(text, encoding="utf-8")
    profile = folder / "profile.toml"
    text = profile.read_text(encoding="utf-8")
    for section, settings in TINY.items():
        for name, value in settings.items():
            text = _changed(text, section, name, value)
    profile.write_text(text, encoding="utf-8")


def _changed(profile: str, section: str, name: str, value: object) -> str:
    before, heading, after = profile.partition(f"\n[{section}]\n")
    line = re.compile(rf"^{name} = (\"[^\"]*\"|\[[^]]*\]|\S+)", re.MULTILINE)
    changed, n = line.subn(f"{name} = {json.dumps(value)}", after, count=1)
    assert n == 1, f"{section}.{name}"
    return before + heading + changed


if __name__ == "__main__":
    put_tiny_parts(Path(sys.argv[1]))
