"""Profiles: what is refused, and whether the refusal helps."""

import math
import os
import time
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest

from delphi_assets.errors import SettingError
from delphi_assets.ground.hookpoint_names import module_of
from delphi_assets.latent_ranges import (
    Latents,
    WhichLatents,
    as_latents,
    as_text,
    parse_latents,
    parse_wanted,
    wanted_latents,
)
from delphi_assets.settings import (
    Profile,
    SelectionSettings,
    check_selection,
    load_profile,
    override,
    parse_profile,
)


def raw(**changes: dict[str, Any]) -> dict[str, Any]:
    base: dict[str, dict[str, Any]] = {
        "run": {"name": "r"},
        "model": {"name": "m"},
        "corpus": {"dataset_repo": "d"},
        "cache": {"hookpoints": ["layers.1"], "cache_ctx_len": 64, "shard_tokens": 6_400},
        "coder": {"sparse_model": "c"},
    }
    for section, settings in changes.items():
        base[section] = {**base.get(section, {}), **settings}
    return dict(base)


@pytest.mark.parametrize("name", ["demo", "pythia-160m"])
def test_shipped_profiles_load(name: str) -> None:
    assert load_profile(name).run.name == name


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"selection": {"n_exampels_train": 3}},
            ["selection.n_exampels_train = 3", "did you mean 'n_examples_train'?"],
        ),
        ({"selection": {"n_examples_train": "3"}}, ["selection.n_examples_train = '3'", "integer"]),
        (
            {"selection": {"example_ctx_len": 24}},
            ["selection.example_ctx_len = 24", "cache.cache_ctx_len = 64", "[1, 2, 4, 8, 16, 32"],
        ),
        ({"cache": {"shard_tokens": 1_000}}, ["cache.shard_tokens = 1000", "960"]),
        ({"cache": {"hookpoints": ["a.1", "a.1"]}}, ["cache.hookpoints", "twice"]),
        ({"cache": {"hookpoints": ["a...b"]}}, ["'a...b'"]),
        ({"cache": {"hookpoints": []}}, ["cache.hookpoints"]),
        ({"selection": {"train_type": "best"}}, ["selection.train_type = 'best'", "'quantiles'"]),
        ({"selection": {"ratio_top": 1.5}}, ["selection.ratio_top = 1.5", "less than or equal"]),
        ({"explain": {"explainer": "default"}}, ["explainer_model = 'lexical'", "LiteLLM"]),
        ({"score": {"scorers": ["fuzzing"]}}, ["score.scorers", "'fuzzing'", "'fuzz'"]),
        ({"run": {"name": "a/b"}}, ["run.name = 'a/b'"]),
        (
            {"selection": {"min_examples": 50, "max_examples": 40}},
            ["selection.max_examples = 40", "less than 90"],
        ),
        ({"explain": {"latents": "4-0", "explainer": "lexical"}}, ["latents = '4-0'"]),
        ({"modle": {"name": "m"}}, ["modle", "did you mean 'model'?"]),
        (
            {"cache": {"hookpoints": ["layers.1@wide"]}},
            ["'layers.1@wide'", "coder.sparse_models names no coder 'wide'", "expected one of []"],
        ),
        (
            {"cache": {"hookpoints": ["@wide"]}, "coder": {"sparse_models": {"wide": "w"}}},
            ["'@wide'", "expected a module name"],
        ),
        (
            {"cache": {"hookpoints": ["layers.1@"]}, "coder": {"sparse_models": {"wide": "w"}}},
            ["'layers.1@'", "names no coder ''"],
        ),
        ({"coder": {"sparse_model": None}}, ["coder.sparse_model is missing", "'layers.1'"]),
        ({"coder": {"sparse_models": {"a/b": "w"}}}, ["the name 'a/b'", "hookpoint's name"]),
        (
            {"coder": {"sparse_models": {"own": "embedded:train"}}},
            ["coder.sparse_models.own = 'embedded:train'", "only coder.sparse_model is trained"],
        ),
        (
            {"coder": {"sparse_model": "embedded:random"}},
            ["coder.sparse_model = 'embedded:random'", "in coder.sparse_models"],
        ),
        (
            {
                "cache": {"hookpoints": ["layers.1@own"]},
                "coder": {"sparse_model": None, "sparse_models": {"own": "embedded:shuffled"}},
            },
            ["coder.sparse_models.own = 'embedded:shuffled'", "without coder.sparse_model"],
        ),
        (
            {"coder": {"sparse_models": {"r": "embedded:random"}, "formats": {"r": "sparsify"}}},
            ["coder.formats.r = 'sparsify'", "expected no format"],
        ),
        ({"coder": {"dtype": "float64"}}, ["coder.dtype = 'float64'", "'bfloat16'"]),
    ],
)
def test_refusals_name_setting_value_and_way_out(
    changes: dict[str, dict[str, Any]], expected: list[str]
) -> None:
    with pytest.raises(SettingError) as refusal:
        parse_profile(raw(**changes))
    for part in expected:
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    "llm",
    [
        {"api_key": "sk-or-v1-abcdef123456"},
        {"api_base": ["http://user:hunter2@server"]},
        {"api_bas": "http://user:hunter2@server", "token": "sk-or-v1-abcdef123456"},
    ],
)
def test_a_key_in_a_profile_is_refused_and_not_shown(llm: dict[str, Any]) -> None:
    with pytest.raises(SettingError) as refusal:
        parse_profile(raw(llm=llm))
    assert "abcdef" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_hookpoints_name_a_module_and_a_coder() -> None:
    names = ["layers.1", "layers.1@wide", ".model.layers.2@v1.0"]
    coder = {"sparse_models": {"wide": "w", "v1.0": "v"}}
    profile = parse_profile(raw(cache={"hookpoints": names}, coder=coder))
    assert [module_of(name) for name in names] == [
        "layers.1",
        "layers.1",
        ".model.layers.2",
    ]
    assert [profile.sparse_model_of(name) for name in names] == ["c", "w", "v"]
    configs = [profile.hookpoint_config(name) for name in names]
    assert [config.pop("coder.sparse_model") for config in configs] == ["c", "w", "v"]
    assert configs[0] == configs[1] == configs[2]
    assert configs[0]["coder.dtype"] == "float32"
    without = parse_profile(
        raw(cache={"hookpoints": names[1:]}, coder={**coder, "sparse_model": None})
    )
    assert without.sparse_model_of(names[1]) == "w"


