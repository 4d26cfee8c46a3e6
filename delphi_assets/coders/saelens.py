"""Coders of SAELens, read without the sae-lens package: version 6 and the flat files before it.

In: `cfg.json` + `sae_weights.safetensors`, in the source itself, in a folder <hookpoint>, or in one
with the TransformerLens name of the hookpoint. Out: a `LinearCoder`.

Tensors: `W_enc` [d, n], `W_dec` [n, d_out], `b_enc` [n], `b_dec` [d_out]; jumprelu adds `threshold`
[n]; gated has `b_gate`, `b_mag`, `r_mag` [n] and no `b_enc`; skip transcoders `W_skip` [d_out, d].
Encoding, with x' = normalized x, less b_dec if `apply_b_dec_to_input`, and pre = x' W_enc + b_enc:

- standard: relu(pre). transcoder and skip_transcoder: the same, never less b_dec.
- topk: the k largest, relu; abstopk: the k largest by magnitude, with their signs. Where
  `rescale_acts_by_decoder_norm`, pre is first multiplied by the norms of W_dec's rows; here these
  are folded into the weights, so that decoder rows have norm 1.
- jumprelu, jumprelu_transcoder, jumprelu_skip_transcoder: relu(pre) where pre > threshold. SAELens
  saves batchtopk and matryoshka coders like this.
- gated: relu(x' (W_enc exp(r_mag)) + b_mag) where x' W_enc + b_gate > 0.

`expected_average_only_in` scales all inputs by one number. SAELens folds it into the weights when
training ends and then writes `none`. Before that, a checkpoint has it in `activation_scaler.json`,
and it is folded here. A file without it is refused: SAELens looks some of those up in a table
inside its package, and leaves the others unscaled with a warning.

A coder of hook_z reads all heads side by side, which is how Hugging Face's output projection gets
them, so nothing is reshaped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from delphi_assets.coders import hooks
from delphi_assets.coders.activation_functions import (
    AbsTopK,
    ActivationFunction,
    Gated,
    TopK,
    jump_relu,
    relu,
)
from delphi_assets.coders.coder import CoderShape
from delphi_assets.coders.coder_format import CoderFormat, Described, HubFiles
from delphi_assets.coders.files import (
    Shape,
    chosen,
    read_json,
    read_safetensors,
)
from delphi_assets.coders.linear import LinearCoder
from delphi_assets.coders.normalization import Normalization
from delphi_assets.errors import DataError
from delphi_assets.ground.machine_cache import fingerprint

CONFIG, WEIGHTS, SCALER = "cfg.json", "sae_weights.safetensors", "activation_scaler.json"

_ACTIVATIONS = {
    "standard": "relu",
    "topk": "topk",
    "abstopk": "abstopk",
    "jumprelu": "jumprelu",
    "gated": "gated",
    "transcoder": "relu",
    "skip_transcoder": "relu",
    "jumprelu_transcoder": "jumprelu",
    "jumprelu_skip_transcoder": "jumprelu",
}
"""architecture -> activation function."""

_PROCESSING = {
    "center_writing_weights": "",
    "fold_ln": "hook_normalized",
    "fold_value_biases": "hook_z",
}
"""Change that TransformerLens can make to a model -> in the names of the hooks it is seen at."""

_AVERAGE = "expected_average_only_in"


@dataclass(frozen=True)
class Config:
    """The keys of `cfg.json`, new or old, that decide how the coder computes."""

    architecture: str
    shape: CoderShape
    d_out: int
    k: int
    rescaled: bool
    subtracts_b_dec: bool
    normalization: Normalization
    averaged: bool
    """Whether inputs are scaled by a number that is not among the weights."""
    hook: str | None

    @property
    def transcodes(self) -> bool:
        """Whether it rebuilds something else than it reads."""
        return "transcoder" in self.architecture

    @property
    def tensors(self) -> dict[str, Shape]:
        """Names and shapes of the tensors that belong to it."""
        n, d = self.shape.num_latents, self.shape.d_in
        shapes: dict[str, Shape] = {
            "W_enc": (d, n),
            "W_dec": (n, self.d_out),
            "b_dec": (self.d_out,),
        }
        per_latent = {"gated": ("b_gate", "b_mag", "r_mag"), "jumprelu": ("b_enc", "threshold")}
        names = per_latent.get(_ACTIVATIONS[self.architecture], ("b_enc",))
        shapes.update(dict.fromkeys(names, (n,)))
        if "skip" in self.architecture:
            shapes["W_skip"] = (self.d_out, d)
        return shapes


class SAELens(CoderFormat):
    """Coders of SAELens."""

    layout = "cfg.json + sae_weights.safetensors, also in <hookpoint>/ or blocks.N.hook_.../"

    def hub_files(self, module: str) -> HubFiles:
        """Of the root, and of folders named after the module or its hooks."""
        names = [module, *hooks.names_of(module)]
        folders = ["", *(f"{start}{name}/" for name in names for start in ("", "*/", "*."))]
        scalers = [f"{folder}{SCALER}" for folder in folders]
        return HubFiles([CONFIG, f"*/{CONFIG}", *scalers], [f"{one}{WEIGHTS}" for one in folders])

    def find(self, source: Path, module: str) -> Path | None:
        """The coder's folder: the source, or the one below it that has the module's name.

        Raises `DataError` when two folders mean the module, such as an input and an output.
        """
        if _is_coder(source):
            return source
        wanted = {hooks.bare(module), *hooks.names_of(hooks.bare(module))}
        found = [
            path.parent
            for path in sorted(source.glob(f"*/{CONFIG}"))
            if hooks.bare(path.parent.name) in wanted and _is_coder(path.parent)
        ]
        if len(found) > 1:
            raise DataError(
                f"{source} holds {[folder.name for folder in found]}, which are all at hookpoint "
                f"{module!r}; give the folder of one of them instead."
            )
        return found[0] if found else None

    def files_of(self, place: Path, module: str) -> list[Path]:
        """Files whose content is the coder, in the order of its fingerprint."""
        averaged = _config(place).averaged
        return [place / CONFIG, place / WEIGHTS, *([place / SCALER] if averaged else [])]

    def describe(self, place: Path, module: str) -> Described:
        """Shape and hook from `cfg.json`; raises `DataError` for what cannot be computed."""
        config = _config(place)
        return Described(config.shape, config.hook)

    def load(
        self, place: Path, module: str, device: torch.device, dtype: torch.dtype
    ) -> LinearCoder:
        """The coder in `place`; raises `DataError` for damaged files or shapes that do not fit."""
        config, path = _config(place), place / WEIGHTS
        stored = read_safetensors(path, device)
        _check_scaling_factor(path, stored)
        folded = _folded(chosen(path, stored, config.tensors), config, place)
        tensors = {name: tensor.to(dtype) for name, tensor in folded.items()}
        return LinearCoder(
            shape=config.shape,
            encoder_rows=tensors["W_enc"].mT,
            encoder_bias=tensors["b_gate" if config.architecture == "gated" else "b_enc"],
            decoder_rows=tensors["W_dec"],
            decoder_bias=tensors["b_dec"],
            activation=_activation(config, tensors),
            fingerprint=fingerprint(self.files_of(place, module)),
            input_bias=tensors["b_dec"] if config.subtracts_b_dec else None,
            normalization=config.normalization,
            restores_scale=not config.transcodes,
            skip=tensors.get("W_skip"),
        )


def _is_coder(folder: Path) -> bool:
    if not (folder / CONFIG).is_file():
        return False
    if (folder / WEIGHTS).is_file():
        return True
    try:
        return "d_sae" in read_json(folder / CONFIG)
    except DataError:
        return False


def _folded(stored: Mapping[str, Tensor], config: Config, folder: Path) -> dict[str, Tensor]:
    """The coder's tensors after what is folded into them, in single precision."""
    tensors = dict(stored)
    if config.rescaled:
        norms = tensors["W_dec"].float().norm(dim=1)
        tensors["W_enc"] = tensors["W_enc"] * norms
        tensors["b_enc"] = tensors["b_enc"] * norms
        # A row of zeros stays one: its latent is always zero too.
        tensors["W_dec"] = tensors["W_dec"] / norms.clamp(min=1e-30)[:, None]
    if config.averaged:
        scale = _scale(folder)
        tensors["W_enc"] = tensors["W_enc"].float() * scale
        tensors["W_dec"] = tensors["W_dec"].float() / scale
        tensors["b_dec"] = tensors["b_dec"].float() / scale
    if config.architecture == "gated":
        tensors["scale"] = tensors.pop("r_mag").float().exp()
    return tensors


