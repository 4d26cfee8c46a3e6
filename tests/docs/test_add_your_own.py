"""The pages "add your own", from outside the project: a package in a folder, named in a profile."""

import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from delphi_assets import connect
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.prepared_coder import load_described
from delphi_assets.errors import ConflictError, DataError, SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.ground.registries import SOURCES
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import Place
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.llm.calls import attempts
from delphi_assets.scorers.predictions import score
from delphi_assets.selection.examples import choose_examples, select_examples
from delphi_assets.selection.neighbours import find_all_neighbours
from delphi_assets.selection.non_activating.source import (
    Draws,
    SourceBucket,
    SourcePlace,
    WindowSource,
)
from delphi_assets.settings import Profile, override, parse_profile
from tests.parts import explained_lake
from tests.parts.documents import ROOT, blocks, text_of
from tests.parts.explained_lake import HOOKPOINT, N_SILENT, N_TEST, SELECTION, make_lake
from tests.parts.fault_server import Asked, FaultServer, Reply
from tests.parts.random_lake import HOOKPOINT as DATA_HOOKPOINT
from tests.parts.random_lake import random_lake

pytestmark = pytest.mark.slow

PAGES = ROOT / "docs" / "add-your-own"
ALL = parse_latents("all")


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's, on the path."""
    folder = tmp_path / "outside"
    (folder / "my_package").mkdir(parents=True)
    (folder / "my_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


def write_modules(page: str, folder: Path) -> None:
    """The page's modules and statements, where their first lines say."""
    assert blocks(PAGES / f"{page}.md", "python")
    for language, comment in (("python", "# "), ("sql", "-- ")):
        for block in blocks(PAGES / f"{page}.md", language):
            path = block.partition("\n")[0].removeprefix(comment)
            (folder / path).write_text(block, encoding="utf-8")


def profile_of(toml: str, base: Profile) -> Profile:
    """The base with what a page's profile says."""
    given = base.model_dump(exclude_unset=True)
    for name, section in tomllib.loads(toml).items():
        given[name] = {**given.get(name, {}), **section}
    return parse_profile(given)


def test_every_page_is_listed() -> None:
    index = text_of(ROOT / "docs" / "add-your-own.md")
    for page in PAGES.glob("*.md"):
        assert f"(add-your-own/{page.name})" in index


def test_a_coder_format(
    tmp_path: Path, outside: Path, tiny_profile: Callable[..., Profile]
) -> None:
    write_modules("coder-format", outside)
    (toml,) = blocks(PAGES / "coder-format.md", "toml")
    rng, n, d = np.random.default_rng(1), 24, 16
    weights = {
        name: rng.standard_normal(size).astype(np.float32)
        for name, size in (
            ("encoder", (n, d)),
            ("encoder_bias", n),
            ("decoder", (n, d)),
            ("decoder_bias", d),
        )
    }
    (tmp_path / "coders").mkdir()
    for module in ("layers.0", "layers.1"):
        # numpy declares a flag beside the arrays, so any keyword might be that.
        np.savez(tmp_path / "coders" / f"{module}.coder.npz", **weights)  # type: ignore[arg-type]
    base = tiny_profile(cache={"hookpoints": ["layers.0", "layers.1"]})
    profile = profile_of(toml, base)
    there = {"sparse_model": str(tmp_path / "coders")}
    profile = profile.model_copy(update={"coder": override(profile.coder, "test", **there)})
    lake = Lake(profile.run.lake)
    assert prepare_coder(profile, lake, "layers.0").new_rows == n
    assert prepare_coder(profile, lake, "layers.0").new_rows == 0
    x = torch.from_numpy(rng.standard_normal((5, d)).astype(np.float32))
    dense = x @ torch.from_numpy(weights["encoder"]).T + torch.from_numpy(weights["encoder_bias"])
    fired = load_described(Place(profile, lake, "layers.0")).encode(x)
    assert fired.value.tolist() == pytest.approx(dense[dense > 0.25].tolist(), abs=1e-5)
    as_declared = profile.model_copy(update={"coder": override(profile.coder, "test", options={})})
    with pytest.raises(ConflictError, match=r"coder\.options"):
        prepare_coder(as_declared, lake, "layers.0")


def test_a_scorer(tmp_path: Path, outside: Path) -> None:
    write_modules("scorer", outside)
    (toml,) = blocks(PAGES / "scorer.md", "toml")
    profile, lake = profile_of(toml, explained_lake.profile()), make_lake(tmp_path, 3)
    explain(profile, lake, HOOKPOINT, ALL, profile.explain, SELECTION)
    n = 3 * (N_TEST + N_SILENT)
    assert score(profile, lake, HOOKPOINT, ALL, profile.score, SELECTION).new_rows == 2 * n
    assert score(profile, lake, HOOKPOINT, ALL, profile.score, SELECTION).new_rows == 0
    as_declared = profile.score.model_copy(update={"options": {}})
    assert score(profile, lake, HOOKPOINT, ALL, as_declared, SELECTION).new_rows == n
    told_anyway = profile.score.model_copy(
        update={"options": {"my_package.scorers:common_words": {"shortest": 3}}}
    )
    assert score(profile, lake, HOOKPOINT, ALL, told_anyway, SELECTION).new_rows == 0
    with connect(lake) as con:
        found = con.execute(
            "select judge_hash = '1' as declared, truth, avg(value), count(*) "
            "from predictions where scorer = 'common_words' group by all order by all"
        ).fetchall()
        scored = con.execute("select auroc from scores where scorer = 'common_words'").fetchall()
    assert [row[:2] for row in found] == [(a, b) for a in (False, True) for b in (False, True)]
    assert {row[3] for row in found} == {n // 2}
    assert found[0][2] < found[1][2], "the latent's word stands where it fires, and nowhere else"
    assert len(scored) == 6
    assert all(auroc > 0.5 for (auroc,) in scored)


def test_a_source_of_non_activating_windows(tmp_path: Path, outside: Path) -> None:
    write_modules("non-activating-source", outside)
    (toml,) = blocks(PAGES / "non-activating-source.md", "toml")
    data = random_lake(tmp_path, n_tokens=6_000, ctx_len=64, n_buckets=2)
    name = "my_package.sources:FromAnEnd"
    chosen = {"example_ctx_len": 8, "min_examples": 8, "n_quantiles": 2}
    sizes = {"n_examples_train": 4, "n_examples_test": 4, "n_non_activating": 10}
    given = profile_of(toml, data.profile).selection
    last = override(given, "test", **chosen, **sizes)
    first = override(last, "test", name="first", options={name: {"last": False}})
    for selection in (last, first):
        assert select_examples(data.profile, data.lake, DATA_HOOKPOINT, selection).new_rows > 0
        assert select_examples(data.profile, data.lake, DATA_HOOKPOINT, selection).new_rows == 0
    with pytest.raises(ConflictError, match="options"):
        select_examples(
            data.profile, data.lake, DATA_HOOKPOINT, override(first, "test", name="default")
        )
    with connect(data.lake) as con:
        found = con.execute(
            "select selection, min(position), max(position), count(*) / count(distinct latent), "
            "bool_and(max_activation = 0) from examples where source = $name group by all "
            "order by all",
            {"name": name},
        ).fetchall()
    assert [(row[0], row[3], row[4]) for row in found] == [
        ("default", 5, True),
        ("first", 5, True),
    ]
    assert found[0][1] > 4_000
    assert found[1][2] < 2_000


def test_a_neighbour_method(tmp_path: Path, outside: Path) -> None:
    write_modules("neighbour-method", outside)
    (toml,) = blocks(PAGES / "neighbour-method.md", "toml")
    data = random_lake(tmp_path, n_tokens=2_000, ctx_len=64, n_buckets=2)
    profile, name = profile_of(toml, data.profile), "my_package.neighbours:Later"
    report = find_all_neighbours(profile, data.lake, DATA_HOOKPOINT, profile.neighbours)
    assert int(report.facts[f"latents_{name}"]) > 0
    assert find_all_neighbours(profile, data.lake, DATA_HOOKPOINT, profile.neighbours).new_rows == 0
    as_declared = override(profile.neighbours, "test", options={})
    for settings in (as_declared, profile.neighbours):
        again = find_all_neighbours(profile, data.lake, DATA_HOOKPOINT, settings)
        assert again.new_rows > 0, "no selection drew on them"
    with connect(data.lake) as con:
        found = con.execute(
            "select latent, neighbour, similarity from neighbours where method = $name "
            "order by all",
            {"name": name},
        ).fetchall()
    fired = {latent: set(values) for latent, values in data.fired.items()}
    expected = [
        (one, other, pytest.approx(len(shared) / len(fired[one])))
        for one in sorted(fired)
        for other in sorted(fired)
        if one != other and (shared := {at + 2 for at in fired[one]} & fired[other])
    ]
    assert found == expected


def test_a_sampler(tmp_path: Path, outside: Path) -> None:
    write_modules("sampler", outside)
    (toml,) = blocks(PAGES / "sampler.md", "toml")
    data = random_lake(tmp_path, n_tokens=6_000, ctx_len=64, n_buckets=2)
    name = "my_package.samplers:Weakest"
    chosen = {"example_ctx_len": 8, "min_examples": 30, "n_quantiles": 2}
    sizes = {"n_examples_train": 4, "n_examples_test": 4, "n_non_activating": 4}
    given = profile_of(toml, data.profile).selection
    weak = override(given, "test", **chosen, **sizes)
    as_declared = override(weak, "test", name="declared", options={})
    for selection in (weak, as_declared):
        assert select_examples(data.profile, data.lake, DATA_HOOKPOINT, selection).new_rows > 0
        assert select_examples(data.profile, data.lake, DATA_HOOKPOINT, selection).new_rows == 0
    with pytest.raises(ConflictError, match="sampler_options"):
        select_examples(
            data.profile, data.lake, DATA_HOOKPOINT, override(weak, "test", name="declared")
        )

    def shown(**changes: object) -> set[tuple[int, int]]:
        rows = choose_examples(
            data.profile, data.lake, DATA_HOOKPOINT, override(weak, "test", **changes)
        ).to_pylist()
        return {(row["latent"], row["position"]) for row in rows if row["split"] == "train"}

    top16, top20 = (
        shown(train_type="top", n_examples_train=n, options={}, min_examples=30) for n in (16, 20)
    )
    assert len(shown()) >= 40
    assert shown() == top20 - top16
    with connect(data.lake) as con:
        found = con.execute("select distinct source from examples where split = 'train'").fetchall()
    assert (name,) in found


def wrong(windows: Sequence[int]) -> type[WindowSource]:
    """A source that gives its first latent these windows of 8 tokens."""

    class Wrong(WindowSource):
        def open(self, place: SourcePlace) -> Draws:
            def draws(bucket: SourceBucket) -> pa.Table:
                latent = int(bucket.taken().latents[0])
                positions = [8 * window for window in windows]
                return pa.table({"latent": [latent] * len(windows), "position": positions})

            return draws

    return Wrong


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (wrong([10**6]), r"gave the window at position 8000000; expected a multiple of 8"),
        (wrong([-1]), r"gave the window at position -8"),
        (wrong(range(125)), r"gave 125 windows to latent \d+, \d+ of them different and free"),
        (wrong([]), None),
        (int, "is a int; expected a WindowSource"),
    ],
)
def test_a_source_that_gives_what_cannot_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: object, problem: str | None
) -> None:
    monkeypatch.setattr(SOURCES, "_registered", {"wrong": given})
    data = random_lake(
        tmp_path, example_ctx_len=8, min_examples=8, n_examples_train=4, n_examples_test=4
    )
    selection = override(data.profile.selection, "test", non_activating_source={"wrong": 1.0})
    if problem is None:
        assert select_examples(data.profile, data.lake, DATA_HOOKPOINT, selection).new_rows > 0
        return
    with pytest.raises((DataError, SettingError), match=problem):
        select_examples(data.profile, data.lake, DATA_HOOKPOINT, selection)


