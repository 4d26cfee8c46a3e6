"""Capturing activations, against its lower bound on the same inputs, in one process.

    python -m benchmarks capture --tokens 131072 --width 32768 --k 32

1. Lay a random GPT-NeoX model, random coders and a random corpus in a scratch folder, write the
   contexts, and prepare the coders: real stages on real files, only the numbers in them are random.
2. In turns, `--repeats` times: the lower bound (forward pass to the last hook, encoder product,
   activation function; nothing stored), and the stages `captured` and `activations` into a fresh
   lake. Both sides load model and coders; loading is told apart and taken from both.
3. Measure peaks of memory, each in a process of its own (`benchmarks/parts/capture_peak.py`): of
   both stages above that of loading model and encoders, and of encoding one batch above what is
   loaded. With ten times the tokens the first must stay as it is.
4. Tell all that, ratios, and bytes an activation.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.parts.record import Measured, Numbers, in_unit
from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.batches import read_batches
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.caching.published import published_contexts
from delphi_assets.coders import load_coder
from delphi_assets.coders.activation_functions import Threshold
from delphi_assets.coders.linear import LinearEncoder
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import RunPlace
from delphi_assets.models.subject import Hook, forward_to, load_subject
from delphi_assets.settings import ModelSettings, Profile, parse_profile

LAYERS, VOCABULARY, CONTEXT = 6, 32_768, 256
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
    d_model: int = 512


class Bound(NamedTuple):
    """One timing of the lower bound: seconds of work and of loading."""

    seconds: float
    loading: float


class Stages(NamedTuple):
    """One timing of the stages: seconds of capturing, loading among them, and of merging."""

    capturing: float
    merging: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes."""
    parser.add_argument("--tokens", type=int, default=131_072)
    parser.add_argument("--width", type=int, default=32_768)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--architecture", choices=["topk", "jumprelu"], default="topk")
    parser.add_argument("--hookpoints", nargs="+", default=["layers.3.mlp"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--d-model", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=_empty, help="keep model, coder and lakes here")


def _empty(text: str) -> Path:
    """A folder in which nothing is."""
    folder = Path(text)
    if folder.exists() and any(folder.iterdir()):
        raise argparse.ArgumentTypeError(f"{folder} is not empty; name another folder")
    return folder


def measure(given: argparse.Namespace) -> Measured:
    """Lay everything, and measure."""
    size = Size(
        given.tokens,
        given.width,
        given.k,
        given.architecture,
        given.hookpoints,
        given.batch_size,
        given.d_model,
    )
    if given.out:
        return Measured(_measured(given.out, size, given.repeats))
    with tempfile.TemporaryDirectory() as folder:
        return Measured(_measured(Path(folder), size, given.repeats))


def _measured(folder: Path, size: Size, repeats: int) -> Numbers:
    """In turns the lower bound and the stages, then the peaks."""
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
        start = time.perf_counter()
        rows = capture(profile, lake, range(profile.n_shards)).rows
        captured = time.perf_counter()
        bytes_ = sum(merge_shards(profile, lake, name).bytes for name in size.hookpoints)
        stages.append(Stages(captured - start, time.perf_counter() - captured))
    bound = statistics.median(run.seconds for run in bounds)
    loading = statistics.median(run.loading for run in bounds)
    capturing = statistics.median(run.capturing for run in stages) - loading
    merging = statistics.median(run.merging for run in stages)
    return {
        **in_unit("threads", threads=torch.get_num_threads()),
        **in_unit("shards", shards=profile.n_shards),
        **in_unit(
            "s",
            lower_bound=[round(run.seconds, 2) for run in bounds],
            capturing=[round(run.capturing - loading, 2) for run in stages],
            merging=[round(run.merging, 2) for run in stages],
            loading=[round(run.loading, 2) for run in bounds],
        ),
        **in_unit(
            "x the lower bound",
            capturing_by_bound=round(capturing / bound, 3),
            capturing_and_merging_by_bound=round((capturing + merging) / bound, 3),
        ),
        **in_unit("tokens/s", pace=round(size.tokens / (capturing + merging), 1)),
        **in_unit("activations", activations=rows),
        **in_unit("bytes", bytes_per_activation=round(bytes_ / max(rows, 1), 3)),
        **peaks(profile, folder),
    }


def peaks(profile: Profile, folder: Path) -> Numbers:
    """Peaks of memory in MiB, each of a process of its own."""
    subject, hookpoint = load_subject(profile.model), profile.cache.hookpoints[0]
    lake = Lake(folder / "template")
    place = RunPlace(profile, lake)
    contexts = published_contexts(place, 0)
    batch = next(read_batches(place, contexts, subject, drop_special=True))
    hook = Hook(hookpoint, "output")
    read = forward_to(subject.model, {hook}, batch.input_ids, batch.attention_mask)[hook]
    np.save(folder / "x.npy", read.flatten(0, 1).numpy())
    run = profile.run.model_copy(update={"lake": lake.root})
    settings = profile.model_copy(update={"run": run}).model_dump_json()
    (folder / "profile.json").write_text(settings, encoding="utf-8")
    loaded = peak_of("load", folder)
    return in_unit(
        "MiB",
        buffer=profile.cache.buffer_mib,
        peak_above_loading=round(peak_of("stages", folder) - loaded, 1),
        peak_of_loading=round(loaded, 1),
        peak_of_encoding_a_batch=round(peak_of("encode", folder, "x.npy"), 1),
    )


def peak_of(what: str, folder: Path, *names: str) -> float:
    """What `benchmarks.parts.capture_peak` prints."""
    files = [str(folder / name) for name in ("profile.json", *names)]
    program = [sys.executable, "-m", "benchmarks.parts.capture_peak", what, *files]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return float(done.stdout)


def lay(folder: Path, size: Size) -> Profile:
    """A random model with a tokenizer of words, coders, a corpus, and a profile of all that."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModel, GPTNeoXConfig, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=size.d_model,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        intermediate_size=4 * size.d_model,
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
    weight = torch.randn(size.width, size.d_model, generator=draw) / size.d_model**0.5
    zeros = torch.zeros(size.width)
    if size.architecture == "topk":
        tensors = {"encoder.weight": weight, "encoder.bias": zeros, "W_dec": weight.clone()}
        config: dict[str, object] = {"activation": "topk", "k": size.k, "d_in": size.d_model}
        config["num_latents"] = size.width
        names = "cfg.json", "sae.safetensors"
    else:
        tensors = {"W_enc": weight.T.contiguous(), "W_dec": weight, "b_enc": zeros}
        tensors["threshold"] = torch.full((size.width,), threshold(folder, weight, size.k))
        config = {"architecture": "jumprelu", "d_in": size.d_model, "d_sae": size.width}
        names = "cfg.json", "sae_weights.safetensors"
    (folder / names[0]).write_text(json.dumps(config), encoding="utf-8")
    save_file({**tensors, "b_dec": torch.zeros(size.d_model)}, folder / names[1])


def threshold(folder: Path, weight: torch.Tensor, k: int) -> float:
    """What about `k` latents exceed on a token of random text; `folder` is the coder's."""
    model = ModelSettings(name=str(folder.parent.parent / "model"), dtype="float32")
    ids = torch.randint(0, VOCABULARY, (1, CONTEXT), generator=torch.Generator().manual_seed(1))
    hook = Hook(folder.name, "output")
    read = forward_to(load_subject(model).model, {hook}, ids, torch.ones_like(ids))[hook]
    return float((read[0, ::16] @ weight.T).quantile(1 - k / len(weight)))


def lower_bound(profile: Profile, lake: Lake, size: Size) -> Bound:
    """Forward pass, encoder product and activation function over all contexts; nothing is kept."""
    start = time.perf_counter()
    subject = load_subject(profile.model)
    coders = {
        name: load_coder(profile.sparse_model_of(name), name) for name in profile.cache.hookpoints
    }
    hooks = {name: Hook(name, coder.shape.side) for name, coder in coders.items()}
    loading = time.perf_counter() - start
    buffer = torch.empty(BLOCK, size.width)
    start = time.perf_counter()
    place = RunPlace(profile, lake)
    for shard in range(profile.n_shards):
        contexts = published_contexts(place, shard)
        for batch in read_batches(place, contexts, subject, drop_special=True):
            hooked = forward_to(
                subject.model, hooks.values(), batch.input_ids, batch.attention_mask
            )
            for name, coder in coders.items():
                assert isinstance(coder, LinearEncoder), "as it was laid"
                for rows in torch.split(hooked[hooks[name]].flatten(0, 1), BLOCK):
                    out = buffer[: len(rows)]
                    pre = torch.addmm(coder.encoder_bias, rows, coder.encoder_rows.mT, out=out)
                    if isinstance(coder.activation, Threshold):
                        (pre > coder.activation.limit).nonzero(as_tuple=True)
                    else:
                        pre.topk(size.k, dim=-1, sorted=False)
    return Bound(time.perf_counter() - start, loading)