def test_another_coder_does_not_change_what_a_run_is() -> None:
    """Hookpoints may be added to a run."""
    more = parse_profile(
        raw(cache={"hookpoints": ["layers.1", "layers.1@w"]}, coder={"sparse_models": {"w": "w"}})
    )
    assert more.run_config() == parse_profile(raw()).run_config()


def test_every_problem_is_listed_at_once() -> None:
    with pytest.raises(SettingError) as refusal:
        parse_profile(raw(run={"seed": -1}, cache={"batch_size": 0}))
    assert "run.seed = -1" in str(refusal.value)
    assert "cache.batch_size = 0" in str(refusal.value)


def test_a_missing_setting_says_what_it_is() -> None:
    settings = raw()
    del settings["model"]["name"]
    with pytest.raises(SettingError, match=r"model.name is missing: Hugging Face name"):
        parse_profile(settings)


def test_profiles_are_found_by_argument_then_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[run]\nname = "own"\n[model]\nname = "m"\n[corpus]\ndataset_repo = "d"\n'
        '[cache]\nhookpoints = ["layers.0"]\n[coder]\nsparse_model = "c"\n'
    )
    monkeypatch.delenv("DELPHI_ASSETS_PROFILE", raising=False)
    assert load_profile().run.name == "demo"
    monkeypatch.setenv("DELPHI_ASSETS_PROFILE", str(path))
    monkeypatch.setenv("DELPHI_ASSETS_LAKE", "elsewhere")
    assert (load_profile().run.name, load_profile().run.lake) == ("own", "elsewhere")
    assert load_profile("demo").run.name == "demo"
    with pytest.raises(SettingError, match="did you mean 'demo'"):
        load_profile("demmo")
    path.write_text("[run\n")
    with pytest.raises(SettingError, match="is not TOML"):
        load_profile(str(path))


def test_every_field_is_documented() -> None:
    for section in Profile.model_fields.values():
        model = section.annotation
        assert model is not None
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("0-4", [0, 4], [5]),
        ("0-4, 17", [3, 17], [5, 16, 18]),
        ("all", [0, 10**6], []),
        ("", [9], []),
    ],
)
def test_latent_ranges(text: str, inside: list[int], outside: list[int]) -> None:
    latents = parse_latents(text)
    assert all(latent in latents for latent in inside)
    assert not any(latent in latents for latent in outside)


@pytest.mark.parametrize("text", ["4-0", "a", "1,,2", "-3"])
def test_bad_latent_ranges(text: str) -> None:
    with pytest.raises(SettingError, match="latents ="):
        parse_latents(text)


def test_override_checks_like_a_profile() -> None:
    selection = parse_profile(raw()).selection
    changed = override(selection, "launch", name="top40", train_type="top", ratio_top=None)
    assert (changed.train_type, changed.ratio_top) == ("top", selection.ratio_top)
    with pytest.raises(SettingError, match="launch has settings"):
        override(selection, "launch", train_type="best")


