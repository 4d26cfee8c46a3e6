"""Sources are found in folders and on the hub, with what differs between hookpoints filled in."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils._paths import filter_repo_objects

from delphi_assets.coders import CoderReading, describe_coder, files_at_hand, load_coder
from delphi_assets.coders.sources import fetch
from delphi_assets.coders.sparsify import Sparsify
from delphi_assets.errors import DataError, SettingError
from delphi_assets.ground.machine_cache import fingerprint
from delphi_assets.ground.registries import CODER_FORMATS
from delphi_assets.settings import Profile, profile_of_run
from tests.parts.tiny_parts import make_coder

pytestmark = pytest.mark.usefixtures("one_thread")


def test_placeholders_are_filled(tmp_path: Path) -> None:
    for folder in ("l3", "layers.3"):
        (tmp_path / folder).mkdir()
    assert fetch(f"{tmp_path}/l{{layer}}", ".model.layers.3", []) == tmp_path / "l3"
    filled = fetch(f"{tmp_path}/{{hookpoint}}", ".model.layers.3", [])
    assert filled == tmp_path / "layers.3"
    with pytest.raises(SettingError, match="'embed_tokens' names no layer"):
        fetch(f"{tmp_path}/l{{layer}}", "embed_tokens", [])


def test_the_name_of_a_coder_is_no_part_of_where_it_is(tmp_path: Path) -> None:
    made = make_coder(tmp_path, "layers.3", seed=5)
    source = f"{made}/{{hookpoint}}"
    wanted = load_coder(made, "layers.3").fingerprint
    for hookpoint in ("layers.3@wide", ".model.layers.3@layers.4"):
        for place in (source, made):
            assert describe_coder(place, hookpoint).place == tmp_path / "layers.3"
            assert load_coder(place, hookpoint).fingerprint == wanted
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match=r"^coder\.sparse_models\.wide = .*'layers\.3@wide'"):
        load_coder(tmp_path / "other", "layers.3@wide")
    with pytest.raises(
        SettingError, match=r"^coder\.sparse_models\.x = .*'lm_head' names no layer"
    ):
        load_coder("org/name/{layer}", "lm_head@x")


class Hub:
    """Stands for the hub, which tests cannot reach: folders, a cache, and what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.root, self.cache = root, root / "cache"
        self.asked: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr("huggingface_hub.snapshot_download", self)
        monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", lambda _, name: self.of(name))

    def __call__(self, repository: str, local_files_only: bool, **filters: Any) -> str:
        """As the hub: only files that match come, and without one there is no folder."""
        if local_files_only:
            return str(self.cache / repository)
        self.asked.append((repository, filters))
        for file in filter(self.wants, self.of(repository)):
            target = self.cache / repository / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.root / repository / file, target)
        return str(self.cache / repository)

    def of(self, repository: str) -> list[str]:
        folder = self.root / repository
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    def wants(self, file: str) -> bool:
        return bool(list(filter_repo_objects([file], **self.asked[-1][1])))


def test_files_at_hand_are_those_that_were_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = Hub(monkeypatch, tmp_path)
    make_coder(tmp_path / "org" / "name", "layers.1")
    assert files_at_hand("org/name", "layers.1") == []
    describe_coder("org/name", "layers.1")
    assert files_at_hand("org/name", "layers.1") == [], "weights are not fetched to describe"
    asked = len(hub.asked)
    fetched = load_coder("org/name", "layers.1").fingerprint
    assert fingerprint(files_at_hand("org/name", "layers.1")) == fetched
    assert len(hub.asked) == asked + 1, "to load it"


def test_a_folder_of_a_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = Hub(monkeypatch, tmp_path)
    make_coder(tmp_path / "org" / "name" / "a" / "b_1", ".")
    source = "org/name/a/b_{layer}"
    described = describe_coder(source, "layers.1")
    assert described.place == hub.cache / "org" / "name" / "a" / "b_1"
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


def make_file(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("org/name", [f"layer_{layer:02d}/params.npz" for layer in range(20)]),
        ("org/name/of_{layer}", ["of_1/README.md"]),
        ("org/name/a/b", [f"layer_{layer:02d}/params.npz" for layer in range(20)]),
    ],
)
def test_a_repository_without_a_coder_there_is_listed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, found: list[str]
) -> None:
    hub = Hub(monkeypatch, tmp_path)
    for layer in range(30):
        make_file(tmp_path / "org" / "name" / f"layer_{layer:02d}" / "params.npz")
    make_file(tmp_path / "org" / "name" / "of_1" / "README.md")
    with pytest.raises(DataError, match=r"holds no coder for hookpoint 'layers\.1'") as caught:
        describe_coder(source, "layers.1")
    assert f"found {found}," in str(caught.value)
    assert all(known in str(caught.value) for known in CODER_FORMATS.shipped())
    assert not hub.cache.exists()


def test_a_repository_fetched_earlier_is_listed_without_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Hub(monkeypatch, tmp_path)
    make_coder(tmp_path / "org" / "name", "layers.1")
    describe_coder("org/name", "layers.1")
    monkeypatch.undo()
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path / "cache/org/name")
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"'layers\.2' in a known layout; found \['layers\.1'\]"):
        describe_coder("org/name", "layers.2")


