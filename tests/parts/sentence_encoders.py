"""A random sentence encoder in the layout of sentence-transformers, and embeddings made by hand."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from delphi_assets.lake.lake import File, Unit
from tests.parts.random_lake import RandomLake

MODULES = ("Transformer", "Pooling", "Normalize")


def make_encoder(
    folder: Path, pooling: str = "pooling_mode_mean_tokens", modules: tuple[str, ...] = MODULES
) -> Path:
    """A BERT of width 16 with a vocabulary of a few letters and digits, saved in `folder`."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True)
    pieces = [*"abcdefghijklmnopqrstuvwxyz0123456789"]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces, *(f"##{p}" for p in pieces)]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(vocabulary)).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    listed = [
        {
            "idx": place,
            "name": str(place),
            "path": "" if place == 0 else f"{place}_{kind}",
            "type": f"sentence_transformers.models.{kind}",
        }
        for place, kind in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed), encoding="utf-8")
    (folder / "1_Pooling").mkdir()
    flags = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": False, pooling: True}
    (folder / "1_Pooling/config.json").write_text(json.dumps(flags), encoding="utf-8")
    return folder


def embedded_lake(data: RandomLake, vectors: NDArray[np.float64], example_ctx_len: int) -> None:
    """Publish `vectors` [n_windows, d] as what the embedded encoder says of a lake's windows."""
    of_shard = data.profile.cache.shard_tokens // example_ctx_len
    for shard in range(data.profile.n_shards):
        first = shard * of_shard
        part = np.rint(vectors[first : first + of_shard] * 2_048).astype(np.int16)
        rows = pa.table(
            {
                "position": (first + np.arange(len(part))) * example_ctx_len,
                "embedding": pa.array(part.tolist(), pa.list_(pa.int16())),
            }
        )
        keys: dict[str, str | int] = {
            "run": data.profile.run.name,
            "sentence_encoder": "embedded",
            "example_ctx_len": example_ctx_len,
            "shard": shard,
        }
        data.lake.publish(Unit("embeddings", keys), [File(rows)], data.profile.run_config())