def test_a_model_has_settings_of_its_own() -> None:
    own = {"api_base": "http://host/v1", "tokens_per_minute": 400_000}
    given = raw(llm={"max_concurrent": 64, "models": {"openai/own": own}})
    llm = parse_profile(given).llm
    mine, other = llm.of("openai/own"), llm.of("openai/other")
    assert (mine.api_base, mine.tokens_per_minute, mine.max_concurrent) == (
        "http://host/v1",
        400_000,
        64,
    )
    assert (other.api_base, other.tokens_per_minute) == (None, None)
    with pytest.raises(SettingError) as caught:
        parse_profile(raw(llm={"models": {"openai/own": {"api_bas": "x"}}}))
    assert "did you mean 'api_base'?" in str(caught.value)
    assert "budget" not in str(caught.value), "these cannot be set for a model"


def test_the_demo_with_semantic_negatives_is_the_demo_on_another_selection() -> None:
    """All else is equal, so that run, latents and neighbours are not made again."""
    demo, semantic = load_profile("demo"), load_profile("demo-semantic")
    assert semantic.selection.non_activating_source == {"semantic": 1.0}
    changed = {"name": "default", "non_activating_source": {"random": 1.0}}
    same = override(semantic.selection, "test", **changed)
    assert semantic.model_copy(update={"selection": same}) == demo


@pytest.mark.parametrize("change", [{"seed": -1}, {"sentence_encoder": ""}])
def test_odd_selections_are_refused(change: dict[str, object]) -> None:
    (name,) = change
    with pytest.raises(SettingError, match=f"{name}"):
        override(SelectionSettings(), "launch", **change)


def test_windows_that_do_not_divide_a_huge_context_are_refused_at_once() -> None:
    started = time.perf_counter()
    with pytest.raises(SettingError, match="does not divide"):
        check_selection(SelectionSettings(), 1_000_000_007)
    with pytest.raises(SettingError, match="1000000007"):
        parse_profile(raw(cache={"cache_ctx_len": 1_000_000_007, "shard_tokens": 1_000_000_007}))
    assert time.perf_counter() - started < 2


def _numbers() -> list[tuple[str, str]]:
    return [
        (section, name)
        for section, field in Profile.model_fields.items()
        for name, setting in field.annotation.model_fields.items()  # type: ignore[union-attr]
        if any(kind in str(setting.annotation) for kind in ("int", "float"))
    ]


@pytest.mark.parametrize(("section", "name"), _numbers())
def test_no_setting_takes_a_number_that_nothing_can_hold(section: str, name: str) -> None:
    for odd in (10**400, -(10**400), math.inf, -math.inf, math.nan, 2**63, -(2**63) - 1):
        with pytest.raises(SettingError, match=rf"{section}\.{name}"):
            parse_profile(raw(**{section: {name: odd}}))
    # Digits of such a number may not even be printed.
    with pytest.raises(SettingError, match=rf"{section}\.{name}"):
        parse_profile(raw(**{section: {name: 1 << 100_000}}))


def test_shares_are_numbers_that_can_be_added() -> None:
    for odd in (1e308, 10**400, math.nan, 5e-324, -0.0):
        shares = {"random": odd, "co-occurrence": odd}
        with pytest.raises(SettingError, match=r"selection\.non_activating_source"):
            parse_profile(raw(selection={"non_activating_source": shares}))


@pytest.mark.parametrize("shares", [(1e-6, 1e6), (1e6, 1e-6), (1e-6, 1), (0.25, 0.75)])
def test_shares_that_are_normalized_stay_as_they_are(shares: tuple[float, float]) -> None:
    """Also those that are as far apart as shares may be."""
    given = dict(zip(("random", "co-occurrence"), shares, strict=True))
    section = parse_profile(raw(selection={"non_activating_source": given})).selection
    assert override(section, "profile", name="other").non_activating_source == (
        section.non_activating_source
    )


def test_negative_zero_is_zero() -> None:
    """Hashes of questions are over the settings as text."""
    temperature = parse_profile(raw(llm={"temperature": -0.0})).llm.temperature
    assert math.copysign(1, temperature) == 1


def test_more_shards_than_can_be_numbered_are_refused() -> None:
    with pytest.raises(SettingError, match="make shards larger"):
        parse_profile(raw(cache={"n_tokens": 10**15}))


