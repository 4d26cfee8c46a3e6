"""Does Delphi's own LatentDataset read an exported run?

    python -m benchmarks delphi_reads make FOLDER     # here: a random lake and its export
    python -m benchmarks delphi_reads read FOLDER     # where eai-delphi is installed

A file holds 15 latents, so that one in the wrong place is seen.
`read` imports nothing of the library. Wrong is if Delphi does not find exactly the activations that
were written, or builds no records from them.
"""

import argparse
import json
from pathlib import Path

from benchmarks.parts import two_sides
from benchmarks.parts.record import Measured, in_unit

N_TOKENS, CTX_LEN, NUM_LATENTS, N_BUCKETS = 40_000, 64, 60, 4
HOOKPOINT = "layers.0"


arguments = two_sides.arguments


def measure(given: argparse.Namespace) -> Measured | None:
    """Make the folder or read it."""
    return two_sides.one_side(given, make, read)


def make(folder: Path) -> None:
    """Write a lake of random activations, its export, and the activations as JSON."""
    from delphi_assets.delphi_runs.run_export import export_run
    from tests.parts.random_lake import random_lake

    made = random_lake(
        folder / "lake",
        n_tokens=N_TOKENS,
        ctx_len=CTX_LEN,
        num_latents=NUM_LATENTS,
        n_buckets=N_BUCKETS,
    )
    export_run(made.lake, made.profile.run.name, folder / "run")
    (folder / "fired.json").write_text(json.dumps(made.fired), encoding="utf-8")


def read(folder: Path) -> Measured:
    """Read the export with Delphi and compare."""
    import torch
    from delphi.config import (  # type: ignore[import-not-found]
        ConstructorConfig,
        SamplerConfig,
    )
    from delphi.latents import LatentDataset  # type: ignore[import-not-found]
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({f" t{token}": token for token in range(100)}, " t0"))
    dataset = LatentDataset(
        raw_dir=folder / "run" / "latents",
        sampler_cfg=SamplerConfig(n_examples_train=4, n_examples_test=4, n_quantiles=2),
        constructor_cfg=ConstructorConfig(min_examples=8, n_non_activating=4),
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=words),
        modules=[HOOKPOINT],
        latents={HOOKPOINT: torch.arange(1, NUM_LATENTS)},
    )
    found = {}
    for buffer in dataset.buffers:
        for data in buffer:
            places = data.activation_data.locations[:, :2] @ torch.tensor([CTX_LEN, 1])
            values = data.activation_data.activations.tolist()
            found[str(data.latent.latent_index)] = {
                str(place): value for place, value in zip(places.tolist(), values, strict=True)
            }
    expected = json.loads((folder / "fired.json").read_text(encoding="utf-8"))
    equal = found == {latent: fired for latent, fired in expected.items() if fired}
    n_records = len(list(dataset))
    return Measured(
        {
            **in_unit("activations", activations=sum(map(len, found.values()))),
            **in_unit("tokens", tokens=dataset.tokens.numel()),
            **in_unit("records", records=n_records),
        },
        wrong=[
            *([] if equal else ["Delphi finds other activations than were written"]),
            *([] if n_records else ["Delphi builds no records"]),
        ],
    )
