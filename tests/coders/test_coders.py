"""Coders are found, checked and computed as sparsify computes them."""

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from delphi_assets.coders import CoderShape, describe_coder, linear, load_coder
from delphi_assets.coders.sparsify import Sparsify
from delphi_assets.errors import DataError
from tests.parts.dense_coders import dense, keep_largest
from tests.parts.tiny_parts import LATENTS, WIDTH, K, make_coder

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS: list[dict[str, Any]] = [
    {},
    {"activation": "groupmax"},
    {"transcode": True},
    {"transcode": True, "skip_connection": True},
]


def some_activations(rows: int = 50) -> torch.Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(11))


@pytest.mark.parametrize("kind", KINDS)
def test_encoding_equals_sparsify(tmp_path: Path, kind: dict[str, Any]) -> None:
    from sparsify import SparseCoder

    make_coder(tmp_path, "layers.1", **kind)
    theirs = SparseCoder.load_from_disk(tmp_path / "layers.1")
    x = some_activations()
    with torch.no_grad():
        encoded = theirs.encode(x)
        expected = torch.zeros(len(x), LATENTS)
        expected.scatter_(1, encoded.top_indices, encoded.top_acts)
        rebuilt = theirs(x).sae_out
    coder = load_coder(tmp_path, "layers.1")
    fired = coder.encode(x)
    torch.testing.assert_close(dense(fired, len(x), LATENTS), expected)
    torch.testing.assert_close(coder.decode(x, fired), rebuilt)


@pytest.mark.parametrize("signed", [False, True])
def test_encoding_equals_a_dense_reference(tmp_path: Path, signed: bool) -> None:
    make_coder(tmp_path, "layers.1", signed=signed)
    tensors = load_file(tmp_path / "layers.1" / "sae.safetensors")
    x = some_activations()
    pre = (x - tensors["b_dec"]) @ tensors["encoder.weight"].T + tensors["encoder.bias"]
    expected = keep_largest(pre.abs(), pre, K) if signed else keep_largest(pre, pre.relu(), K)
    fired = load_coder(tmp_path, "layers.1").encode(x)
    torch.testing.assert_close(dense(fired, len(x), LATENTS), expected)
    assert bool((fired.value < 0).any()) == signed


def test_a_coder_without_the_key_signed_is_not(tmp_path: Path) -> None:
    make_coder(tmp_path, "layers.1")
    config = tmp_path / "layers.1" / "cfg.json"
    before = load_coder(tmp_path, "layers.1").encode(some_activations())
    raw = json.loads(config.read_text())
    del raw["signed"]
    config.write_text(json.dumps(raw))
    after = load_coder(tmp_path, "layers.1").encode(some_activations())
    assert all(one.equal(other) for one, other in zip(before, after, strict=True))


def test_blocks_of_rows_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coder = load_coder(make_coder(tmp_path, "layers.1"), "layers.1")
    whole = coder.encode(some_activations())
    monkeypatch.setattr(linear, "_PREACTIVATION_BYTES", 7 * 4 * LATENTS)
    for one, other in zip(whole, coder.encode(some_activations()), strict=True):
        torch.testing.assert_close(one, other)
    assert whole.row.equal(whole.row.sort().values)


def test_zeros_among_the_k_are_dropped(tmp_path: Path) -> None:
    make_coder(tmp_path, "layers.1")
    path = tmp_path / "layers.1" / "sae.safetensors"
    tensors = load_file(path)
    tensors["encoder.bias"][2:] = -1e6
    save_file(tensors, path)
    fired = load_coder(tmp_path, "layers.1").encode(some_activations())
    assert set(fired.latent.tolist()) == {0, 1}
    assert (fired.value > 0).all()
    assert len(fired.row) < 2 * 50


def test_rows_without_a_latent_are_rebuilt_too(tmp_path: Path) -> None:
    make_coder(tmp_path, "layers.1")
    path = tmp_path / "layers.1" / "sae.safetensors"
    tensors = load_file(path)
    tensors["encoder.bias"][:] = -1e6
    save_file(tensors, path)
    coder = load_coder(tmp_path, "layers.1")
    x = some_activations(3)
    torch.testing.assert_close(
        coder.decode(x, coder.encode(x)), tensors["b_dec"].expand(3, WIDTH).clone()
    )


@pytest.mark.parametrize("folder", ["layers.1", "model.layers.1", ".model.layers.1"])
@pytest.mark.parametrize("hookpoint", ["layers.1", ".model.layers.1", "transformer.layers.1"])
def test_folders_and_hookpoints_may_carry_prefixes(
    tmp_path: Path, folder: str, hookpoint: str
) -> None:
    make_coder(tmp_path, "layers.10", d_in=8)
    make_coder(tmp_path, folder)
    described = describe_coder(tmp_path, hookpoint)
    assert described == (tmp_path / folder, CoderShape(LATENTS, WIDTH, "output"), None)


