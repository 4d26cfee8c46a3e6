"""Coders of Gemma Scope 1 (`params.npz`) and 2 (`params.safetensors`, sometimes `config.json`).

In: the folder of one coder, e.g. `google/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82` or
`google/gemma-scope-2-1b-pt/resid_post/layer_13_width_16k_l0_medium`. Out: a `LinearCoder`.

Tensors, in either spelling: `W_enc` [d, n], `W_dec` [n, d_out], `b_enc`, `threshold` [n], `b_dec`
[d_out]; in Gemma Scope 2 also `affine_skip_connection` [d, d_out]. Encoding: relu(pre) where
pre > threshold, with pre = x W_enc + b_enc; b_dec is not subtracted.

What a coder reads is in `config.json` or in the names of the folders above it. Where neither says,
the hookpoint decides, as each kind reads one place of a layer:

- resid_post: the output of the layer
- mlp_out: the output of its post_feedforward_layernorm
- attn_out: the input of its self_attn.o_proj
- transcoder of Gemma Scope 2: the output of its pre_feedforward_layernorm
- transcoder of Gemma Scope 1: what the norm makes of its input before the gain, x / rms(x). The
  paper (Lieberum et al. 2024, arXiv 2408.05147, "Language model technical details") folds the gain
  into the MLP and trains on activations "just after the pre-MLP RMSNorm"; the model card repeats
  it, and SAELens names the place `ln2.hook_normalized`.
"""

import re
from pathlib import Path

import torch

from delphi_assets.coders import hooks
from delphi_assets.coders.activation_functions import jump_relu
from delphi_assets.coders.coder import CoderShape
from delphi_assets.coders.coder_format import CoderFormat, Described, HubFiles
from delphi_assets.coders.files import (
    Shape,
    check_shapes,
    chosen,
    npz_shapes,
    read_json,
    read_npz,
    read_safetensors,
    safetensors_shapes,
)
from delphi_assets.coders.linear import LinearCoder
from delphi_assets.errors import DataError
from delphi_assets.ground.machine_cache import fingerprint
from delphi_assets.models.subject import Side

FIRST, SECOND, CONFIG = "params.npz", "params.safetensors", "config.json"

_SKIP = "affine_skip_connection"

_PLACES = {
    "resid_post": ".output",
    "mlp_out": ".post_feedforward_layernorm.output",
    "attn_out": ".self_attn.o_proj.input",
    "transcoder": ".pre_feedforward_layernorm.output",
}
"""Kind of coder -> what it reads, after `layers.N`."""

_FIRST_PLACES = {**_PLACES, "transcoder": ".pre_feedforward_layernorm.normalized"}
"""The same in Gemma Scope 1."""

_REPOSITORIES = {
    "res": "resid_post",
    "mlp": "mlp_out",
    "att": "attn_out",
    "transcoders": "transcoder",
}
"""End of the name of a repository of Gemma Scope 1 -> kind."""


class GemmaScope(CoderFormat):
    """Coders of Gemma Scope 1 and 2."""

    layout = "params.npz or params.safetensors, in the folder of one coder"

    def hub_files(self, module: str) -> HubFiles:
        """Of a coder's folder: a whole repository holds hundreds of coders."""
        # Shapes are in the header of the weights alone.
        return HubFiles([FIRST, SECOND, CONFIG], [])

    def find(self, source: Path, module: str) -> Path | None:
        """The source, where it is the folder of one coder."""
        return source if (source / FIRST).is_file() or (source / SECOND).is_file() else None

    def files_of(self, place: Path, module: str) -> list[Path]:
        """Files whose content is the coder, in the order of its fingerprint."""
        return [path for name in (CONFIG, FIRST, SECOND) if (path := place / name).is_file()]

    def describe(self, place: Path, module: str) -> Described:
        """Shape from the header of the weights, hook from the configuration or folders' names."""
        (d, n), hook = _shapes(place)["w_enc"], _hook(place)
        side = hooks.side_of(hook) if hook else _side(place, module)
        return Described(CoderShape(n, d, side), hook)

    def load(
        self, place: Path, module: str, device: torch.device, dtype: torch.dtype
    ) -> LinearCoder:
        """The coder in `place`; raises `DataError` for damaged files or shapes that do not fit."""
        shape = self.describe(place, module).shape
        path = _weights(place)
        read = read_npz if path.name == FIRST else read_safetensors
        stored = {name.lower(): tensor for name, tensor in read(path, device).items()}
        tensors = {
            name: tensor.to(dtype) for name, tensor in chosen(path, stored, _shapes(place)).items()
        }
        skip = tensors.get(_SKIP)
        return LinearCoder(
            shape=shape,
            encoder_rows=tensors["w_enc"].mT,
            encoder_bias=tensors["b_enc"],
            decoder_rows=tensors["w_dec"],
            decoder_bias=tensors["b_dec"],
            activation=jump_relu(tensors["threshold"]),
            fingerprint=fingerprint(self.files_of(place, module)),
            skip=None if skip is None else skip.mT,
        )


