"""Sources are found in folders and on the hub, with what differs between hookpoints filled in."""

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from delphi_assets.coders import FORMATS, describe_coder, load_coder
from delphi_assets.coders.sources import fetch
from delphi_assets.errors import DataError, SettingError
from delphi_assets.settings import Profile
from tests.tiny_parts import make_coder

pytestmark = pytest.mark.usefixtures("one_thread")


def test_placeholders_are_filled(tmp_path: Path) -> None:
    for folder in ("l3", "layers.3"):
        (tmp_path / folder).mkdir()
    assert fetch(f"{tmp_path}/l{{layer}}", ".model.layers.3", [], True) == tmp_path / "l3"
    filled = fetch(f"{tmp_path}/{{hookpoint}}", ".model.layers.3", [], True)
    assert filled == tmp_path / "layers.3"
    with pytest.raises(SettingError, match="'embed_tokens' names no layer"):
        fetch(f"{tmp_path}/l{{layer}}", "embed_tokens", [], True)


def test_the_name_of_a_coder_is_no_part_of_where_it_is(tmp_path: Path) -> None:
    made = make_coder(tmp_path, "layers.3", seed=5)
    source = f"{made}/{{hookpoint}}"
    wanted = load_coder(made, "layers.3").fingerprint
    for hookpoint in ("layers.3@wide", ".model.layers.3@layers.4"):
        for place in (source, made):
            assert describe_coder(place, hookpoint).folder == tmp_path / "layers.3"
            assert load_coder(place, hookpoint).fingerprint == wanted
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match=r"^coder\.sparse_models\.wide = .*'layers\.3@wide'"):
        load_coder(tmp_path / "other", "layers.3@wide")
    with pytest.raises(
        SettingError, match=r"^coder\.sparse_models\.x = .*'lm_head' names no layer"
    ):
        load_coder("org/name/{layer}", "lm_head@x")


class Hub:
    """Stands for the hub, which tests cannot reach: a folder, and a record of what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.root, self.asked = root, []  # type: ignore[var-annotated]
        monkeypatch.setattr("huggingface_hub.snapshot_download", self)

    def __call__(self, repository: str, **filters: Any) -> str:
        self.asked.append((repository, filters))
        return str(self.root / repository)

    def wants(self, file: str) -> bool:
        filters = self.asked[-1][1]
        ignored = any(fnmatch(file, pattern) for pattern in filters["ignore_patterns"] or [])
        return not ignored and any(fnmatch(file, pattern) for pattern in filters["allow_patterns"])


def test_a_folder_of_a_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = Hub(monkeypatch, tmp_path)
    make_coder(tmp_path / "org" / "name" / "a" / "b_1", ".")
    source = "org/name/a/b_{layer}"
    described = describe_coder(source, "layers.1")
    assert described.folder == tmp_path / "org" / "name" / "a" / "b_1"
    assert hub.asked[-1][0] == "org/name"
    for file in ("cfg.json", "config.json", "params.npz", "params.safetensors"):
        assert hub.wants(f"a/b_1/{file}")
        assert not hub.wants(f"a/b_2/{file}")
    weights = ("sae.safetensors", "sae_weights.safetensors", "ae.pt")
    assert not any(hub.wants(f"a/b_1/{file}") for file in weights)
    load_coder(source, "layers.1")
    assert all(hub.wants(f"a/b_1/{file}") for file in weights)


def test_a_repository_with_folders_for_hookpoints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = Hub(monkeypatch, tmp_path)
    make_coder(tmp_path / "org" / "name", "layers.1")
    load_coder("org/name", "layers.1")
    for folder in ("layers.1", "model.layers.1", "blocks.1.hook_resid_post"):
        assert hub.wants(f"{folder}/sae_weights.safetensors")
        assert hub.wants(f"{folder}/cfg.json")
    for folder in ("layers.11", "blocks.11.hook_resid_post", "layers.1.mlp"):
        assert not hub.wants(f"{folder}/sae_weights.safetensors")
    # A repository of Gemma Scope holds hundreds of coders.
    assert not hub.wants("layer_1/width_16k/average_l0_71/params.npz")


def test_a_folder_that_the_repository_does_not_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Hub(monkeypatch, tmp_path)
    (tmp_path / "org" / "name").mkdir(parents=True)
    with pytest.raises(DataError, match="no file of a coder in 'a/b/'"):
        describe_coder("org/name/a/b", "layers.1")
    with pytest.raises(DataError) as caught:
        describe_coder("org/name", "layers.1")
    assert all(known.name in str(caught.value) for known in FORMATS)


@pytest.mark.parametrize("kind", [{"transcode": True}, {}])
def test_the_switch_of_old_transcoders(tmp_path: Path, kind: dict[str, Any]) -> None:
    import torch
    from safetensors.torch import load_file

    make_coder(tmp_path, "layers.1", **kind)
    if not kind:
        for read in (describe_coder, load_coder):
            with pytest.raises(SettingError, match="is an SAE; expected a transcoder of sparsify"):
                read(tmp_path, "layers.1", transcoder_subtracts_b_dec=True)
        return
    x = torch.randn(20, 16, generator=torch.Generator().manual_seed(1))
    bias = load_file(tmp_path / "layers.1" / "sae.safetensors")["b_dec"]
    old = load_coder(tmp_path, "layers.1", transcoder_subtracts_b_dec=True)
    new = load_coder(tmp_path, "layers.1")
    for one, other in zip(old.encode(x), new.encode(x - bias), strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.equal(old.encode(x).value, new.encode(x).value)


def test_the_switch_is_part_of_the_run(tiny_profile: Callable[..., Profile]) -> None:
    name = "coder.transcoder_subtracts_b_dec"
    assert tiny_profile().run_config()[name] is False
    assert tiny_profile(coder={"transcoder_subtracts_b_dec": True}).run_config()[name] is True
