"""Names of the place in a model that a coder reads, as modules of Hugging Face models.

In: a name of TransformerLens (`blocks.5.hook_resid_post`) or of Hugging Face with a side
(`model.layers.5.output`), and the model's type. Out: module and side.

Read one way only, so that a coder has one place: `hook_resid_pre` of block 5 is the input of
layer 5, not the output of layer 4. TransformerLens's names of an MLP's and attention's output mean
what is added to the residual stream: from Gemma 2 on that is the output of the norm that follows
them. `hook_normalized` is a place of the norm, not of what reads it: TransformerLens hooks a
LayerNorm after its gain and bias, an RMSNorm before its gain, which no module of Hugging Face
returns (`subject.Side`).
"""

import re
from typing import NamedTuple

from delphi_assets.errors import DataError
from delphi_assets.models.subject import Hook, Side, strip_wrapper


class _Family(NamedTuple):
    """What the parts of a layer are called, below the layer."""

    layer: str
    attention_norm: str
    heads: str
    """Reads the heads' values side by side."""
    attention_out: str
    """Returns what attention adds to the residual stream."""
    mlp_norm: str
    neurons: str
    """Reads the MLP's neurons."""
    mlp_out: str
    """Returns what the MLP adds to the residual stream."""
    mlp: str = "mlp"


_NEOX = _Family(
    layer="layers",
    attention_norm="input_layernorm",
    heads="attention.dense",
    attention_out="attention",
    mlp_norm="post_attention_layernorm",
    neurons="mlp.dense_4h_to_h",
    mlp_out="mlp",
)
_GPT2 = _Family(
    layer="h",
    attention_norm="ln_1",
    heads="attn.c_proj",
    attention_out="attn",
    mlp_norm="ln_2",
    neurons="mlp.c_proj",
    mlp_out="mlp",
)
_GPT_NEO = _GPT2._replace(heads="attn.attention.out_proj")
_LLAMA = _Family(
    layer="layers",
    attention_norm="input_layernorm",
    heads="self_attn.o_proj",
    attention_out="self_attn",
    mlp_norm="post_attention_layernorm",
    neurons="mlp.down_proj",
    mlp_out="mlp",
)
_GEMMA_2 = _LLAMA._replace(
    attention_out="post_attention_layernorm",
    mlp_norm="pre_feedforward_layernorm",
    mlp_out="post_feedforward_layernorm",
)

_FAMILIES = {
    "gpt_neox": _NEOX,
    "gpt2": _GPT2,
    "gpt_neo": _GPT_NEO,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _GEMMA_2,
    "gemma3": _GEMMA_2,
    "gemma3_text": _GEMMA_2,
}

_PLACES: dict[str, Hook] = {
    "hook_resid_pre": Hook("", "input"),
    "hook_resid_post": Hook("", "output"),
    "hook_resid_mid": Hook("mlp_norm", "input"),
    "hook_mlp_in": Hook("mlp_norm", "input"),
    "hook_mlp_out": Hook("mlp_out", "output"),
    "hook_attn_out": Hook("attention_out", "output"),
    "attn.hook_z": Hook("heads", "input"),
    "ln1.hook_normalized": Hook("attention_norm", "normalized input"),
    "ln2.hook_normalized": Hook("mlp_norm", "normalized input"),
    "mlp.hook_in": Hook("mlp", "input"),
    "mlp.hook_post": Hook("neurons", "input"),
    "mlp.hook_out": Hook("mlp", "output"),
}
"""What follows the block's number -> part of the family's layer, "" for the layer itself."""

_SIDES: dict[str, Side] = {
    ".input": "input",
    ".output": "output",
    ".normalized": "normalized input",
}


def side_of(name: str) -> Side:
    """The side of a module that a hook's name stands for, in whatever model.

    Raises `DataError` for a name of TransformerLens that is not known.
    """
    block = _block(name)
    return _place(name, block[1]).side if block else _hugging_face(name).side


def locate(name: str, model_type: str) -> Hook | None:
    """Module and side of a hook's name in a model; None for a family whose modules are not known.

    `model_type` is that of the text model's configuration. Raises `DataError` as `side_of`.
    """
    block = _block(name)
    if block is None:
        return _hugging_face(name)
    place, family = _place(name, block[1]), _FAMILIES.get(model_type)
    return None if family is None else _in_family(block[0], place, family)


def layer_read(name: str) -> int | None:
    """The number of the layer in a hook's name, whatever the model; None where it has none."""
    block = _block(name)
    return block[0] if block else layer_of(_hugging_face(name).module)


def names_of(hookpoint: str) -> list[str]:
    """Names of TransformerLens that mean a hookpoint without prefixes, in some family."""
    number = layer_of(hookpoint)
    families = set(_FAMILIES.values())
    return [
        f"blocks.{number}.{suffix}"
        for suffix, place in _PLACES.items()
        if number is not None
        and any(_in_family(number, place, family).module == hookpoint for family in families)
    ]


def layer_of(hookpoint: str) -> int | None:
    """The number of the layer in a hookpoint's name, None where there is none or several."""
    numbers = [part for part in hookpoint.split(".") if part.isdecimal()]
    return int(numbers[0]) if len(numbers) == 1 else None


def bare(hookpoint: str) -> str:
    """A hookpoint's name without any wrapper prefix."""
    while (shorter := strip_wrapper(hookpoint)) != hookpoint:
        hookpoint = shorter
    return hookpoint


def _in_family(number: int, place: Hook, family: _Family) -> Hook:
    layer = f"{family.layer}.{number}"
    module = f"{layer}.{getattr(family, place.module)}" if place.module else layer
    return Hook(module, place.side)


def _block(name: str) -> tuple[int, str] | None:
    """Number and rest of a name of TransformerLens; None for one of Hugging Face."""
    match = re.fullmatch(r"blocks\.(\d+)\.(.+)", name)
    if match:
        return int(match[1]), match[2]
    if name.startswith("hook_"):
        raise _unknown(name)
    return None


def _place(name: str, suffix: str) -> Hook:
    if suffix not in _PLACES:
        raise _unknown(name)
    return _PLACES[suffix]


def _unknown(name: str) -> DataError:
    return DataError(
        f"the coder reads {name!r}, which has no module of its own in Hugging Face models; "
        f"supported after 'blocks.N.': {sorted(_PLACES)}."
    )


def _hugging_face(name: str) -> Hook:
    for suffix, side in _SIDES.items():
        if name.endswith(suffix):
            return Hook(name.removesuffix(suffix), side)
    return Hook(name, "output")
