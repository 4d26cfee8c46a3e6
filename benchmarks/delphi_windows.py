"""Which windows does Delphi show of a latent, and which ones this project?

    python -m benchmarks delphi_windows delphi CACHE FOLDER     # where eai-delphi is installed
    python -m benchmarks delphi_windows compare CACHE FOLDER    # here

CACHE is the folder `latents` of a run of Delphi. `delphi` imports nothing of the library: it runs
Delphi's LatentDataset, constructor and sampler over the first latents of one hookpoint, and writes
every window to FOLDER. `compare` imports the cache, selects with the same settings, and tells what
must be equal, row for row, with the number of rows and of differences by reason; and what differs
by intent, with numbers and the reason. Wrong is a difference that has no reason, and if nothing was
compared.

Delphi's windows do not say where they are. So each of its tokens becomes token + vocabulary *
position; Delphi only moves tokens. Texts of tokens are not compared.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.parts.record import Measured, Number, of

if TYPE_CHECKING:
    from delphi_assets.lake.lake import Lake

WINDOWS, SETTINGS = "windows.parquet", "settings.json"
N_QUANTILES, N_TRAIN, N_TEST, N_SILENT, EXAMPLE_CTX_LEN = 10, 40, 50, 50, 32
"""Delphi's defaults."""


class Compared(NamedTuple):
    """What is compared: the first latents of a hookpoint, and their strongest windows."""

    hookpoint: str
    latents: int
    strongest: int
    min_examples: int


class Variant(NamedTuple):
    """One way of choosing windows."""

    name: str
    train_type: str
    n_train: int
    n_test: int
    n_silent: int
    centred: bool = False


def variants(strongest: int) -> list[Variant]:
    """All ways that are compared; `strongest` windows are looked at token by token."""
    samplers = ("top", "random", "quantiles", "mix")
    return [
        Variant("strongest", "top", strongest, 0, 0),
        Variant("centred", "top", strongest, 0, 0, centred=True),
        *(Variant(name, name, N_TRAIN, N_TEST, N_SILENT) for name in samplers),
        Variant("few", "quantiles", N_QUANTILES - 1, N_QUANTILES - 1, 0),
    ]


def arguments(parser: argparse.ArgumentParser) -> None:
    """One of the two commands."""
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("delphi", help="write Delphi's windows (where Delphi is installed)")
    compared = commands.add_parser("compare", help="select here, and compare")
    for command in (made, compared):
        command.add_argument("cache", type=_cache, help="folder 'latents' of a run of Delphi")
        command.add_argument("folder", type=Path, help="where Delphi's windows go")
    made.add_argument("--hookpoint", help="default: the first in the cache")
    made.add_argument("--latents", type=int, default=300, help="first latents, default 300")
    made.add_argument(
        "--strongest", type=int, default=1000, help="windows compared a latent, default 1000"
    )
    made.add_argument("--min-examples", type=int, default=200, help="default 200")


def _cache(text: str) -> Path:
    """A folder that holds hookpoints."""
    folder = Path(text)
    if not any(folder.glob("*/*.json")):
        raise argparse.ArgumentTypeError(
            f"{folder} holds no hookpoint; expected the folder 'latents' of a run"
        )
    return folder


def measure(given: argparse.Namespace) -> Measured | None:
    """Write Delphi's windows, or compare with them."""
    if given.command == "compare":
        return compare(given.cache, given.folder)
    hookpoint = given.hookpoint or min(path.parent.name for path in given.cache.glob("*/*.json"))
    chosen = Compared(hookpoint, given.latents, given.strongest, given.min_examples)
    write_windows(given.cache, given.folder, chosen)
    return None


def write_windows(cache: Path, folder: Path, chosen: Compared) -> None:
    """Run Delphi in every variant, and write its windows and the settings."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        row
        for variant in variants(chosen.strongest)
        for record, size in _records(cache, chosen, variant)
        for row in _windows(variant, record, size)
    ]
    pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), folder / WINDOWS)
    said = {"delphi": version("eai-delphi"), **chosen._asdict()}
    (folder / SETTINGS).write_text(json.dumps(said), encoding="utf-8")


class _NoTexts:
    """A tokenizer that decodes nothing."""

    def batch_decode(self, tokens: Any) -> list[str]:
        """No text for each token."""
        return [""] * len(tokens)


def _records(cache: Path, chosen: Compared, variant: Variant) -> Iterator[tuple[Any, int]]:
    """Delphi's records over tokens that say their position, and the size of the vocabulary."""
    import torch
    from delphi.config import (  # type: ignore[import-not-found]
        ConstructorConfig,
        SamplerConfig,
    )
    from delphi.latents import LatentDataset  # type: ignore[import-not-found]

    dataset = LatentDataset(
        raw_dir=cache,
        sampler_cfg=SamplerConfig(
            n_examples_train=variant.n_train,
            n_examples_test=variant.n_test,
            n_quantiles=N_QUANTILES,
            train_type=variant.train_type,
        ),
        constructor_cfg=ConstructorConfig(
            example_ctx_len=EXAMPLE_CTX_LEN,
            min_examples=chosen.min_examples,
            n_non_activating=variant.n_silent,
            # Delphi's setting says the opposite of what it does.
            center_examples=not variant.centred,
        ),
        tokenizer=_NoTexts(),
        modules=[chosen.hookpoint],
        latents={chosen.hookpoint: torch.arange(chosen.latents)},
    )
    size = int(dataset.tokens.max()) + 1
    dataset.tokens += size * torch.arange(dataset.tokens.numel()).reshape(dataset.tokens.shape)
    for record in dataset:
        yield record, size