def test_an_explainer(tmp_path: Path, outside: Path) -> None:
    write_modules("explainer", outside)
    counting, asking = blocks(PAGES / "explainer.md", "toml")
    profile, lake = profile_of(counting, explained_lake.profile()), make_lake(tmp_path, 2)
    assert explain(profile, lake, HOOKPOINT, ALL, profile.explain, SELECTION).new_rows == 2
    assert explain(profile, lake, HOOKPOINT, ALL, profile.explain, SELECTION).new_rows == 0
    one = profile.explain.model_copy(update={"options": {}})
    assert explain(profile, lake, HOOKPOINT, ALL, one, SELECTION).new_rows == 2
    with FaultServer(lambda asked: Reply("[EXPLANATION]: three words here")) as server:
        profile = profile_of(asking, explained_lake.profile(api_base=server.url))
        assert explain(profile, lake, HOOKPOINT, ALL, profile.explain, SELECTION).new_rows == 2
        told = [asked.body["messages"][0]["content"] for asked in server.asked]
    assert len(told) == 2
    assert all("a headline of 3 words" in text for text in told)
    with connect(lake) as con:
        found = con.execute(
            "select explainer, latent, len(string_split(explanation, ' / ')) "
            "from explanations order by all"
        ).fetchall()
    assert found == [
        *(("my_package.asking:Headline", latent, 1) for latent in (0, 1)),
        *(
            ("my_package.explainers:strongest_windows", latent, windows)
            for latent in (0, 1)
            for windows in (1, 2)
        ),
    ]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_transport(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    write_modules("transport", outside)
    (toml,) = blocks(PAGES / "transport.md", "toml")
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)

    def answer(asked: Asked) -> Reply:
        if asked.times_before == 0:
            return Reply(status=429)
        return Reply("[EXPLANATION]: a word") if asked.number % 2 else Reply(status=400)

    with FaultServer(answer) as server:
        profile = profile_of(toml, explained_lake.profile(api_base=server.url))
        llm = override(profile.llm, "test", api_base=server.url, processes=processes)
        profile = profile.model_copy(
            update={"llm": llm, "explain": override(profile.explain, "test", explainer="default")}
        )
        lake = make_lake(tmp_path, 4)
        explain(profile, lake, HOOKPOINT, ALL, profile.explain, SELECTION)
        asked = list(server.asked)
    assert {(one.body["model"], one.body["top_p"]) for one in asked} == {("my-model", 0.9)}
    with connect(lake) as con:
        found = con.execute(
            "select model, answer, error, attempts, prompt_tokens, completion_tokens "
            "from completions order by all"
        ).fetchall()
    assert len(found) == 4
    for model, said, error, attempted, *tokens in found:
        assert (model, attempted) == ("plain/my-model", 2)
        if error is None:
            assert (said, tokens) == ("[EXPLANATION]: a word", [10, 2])
        else:
            assert error.startswith("rejected: ")
            assert "planted failure" in error