def _activation(config: Config, tensors: Mapping[str, Tensor]) -> ActivationFunction:
    name = _ACTIVATIONS[config.architecture]
    if name == "topk":
        return TopK(config.k)
    if name == "abstopk":
        return AbsTopK(config.k)
    if name == "gated":
        return Gated(tensors["b_gate"], tensors["scale"], tensors["b_mag"])
    if name == "jumprelu":
        return jump_relu(tensors["threshold"])
    return relu(config.shape.num_latents, tensors["b_enc"].device, tensors["b_enc"].dtype)


def _scale(folder: Path) -> float:
    scale = read_json(folder / SCALER).get("scaling_factor")
    if not isinstance(scale, int | float) or not scale > 0:
        raise DataError(
            f"{folder / SCALER} has scaling_factor = {scale!r}; expected a number above 0."
        )
    return float(scale)


def _check_scaling_factor(path: Path, tensors: Mapping[str, Tensor]) -> None:
    factor = tensors.get("scaling_factor")
    if factor is not None and not torch.allclose(factor, torch.ones_like(factor)):
        raise DataError(
            f"{path} has a finetuned scaling_factor, which SAELens dropped in version 6; expected "
            "a coder without one, or with ones only."
        )


def _config(folder: Path) -> Config:
    path = folder / CONFIG
    raw = read_json(path)
    try:
        # Version 6 keeps where the coder was trained apart, in metadata.
        about = {**raw, **(raw.get("metadata") or {})}
        architecture = _architecture(path, raw)
        transcodes = "transcoder" in architecture
        hook = about.get("hf_hook_name") or about.get("hook_name") or about.get("hook_point")
        side = hooks.side_of(hook) if hook else "input" if transcodes else "output"
        shape = CoderShape(int(raw["d_sae"]), int(raw["d_in"]), side)
        normalization = _normalization(path, raw)
        config = Config(
            architecture=architecture,
            shape=shape,
            d_out=int(raw.get("d_out") or shape.d_in) if transcodes else shape.d_in,
            k=int(raw.get("k") or (raw.get("activation_fn_kwargs") or {}).get("k") or 0),
            rescaled=bool(raw.get("rescale_acts_by_decoder_norm", False)),
            subtracts_b_dec=bool(raw.get("apply_b_dec_to_input", not transcodes)),
            normalization="none" if normalization == _AVERAGE else normalization,
            averaged=normalization == _AVERAGE,
            hook=hook,
        )
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not a configuration of SAELens ({type(error).__name__}: {error}); expected "
            "a JSON object with d_in, d_sae and architecture."
        ) from error
    _check(path, config, about)
    return config


