"""Impossible profiles are refused before anything is computed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from delphi_assets import preflight
from delphi_assets.coders import CoderShape
from delphi_assets.errors import DataError, SettingError
from delphi_assets.settings import Profile
from tests.tiny_parts import LATENTS, WIDTH, make_coder


def test_what_was_checked_is_returned(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile(cache={"hookpoints": [".model.layers.0", "layers.1.mlp"]})
    assert preflight.check(profile) == {
        ".model.layers.0": preflight.Checked("layers.0", CoderShape(LATENTS, WIDTH, "output")),
        "layers.1.mlp": preflight.Checked("layers.1.mlp", CoderShape(LATENTS, WIDTH, "input")),
    }


def test_a_coder_to_be_trained_is_described(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile(
        cache={"hookpoints": ["layers.0"]},
        coder={"sparse_model": "embedded:train", "expansion_factor": 2, "k": 3},
    )
    assert preflight.check(profile)["layers.0"].coder == CoderShape(2 * WIDTH, WIDTH, "output")


def test_a_coder_of_the_wrong_width_is_refused(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    make_coder(tmp_path / "coders", "layers.0", d_in=WIDTH + 1)
    profile = tiny_profile(
        cache={"hookpoints": ["layers.0"]}, coder={"sparse_model": str(tmp_path / "coders")}
    )
    with pytest.raises(SettingError, match=r"reads 17 dimensions at .*'layers\.0'.*has 16"):
        preflight.check(profile)


def test_the_width_is_that_of_the_side_the_coder_reads(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    hookpoint = "layers.0.mlp.up_proj"
    make_coder(tmp_path / "coders", hookpoint, d_in=WIDTH)
    profile = tiny_profile(
        cache={"hookpoints": [hookpoint]}, coder={"sparse_model": str(tmp_path / "coders")}
    )
    with pytest.raises(SettingError, match=r"the output of module .* has 24"):
        preflight.check(profile)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cache": {"hookpoints": ["layers.7"]}}, r"cache\.hookpoints holds 'layers\.7'"),
        ({"cache": {"hookpoints": ["layers.0", "model.layers.0"]}}, "are both module"),
        ({"coder": {"sparse_model": "embedded:sae"}}, "expected 'embedded:train'"),
        ({"coder": {"sparse_model": "embedded:train", "k": 999}}, r"coder\.k = 999 with 128"),
        (
            {"coder": {"sparse_model": "embedded:train", "transcoder_subtracts_b_dec": True}},
            "which trains SAEs; expected false",
        ),
        ({"model": {"device": "tpu9"}}, r"model\.device = 'tpu9'"),
    ],
)
def test_impossible_settings_are_named(
    tiny_profile: Callable[..., Profile], changes: dict[str, dict[str, object]], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        preflight.check(tiny_profile(**changes))


def test_one_coder_for_two_hookpoints_is_refused(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    coder = {"sparse_model": str(make_coder(tmp_path / "coder", "."))}
    both = tiny_profile(cache={"hookpoints": ["layers.0", "layers.1"]}, coder=coder)
    with pytest.raises(SettingError, match=r"'layers\.0' and 'layers\.1' the same coder"):
        preflight.check(both)
    one = tiny_profile(cache={"hookpoints": ["layers.1"]}, coder=coder)
    assert preflight.check(one)["layers.1"].coder == CoderShape(LATENTS, WIDTH, "output")


def test_a_coder_of_another_hook_is_refused(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    config = {"architecture": "standard", "d_in": WIDTH, "d_sae": 8}
    folder = tmp_path / "coder"
    folder.mkdir()

    def profile(hook: str) -> Profile:
        about = {"metadata": {"sae_lens_version": "6.0.0", "hook_name": hook}}
        (folder / "cfg.json").write_text(json.dumps({**config, **about}))
        return tiny_profile(
            # A name of its own, as what was checked is remembered.
            run={"name": hook},
            cache={"hookpoints": ["model.layers.1"]},
            coder={"sparse_model": str(folder)},
        )

    with pytest.raises(
        SettingError,
        match=r"'model\.layers\.1' a coder of 'blocks\.2\.hook_resid_pre', the input of module "
        r"'layers\.2'",
    ):
        preflight.check(profile("blocks.2.hook_resid_pre"))
    with pytest.raises(SettingError, match=r"the input of module 'layers\.1\.self_attn\.o_proj'"):
        preflight.check(profile("blocks.1.attn.hook_z"))
    checked = preflight.check(profile("blocks.1.hook_resid_pre"))["model.layers.1"]
    assert checked.coder == CoderShape(8, WIDTH, "input")


def test_a_hookpoint_without_a_coder_is_refused(tiny_profile: Callable[..., Profile]) -> None:
    with pytest.raises(DataError, match=r"no coder for hookpoint 'layers\.2'"):
        preflight.check(tiny_profile(cache={"hookpoints": ["layers.2"]}))
