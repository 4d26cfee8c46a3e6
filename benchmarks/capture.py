"""Capturing activations, against its lower bound on the same inputs, in one process.

    python -m benchmarks.capture --tokens 131072 --width 32768 --k 32

1. Lay a random GPT-NeoX model, a random coder and a random corpus in a scratch folder, write the
   contexts, and prepare the coder: real stages on real files, only the numbers in them are random.
2. In turns, `--repeats` times: the lower bound (forward pass to the last hook, encoder product,
   activation function; nothing stored), and the stages `captured` and `activations` into a fresh
   lake.
3. Print seconds, their ratio, bytes an activation, and peaks of memory: of both stages above the
   weights of model and encoders, and of encoding one batch above everything loaded.

Both sides load model and coders; loading is told apart and taken from both. For another number of
tokens the peaks must stay as they are: run it again with ten times as many.
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

from delphi_assets.activations import merge_shards
from delphi_assets.batches import read_batches
from delphi_assets.capture import capture
from delphi_assets.coders import load_coder
from delphi_assets.coders.preparation import prepare_coder
from delphi_assets.contexts import build_contexts
from delphi_assets.lake import Lake
from delphi_assets.settings import Profile, parse_profile
from delphi_assets.subject import Hook, forward_to, load_subject

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


class Bound(NamedTuple):
    """One timing of the lower bound: seconds of work and of loading, MiB of model and encoders."""

    seconds: float
    loading: float
    loaded: float


class Stages(NamedTuple):
    """One timing of the stages: seconds of capturing, loading among them, of merging; peak, MiB."""

    capturing: float
    merging: float
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
    bounds, stages, bytes_, rows = [], [], 0, 0
    for repeat in range(repeats):
        bounds.append(lower_bound(profile, Lake(template), size))
        lake = Lake(folder / f"lake-{repeat}")
        shutil.copytree(template, lake.root)
        before = reset_peak()
        start = time.perf_counter()
        rows = capture(profile, lake, range(profile.n_shards)).rows
        captured = time.perf_counter()
        bytes_ = sum(merge_shards(profile, lake, name).bytes for name in size.hookpoints)
        end = time.perf_counter()
        stages.append(Stages(captured - start, end - captured, peak() - before))
    bound = statistics.median(run.seconds for run in bounds)
    loading = statistics.median(run.loading for run in bounds)
    capturing = statistics.median(run.capturing for run in stages) - loading
    merging = statistics.median(run.merging for run in stages)
    return {
        **size._asdict(),
        "threads": torch.get_num_threads(),
        "shards": profile.n_shards,
        "lower_bound_s": [round(run.seconds, 2) for run in bounds],
        "capturing_s": [
            round(run.capturing - run_bound.loading, 2)
            for run, run_bound in zip(stages, bounds, strict=True)
        ],
        "merging_s": [round(run.merging, 2) for run in stages],
        "loading_s": [round(run.loading, 2) for run in bounds],
        "ratio_capturing": round(capturing / bound, 3),
        "ratio": round((capturing + merging) / bound, 3),
        "tokens_per_second": round(size.tokens / (capturing + merging), 1),
        "activations": rows,
        "bytes_per_activation": round(bytes_ / max(rows, 1), 3),
        "peak_mib_above_loaded": [round(run.peak - bounds[0].loaded, 1) for run in stages],
        "peak_mib_of_encoding_a_batch": round(encoding_peak(profile, Lake(template)), 1),
    }


def encoding_peak(profile: Profile, lake: Lake) -> float:
    """Peak of memory that encoding one batch takes above model, coder and batch, MiB."""
    name = profile.cache.hookpoints[0]
    subject = load_subject(profile.model)
    encoder = load_coder(profile.sparse_model_of(name), name).encoder
    batch = next(read_batches(profile, lake, 0, subject, drop_special=True))
    hook = Hook(name, encoder.shape.side)
    x = forward_to(subject.model, {hook}, batch.input_ids, batch.attention_mask)[hook]
    before = reset_peak()
    encoder.encode(x.reshape(-1, x.shape[-1]))
    return peak() - before


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


def lower_bound(profile: Profile, lake: Lake, size: Size) -> Bound:
    """Forward pass, encoder product and activation function over all contexts; nothing is kept."""
    start = time.perf_counter()
    subject = load_subject(profile.model)
    coders = {
        name: load_coder(profile.sparse_model_of(name), name) for name in profile.cache.hookpoints
    }
    hooks = {name: Hook(name, coder.shape.side) for name, coder in coders.items()}
    tensors = [*subject.model.parameters(), *(coder.encoder_rows for coder in coders.values())]
    loaded = sum(tensor.nbytes for tensor in tensors) / 2**20
    loading = time.perf_counter() - start
    topk = size.k if size.architecture == "topk" else None
    buffer = torch.empty(BLOCK, size.width)
    start = time.perf_counter()
    for shard in range(profile.n_shards):
        for batch in read_batches(profile, lake, shard, subject, drop_special=True):
            hooked = forward_to(
                subject.model, hooks.values(), batch.input_ids, batch.attention_mask
            )
            for name, coder in coders.items():
                for rows in torch.split(hooked[hooks[name]].reshape(-1, D_MODEL), BLOCK):
                    out = buffer[: len(rows)]
                    pre = torch.addmm(coder.encoder_bias, rows, coder.encoder_rows.mT, out=out)
                    if topk:
                        pre.topk(topk, dim=-1, sorted=False)
    return Bound(time.perf_counter() - start, loading, loaded)


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
