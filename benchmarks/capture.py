"""Capturing activations, against its lower bound on the same inputs, in one process.

    python -m benchmarks.capture --tokens 131072 --width 32768 --k 32

1. Lay a random GPT-NeoX model, a random coder and a random corpus in a scratch folder, write the
   contexts, and prepare the coder: real stages on real files, only the numbers in them are random.
2. In turns, `--repeats` times: the lower bound (forward pass to the last hooked module, encoder
   product, activation function; nothing stored), and the stage `activations` into a fresh lake.
3. Print seconds, their ratio, bytes an activation, and the peak of memory above the loaded model.

Model and coder are loaded by the stage each time; the ratio is given with and without that.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

from delphi_assets.activations import capture
from delphi_assets.batches import read_batches
from delphi_assets.coders import load_coder
from delphi_assets.coders.preparation import prepare_coder
from delphi_assets.contexts import build_contexts
from delphi_assets.lake import Lake
from delphi_assets.settings import Profile, parse_profile
from delphi_assets.subject import forward_to, load_subject

D_MODEL, LAYERS, VOCABULARY, CONTEXT = 512, 6, 32_768, 256
BLOCK = 512
"""Rows of the lower bound's encoder product, into one buffer; anything else found was slower."""


class Size(NamedTuple):
    """What is measured."""

    tokens: int
    width: int
    k: int
    architecture: str
    hookpoints: list[str]
    batch_size: int


