"""Impossible profiles are refused before anything is computed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from delphi_assets.caching import preflight
from delphi_assets.coders import CoderShape
from delphi_assets.errors import DataError, SettingError
from delphi_assets.models.subject import Hook
from delphi_assets.settings import Profile
from tests.parts.tiny_parts import LATENTS, WIDTH, make_coder


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
        (
            {"cache": {"hookpoints": ["layers.0", "model.layers.0"]}},
            r"'layers\.0' and 'model\.layers\.0', which have the same coder, the one in '/",
        ),
        (
            {
                "cache": {"hookpoints": ["layers.0", "model.layers.0"]},
                "coder": {"sparse_model": "embedded:train"},
            },
            r"the same coder, the one trained on module 'layers\.0'",
        ),
        (
            {
                "cache": {"hookpoints": ["layers.0@a"]},
                "coder": {"sparse_models": {"a": "embedded:sae"}},
            },
            r"coder\.sparse_models\.a = 'embedded:sae' is unknown; expected 'embedded:random'",
        ),
        (
            {
                "cache": {"hookpoints": ["layers.0@a"]},
                "coder": {"sparse_models": {"a": "/no/such/coder"}},
            },
            r"coder\.sparse_models\.a = '/no/such/coder' is no folder",
        ),
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
    with pytest.raises((SettingError, DataError), match=message):
        preflight.check(tiny_profile(**changes))


def test_one_coder_for_two_hookpoints_is_refused(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    coder = {"sparse_model": str(make_coder(tmp_path / "coder", "."))}
    both = tiny_profile(cache={"hookpoints": ["layers.0", "layers.1"]}, coder=coder)
    with pytest.raises(SettingError, match=r"'layers\.0' and 'layers\.1', which have the same"):
        preflight.check(both)
    one = tiny_profile(cache={"hookpoints": ["layers.1"]}, coder=coder)
    assert preflight.check(one)["layers.1"].coder == CoderShape(LATENTS, WIDTH, "output")
    named = {**coder, "sparse_models": {"again": coder["sparse_model"]}}
    twice = tiny_profile(cache={"hookpoints": ["layers.1", "layers.1@again"]}, coder=named)
    with pytest.raises(SettingError, match=r"(?s)'layers\.1@again'.*another coder\.sparse_models"):
        preflight.check(twice)


def test_several_coders_may_read_one_module(
    tiny_profile: Callable[..., Profile], tiny_coder: Path, tmp_path: Path
) -> None:
    wide = make_coder(tmp_path / "wide", ".", num_latents=2 * LATENTS)
    per_layer = make_coder(tmp_path / "wider", "layers.1", num_latents=3 * LATENTS)
    transcoder = make_coder(tmp_path / "transcoder", "layers.1", transcode=True)
    sources = {"wide": wide, "wider": per_layer, "trans": transcoder}
    profile = tiny_profile(
        cache={"hookpoints": ["layers.1", *(f"model.layers.1@{name}" for name in sources)]},
        coder={"sparse_models": {name: str(source) for name, source in sources.items()}},
    )
    checked = preflight.check(profile)
    assert checked == {
        "layers.1": ("layers.1", CoderShape(LATENTS, WIDTH, "output")),
        "model.layers.1@wide": ("layers.1", CoderShape(2 * LATENTS, WIDTH, "output")),
        "model.layers.1@wider": ("layers.1", CoderShape(3 * LATENTS, WIDTH, "output")),
        "model.layers.1@trans": ("layers.1", CoderShape(LATENTS, WIDTH, "input")),
    }
    assert {place.hook for place in checked.values()} == {
        Hook("layers.1", "output"),
        Hook("layers.1", "input"),
    }


def test_a_trained_coder_may_share_its_module_with_one_that_is_there(
    tiny_profile: Callable[..., Profile], tiny_coder: Path
) -> None:
    profile = tiny_profile(
        cache={"hookpoints": ["layers.1", "layers.1@there"]},
        coder={
            "sparse_model": "embedded:train",
            "expansion_factor": 2,
            "sparse_models": {"there": str(tiny_coder)},
        },
    )
    latents = {name: place.coder.num_latents for name, place in preflight.check(profile).items()}
    assert latents == {"layers.1": 2 * WIDTH, "layers.1@there": LATENTS}


def test_errors_name_the_hookpoint_and_the_setting_of_its_coder(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    def check(name: str, **changes: int) -> None:
        source = make_coder(tmp_path / name, "layers.1", **changes)
        preflight.check(
            tiny_profile(
                cache={"hookpoints": ["layers.0", f"layers.{name}"]},
                coder={"sparse_models": {name.partition("@")[2]: str(source)}},
            )
        )

    with pytest.raises(
        SettingError,
        match=r"sparse_models\.odd = .* reads 9 dimensions at hookpoint 'layers\.1@odd'",
    ):
        check("1@odd", d_in=9)
    with pytest.raises(
        DataError, match=r"sparse_models\.far = .* no coder for hookpoint 'layers\.2@far'"
    ):
        check("2@far")


def test_a_coder_of_another_hook_is_refused(
    tiny_profile: Callable[..., Profile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"architecture": "standard", "d_in": WIDTH, "d_sae": 8}
    folder = tmp_path / "coder"
    folder.mkdir()

    def profile(hook: str, **changes: dict[str, str]) -> Profile:
        about = {"metadata": {"sae_lens_version": "6.0.0", "hook_name": hook}}
        (folder / "cfg.json").write_text(json.dumps({**config, **about}))
        return tiny_profile(
            # A name of its own, as what was checked is remembered.
            run={"name": hook},
            cache={"hookpoints": ["model.layers.1"]},
            coder={"sparse_model": str(folder)},
            **changes,
        )

    with pytest.raises(
        SettingError,
        match=r"'model\.layers\.1' a coder of 'blocks\.2\.hook_resid_pre', the input of module "
        r"'layers\.2'",
    ):
        preflight.check(profile("blocks.2.hook_resid_pre"))
    with pytest.raises(SettingError, match=r"the input of module 'layers\.1\.self_attn\.o_proj'"):
        preflight.check(profile("blocks.1.attn.hook_z"))
    with pytest.raises(SettingError, match=r"the normalized input of module 'layers\.1\.post_att"):
        preflight.check(profile("blocks.1.ln2.hook_normalized"))
    checked = preflight.check(profile("blocks.1.hook_resid_pre"))["model.layers.1"]
    assert checked.coder == CoderShape(8, WIDTH, "input")
    # Of a family that is not known, the layer is.
    monkeypatch.setattr("delphi_assets.coders.hooks._FAMILIES", {})
    again = {"corpus": {"dataset_split": "another"}}
    with pytest.raises(
        SettingError, match=r"a coder of 'blocks\.2\.hook_resid_pre', which is in layer 2"
    ):
        preflight.check(profile("blocks.2.hook_resid_pre", **again))
    for hook in ("blocks.1.hook_resid_pre", "blocks.1.attn.hook_z"):
        assert preflight.check(profile(hook, **again))["model.layers.1"].module == "layers.1"


def test_a_hookpoint_without_a_coder_is_refused(tiny_profile: Callable[..., Profile]) -> None:
    with pytest.raises(DataError, match=r"no coder for hookpoint 'layers\.2'"):
        preflight.check(tiny_profile(cache={"hookpoints": ["layers.2"]}))