def _architecture(path: Path, raw: Mapping[str, Any]) -> str:
    architecture = raw.get("architecture", "standard")
    activation = raw.get("activation_fn_str") or raw.get("activation_fn") or "relu"
    if architecture == "standard" and activation == "topk":
        return "topk"
    if architecture not in _ACTIVATIONS:
        raise DataError(
            f"{path} has architecture = {architecture!r}; expected one of {sorted(_ACTIVATIONS)}. "
            "A batchtopk or matryoshka coder is read as SAELens saves it for inference, jumprelu."
        )
    if activation not in ("relu", "topk"):
        raise DataError(f"{path} has activation_fn = {activation!r}; expected 'relu' or 'topk'.")
    return str(architecture)


def _normalization(path: Path, raw: Mapping[str, Any]) -> Any:
    """`normalize_activations`; older files hold true or false."""
    name = raw.get("normalize_activations") or "none"
    if name is True:
        name = _AVERAGE
    if name not in (*get_args(Normalization), _AVERAGE):
        raise DataError(
            f"{path} has normalize_activations = {name!r}; expected one of "
            f"{[*get_args(Normalization), _AVERAGE]}. SAELens folds a whitening into the weights "
            "when training ends: save the coder then."
        )
    return name


def _check(path: Path, config: Config, about: Mapping[str, Any]) -> None:
    if config.averaged and not (path.parent / SCALER).is_file():
        raise DataError(
            f"{path} has normalize_activations = {_AVERAGE!r}, and the number that inputs are "
            f"scaled by is in no file; expected it in {SCALER} beside it, or 'none' after folding "
            "it into the weights (SAE.fold_activation_norm_scaling_factor of SAELens)."
        )
    if "topk" in config.architecture and not 0 < config.k <= config.shape.num_latents:
        raise DataError(
            f"{path} has k = {config.k} with d_sae = {config.shape.num_latents}; expected k from 1 "
            "to d_sae."
        )
    if config.transcodes and config.subtracts_b_dec:
        raise DataError(
            f"{path} has apply_b_dec_to_input = true for a {config.architecture}, whose b_dec "
            "belongs to its output; expected false."
        )
    changes = about.get("model_from_pretrained_kwargs") or {}
    for change, where in _PROCESSING.items():
        if changes.get(change) and where in (config.hook or ""):
            raise DataError(
                f"{path} has {change} = true in model_from_pretrained_kwargs: TransformerLens "
                "changed the model's weights before the coder was trained, and the model of "
                "Hugging Face has other activations; expected a coder of an unchanged model."
            )
    for name in ("hook_head_index", "hook_point_head_index"):
        if about.get(name) is not None:
            raise DataError(
                f"{path} has {name} = {about[name]}: a coder of a single attention head; expected "
                "one that reads all heads."
            )
    if "topk" not in config.architecture and config.rescaled:
        raise DataError(
            f"{path} has rescale_acts_by_decoder_norm = true for architecture = "
            f"{config.architecture!r}; expected topk or abstopk."
        )