def _weights(folder: Path) -> Path:
    return folder / FIRST if (folder / FIRST).is_file() else folder / SECOND


def _places(folder: Path) -> dict[str, str]:
    return _FIRST_PLACES if _weights(folder).name == FIRST else _PLACES


def _shapes(folder: Path) -> dict[str, Shape]:
    """Shapes by lower-case name, checked against that of W_enc."""
    path = _weights(folder)
    read = npz_shapes if path.name == FIRST else safetensors_shapes
    shapes = {name.lower(): shape for name, shape in read(path).items()}
    encoder, decoder = shapes.get("w_enc", ()), shapes.get("w_dec", ())
    if len(encoder) != 2 or len(decoder) != 2:
        raise DataError(
            f"{path} holds {shapes}; expected W_enc [d, n] and W_dec [n, d_out] of a coder of a "
            "single layer."
        )
    (d, n), d_out = encoder, decoder[1]
    wanted: dict[str, Shape] = {
        "w_enc": (d, n),
        "w_dec": (n, d_out),
        "b_enc": (n,),
        "b_dec": (d_out,),
        "threshold": (n,),
    }
    if _SKIP in shapes:
        wanted[_SKIP] = (d, d_out)
    check_shapes(path, shapes, wanted)
    return wanted


def _hook(folder: Path) -> str | None:
    if (path := folder / CONFIG).is_file():
        config = read_json(path)
        if config.get("architecture", "jump_relu") != "jump_relu":
            raise DataError(
                f"{path} has architecture = {config['architecture']!r}; expected 'jump_relu'."
            )
        if hook := config.get("hf_hook_point_in"):
            return str(hook)
    names = folder.absolute().parts
    layer = next(
        (match[1] for name in reversed(names) if (match := re.match(r"layer_(\d+)(_|$)", name))),
        None,
    )
    kind = next((kind for name in reversed(names) if (kind := _kind(name))), None)
    return f"layers.{layer}{_places(folder)[kind]}" if layer is not None and kind else None


def _kind(name: str) -> str | None:
    """The kind of coder that a folder's name stands for."""
    if (kind := name.removesuffix("_all")) in _PLACES:
        return kind
    match = re.search(r"gemma-scope-\d+b-(?:pt|it)-(res|mlp|att|transcoders)(?:-canonical)?$", name)
    return _REPOSITORIES[match[1]] if match else None


def _side(folder: Path, hookpoint: str) -> Side:
    for place in _places(folder).values():
        module = f"layers.N{place}".rpartition(".")[0]
        if re.fullmatch(re.escape(module).replace("N", r"\d+"), hooks.bare(hookpoint)):
            return hooks.side_of(f"layers.N{place}")
    raise DataError(
        f"nothing says what the coder of Gemma Scope in {folder} reads, and hookpoint "
        f"{hookpoint!r} is none that it could; expected one of "
        f"{[f'layers.N{place}'.rpartition('.')[0] for place in _PLACES.values()]}."
    )