KEYS = [
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "sk-proj-aB3dE5gH7jK9mN1pQ3sTuV",
    "hf_AbCdEfGhIj1KlMnOpQrStUvWx",
    "AIzaSyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tUvW",
    "AKIAIOSFODNN7EXAMPLE",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "KEY"}},
        {"model": {"nmae": "KEY"}},
        {"run": {"name": "KEY"}},
        {"run": {"lake": "KEY"}},
        {"run": {"KEY": 1}},
        {"cache": {"hookpoints": ["layers.1", "KEY"]}},
        {"cache": {"n_tokens": "KEY"}},
        {"coder": {"sparse_models": {"KEY": "c"}}},
        {"explain": {"latents": "KEY", "explainer": "lexical"}},
        {"explain": {"explainer_model": "openai/KEY", "explainer": "default"}},
        {"score": {"scorers": ["KEY"]}},
        {"selection": {"non_activating_source": "KEY"}},
        {"selection": {"non_activating_source": {"KEY": 1.0}}},
        {"llm": {"models": {"openai/KEY": {"timeout": 3}}}},
        {"openai": {"api_key": "KEY"}},
        {"keys": {"openai": "KEY"}},
    ],
)
def test_a_key_in_a_wrong_setting_is_refused_and_not_shown(
    key: str, changes: dict[str, Any]
) -> None:
    def keyed(value: Any) -> Any:
        if isinstance(value, dict):
            return {keyed(name): keyed(held) for name, held in value.items()}
        if isinstance(value, list):
            return [keyed(held) for held in value]
        return value.replace("KEY", key) if isinstance(value, str) else value

    with pytest.raises(SettingError) as refusal:
        parse_profile(raw(**keyed(changes)))
    assert key not in "".join(format_exception(refusal.value))


def test_a_key_of_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_PROVIDER_API_KEY", "hunter-two-three")
    with pytest.raises(SettingError) as refusal:
        parse_profile(raw(model={"dtype": "hunter-two-three"}))
    assert "hunter" not in str(refusal.value)


@pytest.mark.parametrize(
    "name",
    ["google/gemma-scope-2b-pt-res/layer_{layer}/width_16k/average_l0_71", "sk-learn/text-models"],
)
def test_names_of_models_are_no_keys(name: str) -> None:
    assert parse_profile(raw(coder={"sparse_model": name})).coder.sparse_model == name


@pytest.mark.parametrize("text", ["a\0b", "a\ud83d", "x" * 5_000])
def test_texts_that_nothing_can_hold_are_refused(text: str) -> None:
    for changes in (
        {"model": {"name": text}},
        {"corpus": {"dataset_repo": text}},
        {"coder": {"sparse_models": {"wide": text}}},
        {"cache": {"hookpoints": [text]}},
        {"run": {"name": text}},
    ):
        with pytest.raises(SettingError) as refusal:
            parse_profile(raw(**changes))
        assert len(str(refusal.value)) < 2_000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'[run]\nname = "caf\xe9"', "is not UTF-8"),
        (b"\xff\xfe[\x00r\x00", "is not UTF-8"),
        (b"a = " + b"[" * 100_000, "is not TOML"),
        (b"a = " + b"9" * 5_000, "is not TOML"),
        (b"a = " + b"{b=" * 100_000, "is not TOML"),
        (b"[a" + b".a" * 10_000 + b"]\nb = 1", "cannot be used"),
        (b"a = 0x" + b"f" * 50_000, "an integer of 200000 bits"),
        (b"", "run is missing"),
        (b"run = 1", "run = 1"),
    ],
)
def test_a_file_that_is_no_profile_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_bytes(content)
    with pytest.raises(SettingError, match="odd") as refusal:
        load_profile(str(path))
    assert told in str(refusal.value)


def test_a_profile_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + Path("profiles/demo.toml").read_bytes())
    assert load_profile(str(path)).run.name == "demo"


def test_what_is_no_file_is_no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for odd in (str(tmp_path), "x" * 5_000, os.fsdecode(b"\xff")):
        monkeypatch.setenv("DELPHI_ASSETS_PROFILE", odd)
        with pytest.raises(SettingError, match="neither a file nor a shipped profile"):
            load_profile()
    with pytest.raises(SettingError, match="neither a file nor a shipped profile"):
        load_profile("a\0b")


@pytest.mark.parametrize(
    "text", ["0-99999999999", "9" * 5_000, "next " + "9" * 5_000, "0-\u0663", "\u0663"]
)
def test_numbers_that_no_latent_has_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="latents = "):
        parse_wanted(text)


@pytest.mark.parametrize(
    ("which", "read"),
    [
        ("0-4, 17", parse_latents("0-4, 17")),
        (range(3), parse_latents("0, 1, 2")),
        (parse_latents("2-3"), parse_latents("2-3")),
    ],
)
def test_latents_of_a_call(which: WhichLatents, read: Latents) -> None:
    assert as_latents(which) == wanted_latents(which) == read


@pytest.mark.parametrize("text", ["0-4, 17", "all", "next 12", "failed"])
def test_latents_as_text(text: str) -> None:
    assert as_text(parse_wanted(text)) == text
    with pytest.raises(SettingError, match="at least one"):
        wanted_latents([])
