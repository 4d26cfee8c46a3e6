"""Small random models, tokenizers and coders in the layouts of real ones."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

WIDTH, LATENTS, K = 16, 48, 4
WORDS = [
    "the lake holds every activation of a latent that fires on one token",
    "a context begins with a token that the model always sees first",
    "documents follow each other and none of their tokens is lost",
    "numbers such as 12, 345 and 6789 are cut into pieces",
    "café, naïve, ünïcode — and 日本語 need more than one byte",
]


def make_tokenizer(folder: Path, add_bos: bool) -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 320 tokens with BOS, EOS and padding, saved in `folder`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<pad>", "<eos>", "<bos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    if add_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", 2)]
        )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )
    wrapped.save_pretrained(folder)
    return wrapped


def _config(family: str) -> PreTrainedConfig:
    size: dict[str, Any] = {
        "vocab_size": 320,
        "hidden_size": WIDTH,
        "intermediate_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    if family == "gpt_neox":
        return GPTNeoXConfig(**size)
    if family == "llama":
        return LlamaConfig(**size, num_key_value_heads=1)
    return Gemma3TextConfig(**size, num_key_value_heads=1, head_dim=8, sliding_window=8)


def make_model(folder: Path, family: str) -> Path:
    """A random language model of three layers with its tokenizer, in Hugging Face's layout."""
    torch.manual_seed(7)
    AutoModelForCausalLM.from_config(_config(family)).save_pretrained(folder)
    make_tokenizer(folder, add_bos=family != "gpt_neox")
    return folder


def make_coder(folder: Path, hookpoint: str, seed: int = 3, **changes: Any) -> Path:
    """A random coder in sparsify's layout at `folder/hookpoint`; returns `folder`."""
    config = {
        "activation": "topk",
        "expansion_factor": 3,
        "normalize_decoder": True,
        "num_latents": LATENTS,
        "k": K,
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": WIDTH,
        "signed": False,
        **changes,
    }
    n, d = config["num_latents"], config["d_in"]
    draw = torch.Generator().manual_seed(seed)
    tensors = {
        "encoder.weight": torch.randn(n, d, generator=draw),
        "encoder.bias": torch.randn(n, generator=draw) * 0.1,
        "W_dec": torch.randn(n, d, generator=draw),
        "b_dec": torch.randn(d, generator=draw) * 0.1,
    }
    if config["skip_connection"]:
        tensors["W_skip"] = torch.randn(d, d, generator=draw)
    target = folder / hookpoint
    target.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target / "sae.safetensors")
    (target / "cfg.json").write_text(json.dumps(config))
    return folder
