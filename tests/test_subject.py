"""Hookpoints are found by name, and a truncated forward pass sees what a full one sees."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from delphi_assets import subject as subject_module
from delphi_assets.errors import DataError, SettingError
from delphi_assets.settings import ModelSettings, Profile
from delphi_assets.subject import (
    HookpointShape,
    check_hookpoints,
    forward_to,
    load_subject,
    resolve_hookpoint,
    special_ids,
)
from tests.tiny_parts import WIDTH

pytestmark = pytest.mark.usefixtures("one_thread")


def settings(folder: Path | str, **changes: str) -> ModelSettings:
    return ModelSettings(name=str(folder), dtype="float32", device="cpu", **changes)


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 300, (3, 10), generator=draw)
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    return ids, mask


def test_a_truncated_pass_equals_the_hidden_states_of_a_full_one(any_model: Path) -> None:
    subject = load_subject(settings(any_model))
    ids, mask = batch()
    full = subject.model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    found = forward_to(subject.model, {"layers.0": "output", "layers.1": "output"}, ids, mask)
    torch.testing.assert_close(found["layers.0"], full.hidden_states[1])
    torch.testing.assert_close(found["layers.1"], full.hidden_states[2])
    entering = forward_to(subject.model, {"layers.1": "input"}, ids, mask)
    torch.testing.assert_close(entering["layers.1"], full.hidden_states[1])


def test_padding_changes_nothing(any_model: Path) -> None:
    subject = load_subject(settings(any_model))
    ids, mask = batch()
    padded = forward_to(subject.model, {"layers.1": "output"}, ids, mask)["layers.1"][1, :6]
    alone = forward_to(subject.model, {"layers.1": "output"}, ids[1:2, :6], mask[1:2, :6])
    torch.testing.assert_close(padded, alone["layers.1"][0])


def test_the_pass_stops_after_the_last_hookpoint(tiny_model: Path) -> None:
    subject = load_subject(settings(tiny_model))
    reached: list[int] = []
    for number, layer in enumerate(subject.model.layers):
        layer.register_forward_pre_hook(lambda *_, number=number: reached.append(number))
    forward_to(subject.model, {"layers.1.mlp": "output", "layers.0": "output"}, *batch())
    assert reached == [0, 1]


def test_no_hook_is_left_behind(tiny_model: Path) -> None:
    subject = load_subject(settings(tiny_model))
    forward_to(subject.model, {"layers.0": "output", "layers.1.mlp": "input"}, *batch())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in subject.model.modules())


def test_a_module_without_a_stream_is_refused(tiny_model: Path) -> None:
    subject = load_subject(settings(tiny_model))
    with pytest.raises(DataError, match="'rotary_emb' has activations of shape"):
        forward_to(subject.model, {"rotary_emb": "output"}, *batch())


@pytest.mark.parametrize(
    "name", ["layers.1", ".layers.1", "model.layers.1", ".model.layers.1", "gpt_neox.layers.1"]
)
def test_wrapper_prefixes_are_accepted(tiny_model: Path, name: str) -> None:
    assert resolve_hookpoint(load_subject(settings(tiny_model)).model, name) == "layers.1"


def test_an_unknown_hookpoint_names_the_nearest(tiny_model: Path) -> None:
    model = load_subject(settings(tiny_model)).model
    with pytest.raises(SettingError, match=r"cache\.hookpoints holds 'layers\.1\.mpl'.*layers\.1"):
        resolve_hookpoint(model, "layers.1.mpl")


def test_widths_are_known_without_reading_weights(
    any_model: Path, tiny_profile: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: object) -> None:
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr(subject_module, "load_subject", never)
    wide = "layers.0.mlp.dense_h_to_4h" if "neox" in any_model.name else "layers.0.mlp.up_proj"
    profile = tiny_profile(
        model={"name": str(any_model)}, cache={"hookpoints": [".model.layers.2", wide]}
    )
    assert check_hookpoints(profile) == {
        ".model.layers.2": HookpointShape("layers.2", WIDTH, WIDTH),
        wide: HookpointShape(wide, WIDTH, 24),
    }


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