def test_a_coder_may_lie_at_the_root(tmp_path: Path) -> None:
    make_coder(tmp_path, ".", transcode=True)
    described = describe_coder(tmp_path, "layers.1.mlp")
    assert described == (tmp_path, CoderShape(LATENTS, WIDTH, "input"), None)
    assert load_coder(tmp_path, "layers.1.mlp").shape.side == "input"


def test_the_root_is_no_coder_of_everything_beside_folders_of_some(tmp_path: Path) -> None:
    make_coder(tmp_path, ".")
    make_coder(tmp_path, "layers.0")
    assert describe_coder(tmp_path, "layers.0").place == tmp_path / "layers.0"
    with pytest.raises(DataError, match=r"no coder for hookpoint 'layers\.1'"):
        describe_coder(tmp_path, "layers.1")


@pytest.mark.parametrize("changes", [{"seed": 4}, {"k": K - 1}, {"num_latents": LATENTS + 8}])
def test_another_coder_has_another_fingerprint(tmp_path: Path, changes: dict[str, Any]) -> None:
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    make_coder(one, "layers.1", seed=3)
    make_coder(same, "layers.1", seed=3)
    make_coder(other, "layers.1", **{"seed": 3, **changes})
    prints = [load_coder(source, "layers.1").fingerprint for source in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]


def test_a_hub_repository_is_asked_for_what_is_needed() -> None:
    files = [
        f"{folder}{name}"
        for folder in ("", "layers.1/", "layers.10/", ".model.layers.1/")
        for name in ("cfg.json", "sae.safetensors")
    ]
    needed = Sparsify().hub_files("layers.1")
    patterns = needed.describing + needed.weights
    wanted = [file for file in files if any(fnmatch(file, pattern) for pattern in patterns)]
    assert set(files) - set(wanted) == {"layers.10/sae.safetensors"}


def test_zero_latents_in_the_configuration_mean_width_times_expansion(tmp_path: Path) -> None:
    make_coder(tmp_path, "layers.1")
    config = tmp_path / "layers.1" / "cfg.json"
    raw = json.loads(config.read_text())
    config.write_text(json.dumps({**raw, "num_latents": 0}))
    assert describe_coder(tmp_path, "layers.1").shape.num_latents == 3 * WIDTH


def test_weights_of_another_precision_are_read(tmp_path: Path) -> None:
    make_coder(tmp_path, "layers.1")
    path = tmp_path / "layers.1" / "sae.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path)
    assert load_coder(tmp_path, "layers.1").encoder_rows.dtype == torch.float32


def test_an_unknown_layout_lists_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"'layers\.1'.*weights\.bin.*SAELens.*sparsify \(<hook"):
        load_coder(tmp_path, "layers.1")


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    make_coder(tmp_path, "layers.1")
    path = tmp_path / "layers.1" / "sae.safetensors"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=r"sae\.safetensors cannot be read"):
        load_coder(tmp_path, "layers.1")


def test_weights_that_do_not_fit_the_configuration_are_refused(tmp_path: Path) -> None:
    make_coder(tmp_path, "layers.1")
    config = tmp_path / "layers.1" / "cfg.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "d_in": 8}))
    with pytest.raises(DataError, match="belong to different coders"):
        load_coder(tmp_path, "layers.1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"cfg\.json is not readable JSON"),
        ("[]", "holds a JSON list; expected an object"),
        ('{"d_in": "wide"}', "not a configuration of sparsify"),
        ('{"k": 2}', "d_in"),
        ('{"d_in": 8, "activation": "jumprelu"}', "expected 'topk' or 'groupmax'"),
        ('{"d_in": 8, "num_latents": 4, "k": 9}', "k = 9 with num_latents = 4"),
        ('{"d_in": 8, "num_latents": 9, "k": 2, "activation": "groupmax"}', "divides"),
    ],
)
def test_a_bad_configuration_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "cfg.json").write_text(content)
    with pytest.raises(DataError, match=message):
        describe_coder(tmp_path, "layers.1")


def test_a_repository_that_the_hub_does_not_give_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"coder\.sparse_model = 'nobody/nothing' is no folder"):
        load_coder("nobody/nothing", "layers.1")
    with pytest.raises(DataError, match="is no folder"):
        load_coder("/no/such/folder", "layers.1")
