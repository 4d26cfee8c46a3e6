"""Coders in sparsify's layout, read without the sparsify package.

In: `<source>/<hookpoint>/cfg.json` + `sae.safetensors`, or the same two files at the root of a
source that holds this one coder. Out: a `SparsifyCoder`.

Tensors: `encoder.weight` [n, d], `encoder.bias` [n], `W_dec` [n, d] with a row a latent, `b_dec`
[d] and, with a skip connection, `W_skip` [d, d]. Encoding, with pre [tokens, n]:

1. pre = relu((x - b_dec) encoder.weight^T + encoder.bias); a transcoder does not subtract b_dec.
2. topk: the k largest of a token; groupmax: the largest of each of k contiguous groups.
3. Zeros among them did not fire and are dropped.

An SAE reads its module's output, a transcoder its input. The skip connection only adds to the
output.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from delphi_assets.coders.coder import CoderShape, SparseActivations
from delphi_assets.errors import DataError
from delphi_assets.subject import strip_wrapper

CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"

_PREACTIVATION_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Config:
    """The keys of `cfg.json` that decide how the coder computes."""

    activation: str
    num_latents: int
    d_in: int
    k: int
    transcode: bool
    skip_connection: bool

    @property
    def shape(self) -> CoderShape:
        """What the coder reads."""
        return CoderShape(self.num_latents, self.d_in, "input" if self.transcode else "output")


@dataclass(frozen=True)
class SparsifyCoder:
    """A coder of sparsify; see the module's docstring for the shapes."""

    config: Config
    encoder_rows: Tensor
    encoder_bias: Tensor
    decoder_rows: Tensor
    decoder_bias: Tensor
    skip: Tensor | None
    fingerprint: str

    @property
    def shape(self) -> CoderShape:
        """Number of latents, width and side."""
        return self.config.shape

    def encode(self, x: Tensor) -> SparseActivations:
        """Latents that fire on `x` [tokens, d]; at most k a token."""
        x = x.to(self.encoder_rows.dtype)
        itemsize = self.encoder_rows.element_size()
        block = max(1, _PREACTIVATION_BYTES // (itemsize * self.config.num_latents))
        parts = [self._fired(rows, i * block) for i, rows in enumerate(torch.split(x, block))]
        return SparseActivations(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _fired(self, x: Tensor, first: int) -> SparseActivations:
        """What fires on a block of rows that begins at row `first`."""
        if not self.config.transcode:
            x = x - self.decoder_bias
        pre = functional.linear(x, self.encoder_rows, self.encoder_bias).relu_()
        if self.config.activation == "topk":
            values, latents = pre.topk(self.config.k, dim=-1, sorted=False)
        else:
            groups = pre.reshape(len(pre), self.config.k, -1)
            values, latents = groups.max(dim=-1)
            latents = latents + torch.arange(self.config.k, device=x.device) * groups.shape[-1]
        # NaN is kept, so that whoever stores it can refuse it.
        row, column = (values != 0).nonzero(as_tuple=True)
        return SparseActivations(row + first, latents[row, column], values[row, column])

    def decode(self, x: Tensor, activations: SparseActivations) -> Tensor:
        """Reconstruction [tokens, d] of the module's output."""
        # Rows come in order, so each token's bag is a contiguous run of the entries.
        starts = torch.searchsorted(
            activations.row, torch.arange(x.shape[0], device=x.device), right=False
        )
        out = functional.embedding_bag(
            activations.latent,
            self.decoder_rows,
            starts,
            per_sample_weights=activations.value,
            mode="sum",
        )
        out = out + self.decoder_bias
        return out if self.skip is None else out + x.to(out.dtype) @ self.skip.mT


def patterns(hookpoint: str) -> list[str]:
    """Files of a hub repository that `find` and `load` need for a hookpoint without prefixes."""
    # The configurations of all folders: with any of them the root holds no coder for everything.
    return [CONFIG, f"*/{CONFIG}", WEIGHTS, f"*{hookpoint}/{WEIGHTS}"]


def find(source: Path, hookpoint: str) -> Path | None:
    """The coder's folder, its name with or without wrapper prefixes.

    It is the root where that is a coder and no folder below it is one.
    """
    if (source / hookpoint / CONFIG).is_file():
        return source / hookpoint
    wanted = _spellings(hookpoint)
    folders = sorted(path.parent for path in source.glob(f"*/{CONFIG}"))
    for folder in folders:
        if _spellings(folder.name) & wanted:
            return folder
    if folders:
        return None
    is_coder = (source / CONFIG).is_file() and not (source / "sae_weights.safetensors").exists()
    return source if is_coder else None


def describe(folder: Path) -> CoderShape:
    """Width, side and size from `cfg.json`; raises `DataError` when it is not one."""
    return _config(folder).shape


def load(folder: Path, device: torch.device, dtype: torch.dtype) -> SparsifyCoder:
    """The coder in `folder`; raises `DataError` for damaged files or shapes that do not fit."""
    config = _config(folder)
    tensors = _tensors(folder / WEIGHTS, config, device, dtype)
    return SparsifyCoder(
        config,
        tensors["encoder.weight"],
        tensors["encoder.bias"],
        tensors["W_dec"],
        tensors["b_dec"],
        tensors.get("W_skip"),
        _fingerprint(folder),
    )


def _fingerprint(folder: Path) -> str:
    """SHA-256 over the SHA-256 of both files, each read in blocks."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _spellings(name: str) -> set[str]:
    """A hookpoint's name and what is left of it as wrapper prefixes are taken off."""
    found = {name}
    while (shorter := strip_wrapper(name)) != name:
        found.add(shorter)
        name = shorter
    return found


def _config(folder: Path) -> Config:
    path = folder / CONFIG
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        d_in = int(raw["d_in"])
        config = Config(
            activation=raw.get("activation", "topk"),
            num_latents=int(raw.get("num_latents") or d_in * int(raw.get("expansion_factor", 32))),
            d_in=d_in,
            k=int(raw.get("k", 32)),
            transcode=bool(raw.get("transcode", False)),
            skip_connection=bool(raw.get("skip_connection", False)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not a configuration of sparsify ({type(error).__name__}: {error}); "
            "expected a JSON object with d_in, k, num_latents or expansion_factor."
        ) from error
    if config.activation not in ("topk", "groupmax"):
        raise DataError(
            f"{path} has activation = {config.activation!r}; expected 'topk' or 'groupmax'."
        )
    if not 0 < config.k <= config.num_latents or (
        config.activation == "groupmax" and config.num_latents % config.k
    ):
        raise DataError(
            f"{path} has k = {config.k} with num_latents = {config.num_latents}; expected k from 1 "
            "to num_latents, and for groupmax one that divides it."
        )
    return config


def _tensors(
    path: Path, config: Config, device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    n, d = config.num_latents, config.d_in
    shapes = {"encoder.weight": (n, d), "encoder.bias": (n,), "W_dec": (n, d), "b_dec": (d,)}
    if config.skip_connection:
        shapes["W_skip"] = (d, d)
    try:
        tensors = load_file(path, device=str(device))
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}); download or save it again.") from error
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items() if name in shapes}
    if found != shapes:
        raise DataError(
            f"{path} holds {found}; {CONFIG} beside it asks for {shapes}. They belong to different "
            "coders."
        )
    return {name: tensors[name].to(dtype) for name in shapes}