class Run(NamedTuple):
    """One timing: seconds in all, of it loading, and the peak of memory above the start, MiB."""

    seconds: float
    loading: float
    peak: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capture", description=__doc__)
    parser.add_argument("--tokens", type=int, default=131_072)
    parser.add_argument("--width", type=int, default=32_768)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--architecture", choices=["topk", "jumprelu"], default="topk")
    parser.add_argument("--hookpoints", nargs="+", default=["layers.3.mlp"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, help="keep model, coder and lakes here")
    given = parser.parse_args(arguments)
    size = Size(
        given.tokens,
        given.width,
        given.k,
        given.architecture,
        given.hookpoints,
        given.batch_size,
    )
    folder = given.out or Path(tempfile.mkdtemp())
    try:
        json.dump(measure(folder, size, given.repeats), sys.stdout, indent=1)
        sys.stdout.write("\n")
    finally:
        if given.out is None:
            shutil.rmtree(folder)


def measure(folder: Path, size: Size, repeats: int) -> dict[str, object]:
    """Everything the benchmark prints."""
    profile = lay(folder, size)
    template = folder / "template"
    build_contexts(profile, Lake(template))
    for hookpoint in size.hookpoints:
        prepare_coder(profile, Lake(template), hookpoint)
    bounds, stages, report = [], [], None
    for repeat in range(repeats):
        bounds.append(lower_bound(profile, Lake(template), size))
        target = folder / f"lake-{repeat}"
        shutil.copytree(template, target)
        start = time.perf_counter()
        load(profile)
        loading = time.perf_counter() - start
        before = reset_peak()
        start = time.perf_counter()
        report = capture(profile, Lake(target), range(profile.n_shards))
        stages.append(Run(time.perf_counter() - start, loading, peak() - before))
    assert report is not None
    bound = statistics.median(run.seconds for run in bounds)
    stage = statistics.median(run.seconds for run in stages)
    work = statistics.median(run.seconds - run.loading for run in stages)
    return {
        **size._asdict(),
        "threads": torch.get_num_threads(),
        "lower_bound_s": [round(run.seconds, 2) for run in bounds],
        "stage_s": [round(run.seconds, 2) for run in stages],
        "loading_s": [round(run.loading, 2) for run in stages],
        "ratio": round(stage / bound, 3),
        "ratio_without_loading": round(work / bound, 3),
        "tokens_per_second": round(size.tokens / stage, 1),
        "activations": report.rows,
        "bytes_per_activation": round(report.bytes / max(report.rows, 1), 3),
        "peak_mib_above_start_of_stage": [round(run.peak, 1) for run in stages],
    }


def lay(folder: Path, size: Size) -> Profile:
    """A random model with a tokenizer of words, coders, a corpus, and a profile of all that."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModel, GPTNeoXConfig, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=D_MODEL,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        intermediate_size=4 * D_MODEL,
        max_position_embeddings=2_048,
    )
    AutoModel.from_config(config).save_pretrained(folder / "model")
    words = Tokenizer(models.WordLevel({f"w{n}": n for n in range(VOCABULARY)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(folder / "model")
    rng = np.random.default_rng(0)
    text = " ".join(f"w{n}" for n in rng.integers(0, VOCABULARY, size.tokens))
    (folder / "corpus.txt").write_text(text, encoding="utf-8")
    for number, hookpoint in enumerate(size.hookpoints):
        lay_coder(folder / "coders" / hookpoint, size, number)
    return parse_profile(
        {
            "run": {"name": "benchmark"},
            "model": {"name": str(folder / "model"), "dtype": "float32"},
            "corpus": {"dataset_repo": str(folder / "corpus.txt")},
            "cache": {
                "n_tokens": size.tokens,
                "cache_ctx_len": CONTEXT,
                "batch_size": size.batch_size,
                "hookpoints": size.hookpoints,
            },
            "coder": {"sparse_model": str(folder / "coders")},
        }
    )


def lay_coder(folder: Path, size: Size, seed: int) -> None:
    """A random coder: sparsify's layout for topk, SAELens's for jumprelu."""
    folder.mkdir(parents=True)
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(size.width, D_MODEL, generator=draw) / D_MODEL**0.5
    zeros = torch.zeros(size.width)
    if size.architecture == "topk":
        tensors = {"encoder.weight": weight, "encoder.bias": zeros, "W_dec": weight.clone()}
        config: dict[str, object] = {"activation": "topk", "k": size.k, "d_in": D_MODEL}
        config["num_latents"] = size.width
        names = "cfg.json", "sae.safetensors"
    else:
        tensors = {"W_enc": weight.T.contiguous(), "W_dec": weight, "b_enc": zeros}
        # The module's outputs are far from unit scale; so high a threshold leaves about k.
        tensors["threshold"] = torch.full((size.width,), 0.35)
        config = {"architecture": "jumprelu", "d_in": D_MODEL, "d_sae": size.width}
        names = "cfg.json", "sae_weights.safetensors"
    (folder / names[0]).write_text(json.dumps(config), encoding="utf-8")
    save_file({**tensors, "b_dec": torch.zeros(D_MODEL)}, folder / names[1])


def load(profile: Profile) -> None:
    """Load what the stage loads, to know how long that takes."""
    load_subject(profile.model)
    for hookpoint in profile.cache.hookpoints:
        load_coder(profile.coder.sparse_model, hookpoint)


def lower_bound(profile: Profile, lake: Lake, size: Size) -> Run:
    """Forward pass, encoder product and activation function over all contexts; nothing is kept."""
    start = time.perf_counter()
    subject = load_subject(profile.model)
    coders = {
        name: load_coder(profile.coder.sparse_model, name) for name in profile.cache.hookpoints
    }
    loading, before = time.perf_counter() - start, reset_peak()
    topk = size.k if size.architecture == "topk" else None
    sides = {name: coder.shape.side for name, coder in coders.items()}
    buffer = torch.empty(BLOCK, size.width)
    start = time.perf_counter()
    for shard in range(profile.n_shards):
        for batch in read_batches(profile, lake, shard, subject, drop_special=True):
            hooked = forward_to(subject.model, sides, batch.input_ids, batch.attention_mask)
            for name, coder in coders.items():
                for rows in torch.split(hooked[name].reshape(-1, D_MODEL), BLOCK):
                    out = buffer[: len(rows)]
                    pre = torch.addmm(coder.encoder_bias, rows, coder.encoder_rows.mT, out=out)
                    if topk:
                        pre.topk(topk, dim=-1, sorted=False)
    return Run(time.perf_counter() - start, loading, peak() - before)


def reset_peak() -> float:
    """Forget the process's peak of memory; returns what is resident now, MiB."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS:")


def peak() -> float:
    """Peak of resident memory since `reset_peak`, MiB."""
    return _status("VmHWM:")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


if __name__ == "__main__":
    main()
