"""The files that coders are kept in, with every damage a `DataError` that names it.

In: paths of JSON, safetensors, npz and PyTorch files. Out: JSON objects, tensors and
shapes. Nothing in a file is ever executed: npz is read without object arrays, and PyTorch's
pickle is read by the loader that makes tensors only.

Whatever a reader of another library raises means that the file cannot be read: where bytes are
damaged, these raise what they happen to stumble over.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from delphi_assets.errors import DataError
from delphi_assets.ground.foreign_json import parse_json

_WEIGHTS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Kinds of numbers that weights may be: what else there is would become others when it is read."""

_KINDS = tuple(str(kind).removeprefix("torch.") for kind in _WEIGHTS)

Shape = tuple[int, ...]


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`."""
    try:
        raw = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is not readable JSON ({type(error).__name__}: {error}); download or save it "
            "again."
        ) from error
    if not isinstance(raw, dict):
        raise DataError(f"{path} holds a JSON {type(raw).__name__}; expected an object.")
    return raw


def safetensors_shapes(path: Path) -> dict[str, Shape]:
    """Shapes of the tensors in a safetensors file, from its header."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise unreadable(path, error) from error


def read_safetensors(path: Path, device: torch.device) -> dict[str, Tensor]:
    """The tensors of a safetensors file."""
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path, device=str(device))
    except Exception as error:
        raise unreadable(path, error) from error
    return tensors


def npz_shapes(path: Path) -> dict[str, Shape]:
    """Shapes of the arrays in an npz file, from their headers."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): _npy_shape(archive, name) for name in archive.namelist()
            }
    except Exception as error:
        raise unreadable(path, error) from error


def _npy_shape(archive: zipfile.ZipFile, name: str) -> Shape:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)[0]
        return np.lib.format.read_array_header_2_0(file)[0]


def read_npz(path: Path, device: torch.device) -> dict[str, Tensor]:
    """The arrays of an npz file; one that holds Python objects is refused."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]).to(device) for name in arrays.files}
    except Exception as error:
        raise unreadable(path, error) from error


def read_torch(path: Path, device: torch.device) -> dict[str, Tensor]:
    """The state dict in a file of `torch.save`; a pickle that holds anything else is refused."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise unreadable(path, error) from error
    if not isinstance(state, dict) or not all(isinstance(part, Tensor) for part in state.values()):
        raise DataError(f"{path} holds a {type(state).__name__}; expected names and tensors.")
    return state


def check_shapes(path: Path, found: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> None:
    """Refuse tensors that lack one of `wanted` or have another shape."""
    if empty := [name for name, shape in wanted.items() if not all(size > 0 for size in shape)]:
        raise DataError(
            f"{path} holds {empty[0]} {list(wanted[empty[0]])}, without any number in it; expected "
            "a coder with latents and a width."
        )
    relevant = {name: found[name] for name in wanted if name in found}
    if relevant != dict(wanted):
        raise DataError(
            f"{path} holds {relevant or dict(found)}; its configuration asks for {dict(wanted)}. "
            "They belong to different coders."
        )


def chosen(
    path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Shape]
) -> dict[str, Tensor]:
    """Those of the tensors in `path` that are wanted.

    Refuses other shapes, other kinds of numbers, and what is not finite in single precision.
    """
    check_shapes(path, shapes_of(found), wanted)
    for name in wanted:
        tensor = found[name]
        if tensor.dtype not in _WEIGHTS or tensor.layout != torch.strided or tensor.is_meta:
            raise DataError(
                f"{path} holds {name} as {tensor.layout} {tensor.dtype}"
                f"{' without values' if tensor.is_meta else ''}; expected {', '.join(_KINDS)}. "
                "Save it again as one of these."
            )
        # Both are NaN where anything is, and take no memory.
        smallest, largest = (value.float() for value in tensor.aminmax())
        if not (smallest.isfinite() and largest.isfinite()):
            raise DataError(
                f"{path} holds {name} with values from {smallest} to {largest}; expected finite "
                "ones. Download or save it again."
            )
    return {name: found[name] for name in wanted}


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Shapes of tensors by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def unreadable(path: Path, error: Exception) -> DataError:
    """The error for a file that is damaged or holds what must not be read."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{path} cannot be read ({reason}); download or save it again.")
