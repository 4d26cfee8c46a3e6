"""Coders of dictionary_learning, read without that package.

In: the folder of one coder, `config.json` + `ae.pt`, a state dict of which only tensors are read.
Out: a `LinearCoder`. The class in `trainer.dict_class` says how it computes; with
pre = (x - bias) encoder.weight^T + encoder.bias, tensors `encoder.weight` [n, d], `encoder.bias`
[n] and `decoder.weight` [d, n]:

- AutoEncoder: relu(pre), `bias` [d]. The package's own loader may rescale such a coder to decoder
  columns of norm 1, which changes the unit of each latent; here it stays as it was saved.
- AutoEncoderNew: relu(pre) without a bias on x; `decoder.bias` [d] is added to the output.
- AutoEncoderTopK: the k largest, relu, `b_dec` [d].
- BatchTopKSAE: relu(pre) where pre > the scalar `threshold`, below 0 while unset, `b_dec` [d].
  MatryoshkaBatchTopKSAE is the same with the names and shapes of JumpReLU.
- JumpReluAutoEncoder: `W_enc` [d, n], `W_dec` [n, d], `b_enc`, `threshold` [n]; `b_dec` is not
  subtracted.
- GatedAutoEncoder: gate = (x - decoder_bias) encoder.weight^T + gate_bias; relu of
  exp(r_mag) (x - decoder_bias) encoder.weight^T + mag_bias where gate > 0.

Versions of the package differ in the unit of what Gated and JumpReLU coders return: some multiply
each latent by the norm of its decoder row, and files do not say which version wrote them. Here it
is the formula above, without the norm; which latents fire is the same.

Where it was trained is in `trainer.submodule_name` (`resid_post_layer_8`), and whether on a
module's input or output in `buffer.io`; a coder reads an output where nothing says otherwise. One
from a module's input to its output (`in_and_out`) is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from delphi_assets.coders import hooks
from delphi_assets.coders.activation_functions import (
    ActivationFunction,
    Gated,
    TopK,
    jump_relu,
    relu,
)
from delphi_assets.coders.coder import CoderShape
from delphi_assets.coders.coder_format import CoderFormat, Described, HubFiles
from delphi_assets.coders.files import Shape, chosen, read_json, read_torch
from delphi_assets.coders.linear import LinearCoder
from delphi_assets.errors import DataError
from delphi_assets.ground.machine_cache import fingerprint
from delphi_assets.models.subject import Side

CONFIG, WEIGHTS = "config.json", "ae.pt"

_PLACES = {"resid_post": "hook_resid_post", "mlp_out": "hook_mlp_out", "attn_out": "hook_attn_out"}


_SIDES: dict[str, Side] = {"in": "input", "out": "output"}


@dataclass(frozen=True)
class _Names:
    """What a class calls its tensors, and whether matrices have a row a latent or a column."""

    encoder: str
    encoder_bias: str
    decoder: str
    decoder_bias: str
    subtracts: bool
    """Whether decoder_bias is subtracted from the input."""
    latents_in_rows: bool = True
    """[n, d] encoder and [d, n] decoder, as nn.Linear; else [d, n] and [n, d]."""
    more: tuple[tuple[str, bool], ...] = ()
    """Further tensors, and whether they have an entry a latent."""

    def shapes(self, n: int, d: int) -> dict[str, Shape]:
        """Shapes of all tensors."""
        rows, columns = (n, d), (d, n)
        return {
            self.encoder: rows if self.latents_in_rows else columns,
            self.encoder_bias: (n,),
            self.decoder: columns if self.latents_in_rows else rows,
            self.decoder_bias: (d,),
            **{name: (n,) if per_latent else () for name, per_latent in self.more},
        }


_LINEAR = ("encoder.weight", "encoder.bias", "decoder.weight")
_PARAMETERS = ("W_enc", "b_enc", "W_dec", "b_dec")

_CLASSES = {
    "AutoEncoder": _Names(*_LINEAR, "bias", True),
    "AutoEncoderNew": _Names(*_LINEAR, "decoder.bias", False),
    "AutoEncoderTopK": _Names(*_LINEAR, "b_dec", True),
    "BatchTopKSAE": _Names(*_LINEAR, "b_dec", True, more=(("threshold", False),)),
    "MatryoshkaBatchTopKSAE": _Names(*_PARAMETERS, True, False, (("threshold", False),)),
    "JumpReluAutoEncoder": _Names(*_PARAMETERS, False, False, (("threshold", True),)),
    "GatedAutoEncoder": _Names(
        "encoder.weight",
        "gate_bias",
        "decoder.weight",
        "decoder_bias",
        True,
        more=(("r_mag", True), ("mag_bias", True)),
    ),
}


@dataclass(frozen=True)
class Config:
    """The keys of `config.json` that decide how the coder computes."""

    kind: str
    shape: CoderShape
    k: int
    hook: str | None


class DictionaryLearning(CoderFormat):
    """Coders of dictionary_learning."""

    layout = "config.json + ae.pt, in the folder of one coder"

    def hub_files(self, module: str) -> HubFiles:
        """Of the root, and of a folder of the module's: there may be hundreds."""
        folders = ("", f"*{module}/")
        return HubFiles(
            [f"{one}{CONFIG}" for one in folders], [f"{one}{WEIGHTS}" for one in folders]
        )

    def find(self, source: Path, module: str) -> Path | None:
        """The source, or the folder below it that has the module's name."""
        for folder in (source, source / module, source / hooks.bare(module)):
            if (folder / WEIGHTS).is_file() or _is_config(folder / CONFIG):
                return folder
        return None

    def files_of(self, place: Path, module: str) -> list[Path]:
        """Files whose content is the coder, in the order of its fingerprint."""
        return [place / CONFIG, place / WEIGHTS]

    def describe(self, place: Path, module: str) -> Described:
        """Shape and hook from `config.json`; raises `DataError` for a class that is not known."""
        config = _config(place)
        return Described(config.shape, config.hook)

    def load(
        self, place: Path, module: str, device: torch.device, dtype: torch.dtype
    ) -> LinearCoder:
        """The coder in `place`; raises `DataError` for damaged files or shapes that do not fit."""
        config, path = _config(place), place / WEIGHTS
        names = _CLASSES[config.kind]
        shapes = names.shapes(config.shape.num_latents, config.shape.d_in)
        stored = chosen(path, read_torch(path, device), shapes)
        tensors = {name: tensor.to(dtype) for name, tensor in stored.items()}
        if "r_mag" in stored:
            tensors["scale"] = stored["r_mag"].float().exp().to(dtype)
        encoder, decoder = tensors[names.encoder], tensors[names.decoder]
        bias = tensors[names.decoder_bias]
        return LinearCoder(
            shape=config.shape,
            encoder_rows=encoder if names.latents_in_rows else encoder.mT,
            encoder_bias=tensors[names.encoder_bias],
            decoder_rows=decoder.mT.contiguous() if names.latents_in_rows else decoder,
            decoder_bias=bias,
            activation=_activation(config, tensors),
            fingerprint=fingerprint(self.files_of(place, module)),
            input_bias=bias if names.subtracts else None,
        )


