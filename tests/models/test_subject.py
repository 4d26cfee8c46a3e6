"""Hookpoints are found by name, and a truncated forward pass sees what a full one sees."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import FalconConfig, FalconModel

from delphi_assets.errors import DataError, SettingError
from delphi_assets.models import subject as subject_module
from delphi_assets.models.subject import (
    Hook,
    HookpointShape,
    Side,
    Subject,
    check_hookpoints,
    forward_to,
    load_subject,
    multiplies,
    resolve_hookpoint,
    special_ids,
)
from delphi_assets.settings import ModelSettings, Profile
from tests.parts.tiny_parts import WIDTH, make_tokenizer

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


def settings(folder: Path | str, **changes: str) -> ModelSettings:
    return ModelSettings(name=str(folder), dtype="float32", device="cpu", **changes)


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 300, (3, 10), generator=draw)
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    return ids, mask


def alone(subject: Subject, module: str, side: Side) -> torch.Tensor:
    """What a pass reads that is for one hook only."""
    hook = Hook(module, side)
    return forward_to(subject.model, [hook], *batch())[hook]


def test_a_truncated_pass_equals_the_hidden_states_of_a_full_one(any_model: Path) -> None:
    subject = load_subject(settings(any_model))
    ids, mask = batch()
    full = subject.model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    first, last = Hook("layers.0", "output"), Hook("layers.1", "output")
    found = forward_to(subject.model, {first, last}, ids, mask)
    torch.testing.assert_close(found[first], full.hidden_states[1])
    torch.testing.assert_close(found[last], full.hidden_states[2])
    torch.testing.assert_close(alone(subject, "layers.1", "input"), full.hidden_states[1])


def test_one_pass_reads_both_sides_of_a_module_for_several_coders(any_model: Path) -> None:
    subject = load_subject(settings(any_model))
    calls: list[int] = []
    subject.model.register_forward_pre_hook(lambda *_: calls.append(1))
    mlp, layer = Hook("layers.1.mlp", "output"), Hook("layers.1", "output")
    hooks = [mlp, Hook("layers.1.mlp", "input"), layer, Hook("layers.1", "input"), mlp, mlp]
    found = forward_to(subject.model, hooks, *batch())
    assert len(calls) == 1
    assert set(found) == set(hooks)
    for hook, activation in found.items():
        torch.testing.assert_close(activation, alone(subject, *hook), rtol=0, atol=0)


def test_what_the_model_adds_in_place_does_not_reach_what_was_read(tmp_path: Path) -> None:
    torch.manual_seed(7)
    size = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = FalconConfig(vocab_size=320, **size, parallel_attn=True)
    FalconModel(config).save_pretrained(tmp_path)
    make_tokenizer(tmp_path, add_bos=False)
    subject = load_subject(settings(tmp_path))
    mlp = Hook("h.0.mlp", "output")
    found = forward_to(subject.model, [mlp, Hook("h.1", "output")], *batch())
    torch.testing.assert_close(found[mlp], alone(subject, *mlp), rtol=0, atol=0)


def test_padding_changes_nothing(any_model: Path) -> None:
    subject = load_subject(settings(any_model))
    ids, mask = batch()
    hook = Hook("layers.1", "output")
    padded = forward_to(subject.model, [hook], ids, mask)[hook][1, :6]
    unpadded = forward_to(subject.model, [hook], ids[1:2, :6], mask[1:2, :6])[hook][0]
    torch.testing.assert_close(padded, unpadded)


@pytest.mark.parametrize(
    ("last", "reached"),
    [
        (Hook("layers.1.mlp", "output"), ["layers.0", "layers.1", "layers.1.mlp", "mlp.down_proj"]),
        (Hook("layers.1.mlp", "input"), ["layers.0", "layers.1", "layers.1.mlp"]),
        (Hook("layers.1", "input"), ["layers.0", "layers.1"]),
    ],
)
def test_the_pass_stops_at_the_last_hook(tiny_model: Path, last: Hook, reached: list[str]) -> None:
    subject = load_subject(settings(tiny_model))
    seen: list[str] = []
    layers = subject.model.layers
    watched = {
        "layers.0": layers[0],
        "layers.1": layers[1],
        "layers.1.mlp": layers[1].mlp,
        "mlp.down_proj": layers[1].mlp.down_proj,
        "layers.2": layers[2],
    }
    for name, module in watched.items():
        module.register_forward_pre_hook(lambda *_, name=name: seen.append(name))
    forward_to(subject.model, [last, Hook("layers.0", "output")], *batch())
    assert seen == reached


def test_no_hook_is_left_behind(tiny_model: Path) -> None:
    subject = load_subject(settings(tiny_model))
    hooks = [Hook("layers.0", "output"), Hook("layers.0", "input"), Hook("layers.1.mlp", "input")]
    forward_to(subject.model, hooks, *batch())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in subject.model.modules())


def test_a_module_without_a_stream_is_refused(tiny_model: Path) -> None:
    subject = load_subject(settings(tiny_model))
    with pytest.raises(DataError, match="the output of module 'rotary_emb' has shape"):
        forward_to(subject.model, [Hook("rotary_emb", "output")], *batch())


def test_a_module_that_is_not_reached_is_named(tiny_model: Path) -> None:
    subject = load_subject(settings(tiny_model))
    subject.model.spare = torch.nn.Linear(WIDTH, WIDTH)
    hooks = [Hook("layers.0", "output"), Hook("spare", "input")]
    with pytest.raises(DataError, match="does not reach the input of 'spare'; hook another"):
        forward_to(subject.model, hooks, *batch())


def test_a_normalized_input_is_that_of_a_norm(tiny_model: Path) -> None:
    subject = load_subject(settings(tiny_model))
    with pytest.raises(
        DataError, match=r"'layers\.1\.mlp' .* LlamaMLP; expected a LayerNorm or RMS"
    ):
        alone(subject, "layers.1.mlp", "normalized input")
    name = "layers.1.post_attention_layernorm"
    x, norm = alone(subject, name, "input"), subject.model.get_submodule(name)
    norm.weight.data.uniform_(2, 3)
    expected = x / (x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon).sqrt()
    hooks = [Hook(name, "normalized input"), Hook(name, "input"), Hook("layers.1", "output")]
    found = forward_to(subject.model, hooks, *batch())
    torch.testing.assert_close(found[hooks[0]], expected)
    torch.testing.assert_close(found[hooks[1]], x)
    low = subject.model.to(torch.bfloat16)
    assert forward_to(low, hooks, *batch())[hooks[0]].dtype == torch.float32


@pytest.mark.parametrize(("has", "warns"), [(False, True), (True, False)])
def test_a_precision_that_the_cpu_lacks_is_told(
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    has: bool,
    warns: bool,
) -> None:
    monkeypatch.setattr(subject_module, "multiplies", lambda *_: has)
    load_subject(settings(tiny_model))
    assert ("set model.dtype = 'float32'" in caplog.text) == warns


def test_what_a_cpu_multiplies_is_what_its_flags_say() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    if "avx2" not in flags:
        pytest.skip("only what x86 calls its instructions is known here")
    cpu = torch.device("cpu")
    assert multiplies(cpu, torch.float32)
    # torch's own condition: https://github.com/pytorch/pytorch, ideep's has_bf16_type_support.
    assert multiplies(cpu, torch.bfloat16) == ("avx512bw" in flags or "avx_ne_convert" in flags)


@pytest.mark.parametrize(
    "name", ["layers.1", ".layers.1", "model.layers.1", ".model.layers.1", "gpt_neox.layers.1"]
)
def test_wrapper_prefixes_are_accepted(tiny_model: Path, name: str) -> None:
    assert resolve_hookpoint(load_subject(settings(tiny_model)).model, name) == "layers.1"


def test_an_unknown_hookpoint_names_the_nearest(tiny_model: Path) -> None:
    model = load_subject(settings(tiny_model)).model
    for name in ("layers.1.mpl", "model.layers.1.mpl@wide"):
        with pytest.raises(
            SettingError, match=rf"cache\.hookpoints holds '{name}'.*layers\.1\.mlp"
        ):
            resolve_hookpoint(model, name)


def test_hookpoints_with_names_of_coders_share_their_module(
    tiny_profile: Callable[..., Profile],
) -> None:
    names = ["layers.1", "model.layers.1@wide", "layers.1@v1.0"]
    profile = tiny_profile(
        cache={"hookpoints": names}, coder={"sparse_models": {"wide": "w", "v1.0": "v"}}
    )
    assert check_hookpoints(profile) == dict.fromkeys(
        names, HookpointShape("layers.1", WIDTH, WIDTH)
    )


def test_widths_are_known_without_reading_weights_and_remembered(
    any_model: Path,
    tiny_profile: Callable[..., Profile],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DELPHI_ASSETS_CACHE", str(tmp_path / "cache"))

    def never(_: object) -> None:
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr(subject_module, "load_subject", never)
    wide = "layers.0.mlp.dense_h_to_4h" if "neox" in any_model.name else "layers.0.mlp.up_proj"
    profile = tiny_profile(
        model={"name": str(any_model)}, cache={"hookpoints": [".model.layers.2", wide]}
    )
    expected = {
        ".model.layers.2": HookpointShape("layers.2", WIDTH, WIDTH),
        wide: HookpointShape(wide, WIDTH, 24),
    }
    assert check_hookpoints(profile) == expected
    with monkeypatch.context() as patch:
        patch.setattr(subject_module, "load_config", never)
        assert check_hookpoints(profile) == expected
        other = tiny_profile(model={"name": str(any_model)}, cache={"hookpoints": ["layers.1"]})
        with pytest.raises(AssertionError):
            check_hookpoints(other)
    config = any_model / "config.json"
    changed = tmp_path / "changed"
    changed.mkdir()
    told = json.loads(config.read_text(encoding="utf-8")) | {"hidden_size": 2 * WIDTH}
    (changed / "config.json").write_text(json.dumps(told), encoding="utf-8")
    wider = tiny_profile(model={"name": str(changed)}, cache={"hookpoints": [wide]})
    assert check_hookpoints(wider)[wide].input == 2 * WIDTH


def test_special_tokens_are_known(tiny_model: Path) -> None:
    assert special_ids(load_subject(settings(tiny_model)).tokenizer) == [0, 1, 2]


def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(DataError, match=r"model\.name = '/no/such/model'"):
        load_subject(settings("/no/such/model"))
    for file in tiny_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5_000])
    with pytest.raises(DataError, match="cannot be loaded"):
        load_subject(settings(tmp_path))


def test_a_device_that_is_not_there_is_refused(tiny_model: Path) -> None:
    with pytest.raises(SettingError, match=r"model\.device = 'tpu9'"):
        load_subject(ModelSettings(name=str(tiny_model), device="tpu9"))


def test_an_unknown_embedded_model_is_refused() -> None:
    with pytest.raises(SettingError, match="expected 'embedded:gemma-3-270m'"):
        load_subject(settings("embedded:gpt-5"))
