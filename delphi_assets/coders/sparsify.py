"""Coders in sparsify's layout, read without the sparsify package.

In: `<source>/<hookpoint>/cfg.json` + `sae.safetensors`, or the same two files at the root of a
source that holds this one coder. Out: a `LinearCoder`.

Tensors: `encoder.weight` [n, d], `encoder.bias` [n], `W_dec` [n, d] with a row a latent, `b_dec`
[d] and, with a skip connection, `W_skip` [d, d]. Encoding, with pre [tokens, n]:

1. pre = relu((x - b_dec) encoder.weight^T + encoder.bias); a transcoder does not subtract b_dec,
   unless it was trained before February 2025, which its files do not tell and a setting does.
2. topk: the k largest of a token; groupmax: the largest of each of k contiguous groups. An old
   coder with `signed` skips the relu, and its k are the largest by magnitude, with their signs.
3. Zeros among them did not fire and are dropped.

An SAE reads its module's output, a transcoder its input. The skip connection only adds to the
output.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from delphi_assets.coders.activation_functions import (
    AbsTopK,
    ActivationFunction,
    GroupMax,
    TopK,
)
from delphi_assets.coders.coder import CoderShape
from delphi_assets.coders.coder_format import CoderFormat, Described, HubFiles
from delphi_assets.coders.files import Shape, chosen, read_json, read_safetensors
from delphi_assets.coders.hooks import bare
from delphi_assets.coders.linear import LinearCoder
from delphi_assets.errors import DataError
from delphi_assets.ground.machine_cache import fingerprint

CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"


@dataclass(frozen=True)
class Config:
    """The keys of `cfg.json` that decide how the coder computes."""

    activation: str
    num_latents: int
    d_in: int
    k: int
    signed: bool
    transcode: bool
    skip_connection: bool

    @property
    def shape(self) -> CoderShape:
        """What the coder reads."""
        return CoderShape(self.num_latents, self.d_in, "input" if self.transcode else "output")

    @property
    def function(self) -> ActivationFunction:
        """How it chooses what fires."""
        if self.activation == "groupmax":
            return GroupMax(self.k)
        return AbsTopK(self.k) if self.signed else TopK(self.k)


class Sparsify(CoderFormat):
    """Coders of sparsify.

    `subtracts_b_dec` makes a transcoder subtract b_dec too, as those before February 2025 did.
    """

    layout = "<hookpoint>/cfg.json + sae.safetensors"

    def __init__(self, *, subtracts_b_dec: bool = False) -> None:
        self._subtracts_b_dec = subtracts_b_dec

    def hub_files(self, module: str) -> HubFiles:
        """Of folders, or of the root."""
        # Configurations of all folders: with any of them the root holds no coder for everything.
        return HubFiles([CONFIG, f"*/{CONFIG}"], [WEIGHTS, f"*{module}/{WEIGHTS}"])

    def find(self, source: Path, module: str) -> Path | None:
        """The coder's folder, its name with or without wrapper prefixes.

        It is the root where that is a coder and no folder below it is one.
        """
        if _is_coder(source / module):
            return source / module
        folders = sorted(path.parent for path in source.glob(f"*/{CONFIG}"))
        for folder in folders:
            if bare(folder.name) == bare(module) and _is_coder(folder):
                return folder
        return source if not folders and _is_coder(source) else None

    def files_of(self, place: Path, module: str) -> list[Path]:
        """Files whose content is the coder, in the order of its fingerprint."""
        return [place / CONFIG, place / WEIGHTS]

    def describe(self, place: Path, module: str) -> Described:
        """Shape from `cfg.json`, which names no hook; raises `DataError` when it is not one."""
        return Described(_config(place).shape)

    def load(
        self, place: Path, module: str, device: torch.device, dtype: torch.dtype
    ) -> LinearCoder:
        """The coder in `place`; raises `DataError` for damaged files or shapes that do not fit."""
        config = _config(place)
        tensors = _tensors(place / WEIGHTS, config, device, dtype)
        subtracts = self._subtracts_b_dec or not config.transcode
        return LinearCoder(
            shape=config.shape,
            encoder_rows=tensors["encoder.weight"],
            encoder_bias=tensors["encoder.bias"],
            decoder_rows=tensors["W_dec"],
            decoder_bias=tensors["b_dec"],
            activation=config.function,
            fingerprint=fingerprint(self.files_of(place, module)),
            input_bias=tensors["b_dec"] if subtracts else None,
            skip=tensors.get("W_skip"),
        )


def _is_coder(folder: Path) -> bool:
    """Whether it is one of this format: SAELens has a cfg.json too, with d_sae in it.

    One that is damaged is, so that its reader says what is wrong.
    """
    if not (folder / CONFIG).is_file() or (folder / "sae_weights.safetensors").exists():
        return False
    try:
        return "d_sae" not in read_json(folder / CONFIG)
    except DataError:
        return True


def _config(folder: Path) -> Config:
    path = folder / CONFIG
    raw = read_json(path)
    try:
        d_in = int(raw["d_in"])
        config = Config(
            activation=raw.get("activation", "topk"),
            num_latents=int(raw.get("num_latents") or d_in * int(raw.get("expansion_factor", 32))),
            d_in=d_in,
            k=int(raw.get("k", 32)),
            signed=bool(raw.get("signed", False)),
            transcode=bool(raw.get("transcode", False)),
            skip_connection=bool(raw.get("skip_connection", False)),
        )
    except (ValueError, OverflowError, KeyError, TypeError) as error:
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
    n, d = config.num_latents, config.d_in
    shapes: dict[str, Shape] = {
        "encoder.weight": (n, d),
        "encoder.bias": (n,),
        "W_dec": (n, d),
        "b_dec": (d,),
    }
    if config.skip_connection:
        shapes["W_skip"] = (d, d)
    stored = chosen(path, read_safetensors(path, device), shapes)
    return {name: tensor.to(dtype) for name, tensor in stored.items()}
