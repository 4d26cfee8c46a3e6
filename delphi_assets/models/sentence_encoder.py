"""A sentence encoder: texts become vectors of length 1, near each other for texts that are alike.

In: a model as sentence-transformers saves it, by folder or hub name, or the embedded
all-MiniLM-L6-v2. Out: float32 vectors [texts, d].

1. `modules.json` names the model's modules: a transformer, how the vectors of its tokens become
   one (mean, cls, max, lasttoken) and scaling to length 1. A folder without it is a transformer
   whose vectors are averaged. What else there may be is refused.
2. Texts are tokenized together, cut at `max_seq_length`, and go through the transformer sorted by
   length, so that little is padded.

The libraries that the model needs are those of the subject model: transformers and torch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from delphi_assets.errors import DataError, DelphiAssetsError
from delphi_assets.ground.foreign_json import parse_json
from delphi_assets.ground.local_paths import is_folder, local_path
from delphi_assets.ground.machine_cache import fingerprint
from delphi_assets.models.embedded import minilm_folder
from delphi_assets.models.subject import pick_device
from delphi_assets.settings import EMBEDDED_ENCODER

Pooling = Literal["mean", "cls", "max", "lasttoken"]

_BATCH = 64
_MULTIPLYING = Lock()
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
"""What of a repository on the hub is needed."""


@dataclass(frozen=True)
class SentenceEncoder:
    """A tokenizer, a transformer on its device, and how its vectors become one."""

    tokenizer: Any
    model: Any
    pooling: Pooling
    max_tokens: int
    lower_case: bool
    fingerprint: str
    """Hash of its files."""

    def encode(
        self, texts: list[str], progress: Callable[[int], object] = lambda n: None
    ) -> NDArray[np.float32]:
        """Vectors [texts, d] of length 1; `progress` is told how many texts were just encoded."""
        if self.lower_case:
            texts = [text.lower() for text in texts]
        width = int(self.model.config.hidden_size)
        vectors = np.empty((len(texts), width), np.float32)
        if not texts:
            return vectors
        tokens = self.tokenizer(texts, truncation=True, max_length=self.max_tokens)["input_ids"]
        order = np.argsort([len(row) for row in tokens], kind="stable")
        for first in range(0, len(order), _BATCH):
            batch = order[first : first + _BATCH]
            vectors[batch] = self._encode([tokens[place] for place in batch])
            progress(len(batch))
        return vectors

    def _encode(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        padded = self.tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
        padded = padded.to(self.model.device)
        with torch.inference_mode(), full_precision():
            states = self.model(**padded).last_hidden_state
            pooled = _pooled(states, padded["attention_mask"], self.pooling)
            scaled = torch.nn.functional.normalize(pooled, dim=-1)
        vectors: NDArray[np.float32] = scaled.cpu().numpy()
        return vectors


def load_sentence_encoder(name: str, device: str) -> SentenceEncoder:
    """The encoder that `selection.sentence_encoder` names, on the device of `model.device`.

    Raises `DataError` for one that cannot be loaded or has modules that are not known here,
    `SettingError` for a device that is not there.
    """
    from transformers import AutoModel, AutoTokenizer

    place = pick_device(device)
    folder = _folder(name)
    try:
        transformer, pooling = _modules(name, folder)
        own = _json(transformer / "sentence_bert_config.json")
        tokenizer = AutoTokenizer.from_pretrained(transformer, padding_side="right")
        model = AutoModel.from_pretrained(transformer, dtype=torch.float32)
        positions = int(getattr(model.config, "max_position_embeddings", None) or 512)
        most = int(own.get("max_seq_length") or min(positions, tokenizer.model_max_length))
    except DelphiAssetsError:
        raise
    except Exception as error:
        # A damaged folder makes transformers raise whatever it stumbles over.
        raise _unreadable(name, f"{type(error).__name__}: {error}") from error
    model.eval().requires_grad_(False).to(place)
    lower_case = bool(own.get("do_lower_case"))
    return SentenceEncoder(tokenizer, model, pooling, most, lower_case, _fingerprint(folder))


def fingerprint_here(name: str) -> str | None:
    """The fingerprint of an encoder in a folder of this machine; None for any other."""
    folder = local_path(name)
    return _fingerprint(folder) if is_folder(folder) else None


def _fingerprint(folder: Path) -> str:
    return fingerprint(sorted(path for kind in _FILES for path in folder.rglob(kind)))


@contextmanager
def full_precision() -> Iterator[None]:
    """Single precision is multiplied as such, whatever else the process allows (TF32, bfloat16).

    PyTorch has one such setting for all threads, so they take turns.
    """
    with _MULTIPLYING:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def _pooled(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector [batch, d] of the tokens' [batch, seq, d] that `mask` [batch, seq] keeps."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "lasttoken":
        return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1]
    kept = mask.bool()[:, :, None]
    if pooling == "max":
        return states.masked_fill(~kept, -torch.inf).amax(dim=1)
    return states.masked_fill(~kept, 0).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def _folder(name: str) -> Path:
    if name == EMBEDDED_ENCODER:
        return minilm_folder()
    if is_folder(folder := local_path(name)):
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise _unreadable(name, str(error)) from error


def _modules(name: str, folder: Path) -> tuple[Path, Pooling]:
    """The transformer's folder, and the pooling."""
    if prompt := _json(folder / "config_sentence_transformers.json").get("default_prompt_name"):
        raise _unreadable(name, f"it puts a prompt before texts (default_prompt_name {prompt!r})")
    listed = _json(folder / "modules.json", [])
    if not listed:
        return folder, "mean"
    kinds = {str(module["type"]).rsplit(".", 1)[-1]: folder / module["path"] for module in listed}
    if list(kinds)[:2] != ["Transformer", "Pooling"] or set(kinds) > {
        "Transformer",
        "Pooling",
        "Normalize",
    }:
        raise _unreadable(
            name, f"its modules are {list(kinds)}, expected Transformer, Pooling and Normalize"
        )
    return kinds["Transformer"], _pooling(name, kinds["Pooling"])


def _pooling(name: str, folder: Path) -> Pooling:
    config = _json(folder / "config.json")
    flags = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "cls",
        "pooling_mode_max_tokens": "max",
        "pooling_mode_lasttoken": "lasttoken",
    }
    chosen = [config["pooling_mode"]] if config.get("pooling_mode") else []
    chosen += [
        flags.get(flag, flag)
        for flag, is_set in config.items()
        if flag.startswith("pooling_mode_") and is_set is True
    ]
    if len(chosen) != 1 or chosen[0] not in get_args(Pooling):
        raise _unreadable(name, f"it pools by {chosen}, expected one of {list(get_args(Pooling))}")
    pooling: Pooling = chosen[0]
    return pooling


def _json(path: Path, missing: Any = None) -> Any:
    if not path.is_file():
        return {} if missing is None else missing
    return parse_json(path.read_bytes())


def _unreadable(name: str, why: str) -> DataError:
    return DataError(
        f"selection.sentence_encoder = {name!r} cannot be used: {why}; expected "
        f"{EMBEDDED_ENCODER!r}, a folder that sentence-transformers saved, or such a model of the "
        "Hugging Face hub that can be reached."
    )
