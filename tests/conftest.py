"""Fixtures that the tests share: small real parts, and profiles over them.

The parts come from `tests.parts.tiny_parts`, imported where needed: it imports torch and
transformers.
"""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from delphi_assets.settings import Profile, parse_profile

# A machine may be busy, so no test of a property is too slow. `--hypothesis-profile random` draws
# other values at every run, and prints what repeats a failure.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("fixed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest start first: at the end one process would be left alone with them."""
    slow = {item.path for item in items if "slow" in item.keywords}
    items.sort(key=lambda item: (item.path.parent.name != "whole", item.path not in slow))


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell's background job ignores SIGINT, and so would the processes that tests interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tiny tensors are slower on several threads, much slower on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", params=["gpt_neox", "llama", "gemma3"])
def any_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of each family."""
    from tests.parts.tiny_parts import make_model

    return make_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama whose tokenizer adds BOS."""
    from tests.parts.tiny_parts import make_model

    return make_model(tmp_path_factory.mktemp("tiny_model"), "llama")


@pytest.fixture(scope="session")
def tiny_coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random coders for `tiny_model`: SAEs of layers.0 and layers.1, a transcoder of an MLP."""
    from tests.parts.tiny_parts import make_coder

    folder = tmp_path_factory.mktemp("tiny_coder")
    make_coder(folder, "layers.0", seed=1)
    make_coder(folder, "layers.1", seed=2)
    make_coder(folder, "layers.1.mlp", seed=3, transcode=True, skip_connection=True)
    return folder


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 60 short text files."""
    from tests.parts.tiny_parts import WORDS

    folder = tmp_path_factory.mktemp("corpus")
    for number in range(60):
        text = f"{number}: {WORDS[number % 5]} {WORDS[number * 7 % 5]}"
        (folder / f"{number:03d}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def tiny_profile(
    tmp_path: Path, tiny_model: Path, tiny_coder: Path, tiny_corpus: Path
) -> Callable[..., Profile]:
    """Builds profiles over the tiny parts; `section={...}` changes settings of a section."""

    def build(**changes: dict[str, Any]) -> Profile:
        raw: dict[str, dict[str, Any]] = {
            "run": {"name": "tiny", "lake": str(tmp_path / "lake")},
            "model": {"name": str(tiny_model), "dtype": "float32", "device": "cpu"},
            "corpus": {"dataset_repo": str(tiny_corpus)},
            "cache": {
                "n_tokens": 1_000,
                "cache_ctx_len": 32,
                "batch_size": 5,
                "hookpoints": ["layers.0", "layers.1.mlp"],
                "shard_tokens": 384,
                "n_buckets": 3,
            },
            "coder": {"sparse_model": str(tiny_coder)},
        }
        for section, given in changes.items():
            raw.setdefault(section, {}).update(given)
        return parse_profile({**raw})

    return build