_SCHEMA = pa.schema(
    {
        "variant": pa.string(),
        "latent": pa.int32(),
        "split": pa.string(),
        "place": pa.int32(),
        "quantile": pa.int32(),
        "position": pa.int64(),
        "max_activation": pa.float32(),
        "tokens": pa.list_(pa.int32()),
        "activations": pa.list_(pa.float32()),
        "normalized": pa.list_(pa.int8()),
    }
)


def _windows(variant: Variant, record: Any, size: int) -> Iterator[dict[str, object]]:
    """The rows of a record."""
    for split, examples in (
        ("train", record.train),
        ("test", record.test),
        ("silent", record.not_active),
    ):
        for place, example in enumerate(examples):
            positions = example.tokens // size
            assert (positions.diff() == 1).all()
            normalized = getattr(example, "normalized_activations", None)
            yield {
                "variant": variant.name,
                "latent": record.latent.latent_index,
                "split": split,
                "place": place,
                "quantile": getattr(example, "quantile", None),
                "position": int(positions[0]),
                "max_activation": example.max_activation,
                "tokens": (example.tokens % size).tolist(),
                "activations": example.activations.float().tolist(),
                "normalized": None if normalized is None else normalized.int().tolist(),
            }


def compare(cache: Path, folder: Path) -> Measured:
    """Select here what Delphi selected, and compare; see `benchmarks/parts/windows_compared.py`."""
    from benchmarks.parts.windows_compared import differences, equalities, open_windows
    from delphi_assets.lake.lake import Lake

    said = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    asked = {
        "strongest": said["strongest"],
        "n_quantiles": N_QUANTILES,
        "example_ctx_len": EXAMPLE_CTX_LEN,
    }
    with tempfile.TemporaryDirectory() as scratch:
        lake = Lake(scratch)
        n_tokens = select(cache, lake, said)
        with open_windows(lake, said["hookpoint"], said["latents"], folder / WINDOWS) as con:
            equal, different = equalities(con, asked), differences(con, asked)
    numbers = {"tokens": Number(n_tokens, "tokens")}
    for what, counts in equal.items():
        numbers |= of(what, _counts(counts))
    for difference in different:
        numbers |= of(f"{difference.what}, Delphi", _counts(difference.delphi))
        numbers |= of(f"{difference.what}, here", _counts(difference.here))
    return Measured(
        numbers,
        {"delphi": said["delphi"], "why": {one.what: one.why for one in different}},
        [
            f"{what}: {counts['unexplained']} of {counts['compared']} have no reason"
            for what, counts in equal.items()
            if counts["compared"] == 0 or counts["unexplained"]
        ],
    )


def select(cache: Path, lake: "Lake", said: Mapping[str, Any]) -> int:
    """Import the cache and select every variant; returns the tokens of the cache."""
    from delphi_assets.delphi_runs.run_import import import_run
    from delphi_assets.selection.examples import select_examples
    from delphi_assets.settings import SelectionSettings, load_profile

    imported = import_run(cache, lake, "delphi")
    profile = load_profile(str(imported.facts["profile"]))
    for variant in variants(said["strongest"]):
        selection = SelectionSettings(
            name=variant.name,
            example_ctx_len=EXAMPLE_CTX_LEN,
            min_examples=said["min_examples"],
            max_examples=max(profile.cache.n_tokens, said["strongest"]),
            n_examples_train=variant.n_train,
            n_examples_test=variant.n_test,
            n_non_activating=variant.n_silent,
            n_quantiles=N_QUANTILES,
            train_type=variant.train_type,
            center_examples=variant.centred,
        )
        select_examples(profile, lake, said["hookpoint"], selection)
    return profile.cache.n_tokens


def _counts(counts: Mapping[str, float | None]) -> dict[str, Number]:
    """Counts of rows, but for shares; what there is none of is left out."""
    return {
        name: Number(value, "%" if name.startswith("percent") else "rows")
        for name, value in counts.items()
        if value is not None
    }