def _is_config(path: Path) -> bool:
    """Whether it is one of this format: others have a config.json too."""
    try:
        return path.is_file() and "dict_class" in read_json(path).get("trainer", {})
    except (DataError, TypeError):
        return False


def _activation(config: Config, tensors: Mapping[str, Tensor]) -> ActivationFunction:
    if config.kind == "AutoEncoderTopK":
        return TopK(config.k)
    if config.kind == "GatedAutoEncoder":
        return Gated(tensors["gate_bias"], tensors["scale"], tensors["mag_bias"])
    if "threshold" in tensors:
        return jump_relu(tensors["threshold"].expand(config.shape.num_latents))
    bias = tensors["encoder.bias"]
    return relu(config.shape.num_latents, bias.device, bias.dtype)


def _config(folder: Path) -> Config:
    path = folder / CONFIG
    raw = read_json(path)
    try:
        trainer, buffer = raw["trainer"], raw.get("buffer") or {}
        kind = str(trainer["dict_class"])
        n, d = int(trainer["dict_size"]), int(trainer["activation_dim"])
        io = str(buffer.get("io") or "out")
        k = int(trainer.get("k") or 0)
        hook = _hook(str(trainer.get("submodule_name") or ""))
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not a configuration of dictionary_learning ({type(error).__name__}: "
            f"{error}); expected a JSON object with trainer.dict_class, dict_size and "
            "activation_dim."
        ) from error
    if io not in _SIDES:
        raise DataError(f"{path} has buffer.io = {io!r}; expected one of {sorted(_SIDES)}.")
    if kind not in _CLASSES:
        raise DataError(
            f"{path} has trainer.dict_class = {kind!r}; expected one of {sorted(_CLASSES)}."
        )
    if kind == "AutoEncoderTopK" and not 0 < k <= n:
        raise DataError(
            f"{path} has trainer.k = {k} with dict_size = {n}; expected k from 1 to dict_size."
        )
    return Config(kind, CoderShape(n, d, _SIDES[io]), k, hook)


def _hook(submodule: str) -> str | None:
    match = re.fullmatch(r"(resid_post|mlp_out|attn_out)_layer_(\d+)", submodule)
    return f"blocks.{match[2]}.{_PLACES[match[1]]}" if match else None