@pytest.mark.parametrize("kind", [{"transcode": True}, {}])
def test_the_switch_of_old_transcoders(tmp_path: Path, kind: dict[str, Any]) -> None:
    import torch
    from safetensors.torch import load_file

    make_coder(tmp_path, "layers.1", **kind)
    switched = CoderReading(transcoder_subtracts_b_dec=True)
    if not kind:
        for read in (describe_coder, load_coder):
            with pytest.raises(SettingError, match="is an SAE; expected a transcoder of sparsify"):
                read(tmp_path, "layers.1", reading=switched)
        return
    x = torch.randn(20, 16, generator=torch.Generator().manual_seed(1))
    bias = load_file(tmp_path / "layers.1" / "sae.safetensors")["b_dec"]
    old = load_coder(tmp_path, "layers.1", reading=switched)
    new = load_coder(tmp_path, "layers.1")
    for one, other in zip(old.encode(x), new.encode(x - bias), strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.equal(old.encode(x).value, new.encode(x).value)


def test_the_switch_is_part_of_the_run(tiny_profile: Callable[..., Profile]) -> None:
    name = "coder.transcoder_subtracts_b_dec"
    assert tiny_profile().run_config()[name] is False
    assert tiny_profile(coder={"transcoder_subtracts_b_dec": True}).run_config()[name] is True


def two_layouts(folder: Path) -> None:
    """A coder of Gemma Scope beside one of sparsify for layers.1."""
    make_coder(folder, "layers.1")
    (folder / "params.npz").touch()


@pytest.mark.parametrize(
    ("hookpoint", "setting"),
    [("layers.1", r"coder\.format"), ("layers.1@wide", r"coder\.formats\.wide")],
)
def test_two_formats_that_know_a_coder_are_an_error_until_one_is_named(
    tmp_path: Path, hookpoint: str, setting: str
) -> None:
    two_layouts(tmp_path)
    for read in (describe_coder, load_coder, files_at_hand):
        with pytest.raises(
            DataError, match=rf"several layouts: Gemma Scope .*, sparsify .*with {setting}, or"
        ):
            read(tmp_path, hookpoint)
        assert read(tmp_path, hookpoint, reading=CoderReading("sparsify"))
    with pytest.raises(DataError, match=r"params\.npz cannot be read"):
        describe_coder(tmp_path, hookpoint, CoderReading("Gemma Scope"))
    with pytest.raises(DataError, match=r"no coder .* supported: SAELens \([^;]*\)\. Where"):
        describe_coder(tmp_path, hookpoint, CoderReading("SAELens"))


class Everything(Sparsify):
    """Knows a coder wherever there is a folder."""

    def find(self, source: Path, module: str) -> Path | None:
        return source


def test_a_registered_format_is_asked_without_being_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_coder(tmp_path, ".")
    monkeypatch.setattr(CODER_FORMATS, "_registered", {"everything": Everything})
    with pytest.raises(DataError, match=r"several layouts: sparsify .*, everything "):
        describe_coder(tmp_path, "layers.1")
    monkeypatch.setattr(CODER_FORMATS, "_registered", {"everything": int})
    with pytest.raises(SettingError, match="coder format 'everything' is a int; expected a Coder"):
        describe_coder(tmp_path, "layers.1")


def test_a_named_format_is_part_of_the_run(tiny_profile: Callable[..., Profile]) -> None:
    unnamed = tiny_profile().run_config()
    assert not {"coder.format", "coder.formats", "coder.options"} & set(unnamed)
    profile = tiny_profile(
        cache={"hookpoints": ["layers.1", "layers.1@a", "layers.1@b"]},
        coder={
            "format": "sparsify",
            "sparse_models": {"a": "x", "b": "y"},
            "formats": {"a": "SAELens"},
        },
    )
    assert profile.run_config() == {**unnamed, "coder.format": "sparsify"}
    assert [
        profile.hookpoint_config(name).get("coder.format") for name in profile.cache.hookpoints
    ] == ["sparsify", "SAELens", None]
    stored = profile.hookpoint_config("layers.1@a")
    again = profile_of_run("tiny", "layers.1@a", stored, profile.run.lake)
    assert again.coder_format_of("layers.1@a") == "SAELens"


@pytest.mark.parametrize(
    ("coder", "problem"),
    [
        (
            {"format": "saelens"},
            r"coder\.format = 'saelens'; expected one of \['Gemma Scope', 'SAE",
        ),
        ({"formats": {"wide": "sparsify"}}, r"formats holds 'wide'; expected some of .*, \[\]"),
        (
            {"sparse_models": {"wide": "x"}, "formats": {"wide": "none"}},
            r"coder\.formats\.wide = 'none'; expected one of",
        ),
        ({"sparse_model": "embedded:train", "format": "sparsify"}, "expected no format for it"),
        ({"options": {"sparsify": {"k": 1}}}, r"the coder format 'sparsify' takes no options"),
    ],
)
def test_a_format_that_does_not_exist_is_refused_in_the_profile(
    tiny_profile: Callable[..., Profile], coder: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SettingError, match=problem):
        tiny_profile(coder=coder)
