"""Damage to any format's files is refused, whatever it raises below."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from delphi_assets.coders import load_coder
from delphi_assets.coders.files import npz_shapes, read_npz
from delphi_assets.errors import DataError
from tests.coders.test_dictionary_learning import make as make_dictionary
from tests.coders.test_gemma_scope import make_first
from tests.coders.test_saelens import make as make_saelens
from tests.parts.dense_coders import draw
from tests.parts.tiny_parts import make_coder

pytestmark = pytest.mark.usefixtures("one_thread")

Tensors = dict[str, torch.Tensor]


def save_npz(tensors: Tensors, path: Path) -> None:
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
    np.savez(path, **arrays)


def load_npz(path: Path) -> Tensors:
    with np.load(path) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize(
    ("make", "file", "read", "save"),
    [
        (lambda folder: make_coder(folder, "."), "sae.safetensors", load_file, save_file),
        (
            lambda folder: make_saelens(folder, "jumprelu"),
            "sae_weights.safetensors",
            load_file,
            save_file,
        ),
        (make_first, "params.npz", load_npz, save_npz),
        (
            lambda folder: make_dictionary(folder, "GatedAutoEncoder"),
            "ae.pt",
            torch.load,
            torch.save,
        ),
    ],
    ids=["sparsify", "saelens", "gemma_scope", "dictionary_learning"],
)
def test_weights_that_are_not_finite_are_refused(
    tmp_path: Path,
    make: Callable[[Path], object],
    file: str,
    read: Callable[[Path], Tensors],
    save: Callable[[Tensors, Path], None],
    value: float,
) -> None:
    make(tmp_path)
    tensors = read(tmp_path / file)
    assert len(tensors) >= 4
    for name, tensor in tensors.items():
        damaged = tensor.clone()
        damaged.view(-1)[-1] = value
        save({**tensors, name: damaged}, tmp_path / file)
        with pytest.raises(DataError, match=rf"(?i){file} holds {name} with values from .*finite"):
            load_coder(tmp_path, "layers.1")
    save(tensors, tmp_path / file)
    assert len(load_coder(tmp_path, "layers.1").encode(draw(1, 5, tensor_width(tensors))).value)


def tensor_width(tensors: Tensors) -> int:
    return next(len(tensors[name]) for name in ("b_dec", "decoder_bias") if name in tensors)


@pytest.mark.parametrize("damaged", ["W_enc", "threshold"])
def test_damaged_compression_is_refused(tmp_path: Path, damaged: str) -> None:
    make_first(tmp_path)
    path = tmp_path / "params.npz"
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in load_npz(path).items()}
    np.savez_compressed(path, **arrays)
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{damaged}.npy")
    content = bytearray(path.read_bytes())
    # Behind the entry's header and the end of its name: a block of a kind that deflate lacks.
    start = content.index(entry.filename.encode(), entry.header_offset) + len(entry.filename)
    content[start : start + entry.compress_size] = b"\xff" * entry.compress_size
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive, pytest.raises(zlib.error):
        archive.read(entry)
    for read in (lambda: npz_shapes(path), lambda: read_npz(path, torch.device("cpu"))):
        with pytest.raises(DataError, match=r"params\.npz cannot be read"):
            read()
