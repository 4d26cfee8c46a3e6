"""Data of the latent explorer: by hand on a small lake, and against the lake's own rows."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest

from delphi_assets.command_line import main
from delphi_assets.errors import NotReadyError, SettingError, StorageError
from delphi_assets.explainers.explanations import explain
from delphi_assets.explorer import listing, write_explorer
from delphi_assets.explorer.data_files import data_file
from delphi_assets.explorer.listing import STATES
from delphi_assets.explorer.ranges import Range, ranges
from delphi_assets.lake.database import connect
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import WEIGHTS
from delphi_assets.latent_ranges import ALL, Latents, parse_latents
from delphi_assets.reading.records import Selection
from delphi_assets.reading.rendering import visible
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts import explained_lake
from tests.parts.explorer_lake import (
    DEAD,
    EXPLAINED,
    FAILED,
    FAR,
    ODD,
    ODD_HOOKPOINT,
    PLANTED,
    RARE,
    SCORED,
    WAITING,
    index,
    read_data,
    write_lake,
)
from tests.parts.hand_built import HOOKPOINT, RUN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The lake by hand."""
    return write_lake(tmp_path_factory.mktemp("explorer") / "lake")


@pytest.fixture(scope="module")
def site(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its site."""
    folder = tmp_path_factory.mktemp("site")
    report = write_explorer(lake, folder)
    assert report.facts["path"] == str(folder / "index.html")
    assert report.rows == report.facts["pages"] == 7
    data = list(folder.glob("data/*/*/*/**/*.js"))
    assert report.facts["files"] == len(data)
    assert report.bytes == sum(path.stat().st_size for path in data)
    return folder


def page_of(site: Path, latent: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The file that holds a latent, and the latent."""
    page = read_data(site, f"latents/{latent // 20}")
    return page, next(one for one in page["latents"] if one["latent"] == latent)


def test_a_data_file_is_one_call_that_nothing_leaves() -> None:
    """No end of a script, no line separator, no number that JSON lacks; five digits."""
    hostile = ["</script><!--", "\u2028\u2029", '"); planted(); ("', float("nan"), float("-inf")]
    text = data_file("key", {"values": hostile, "pi": 3.14159265, "whole": 2.0, "tiny": 1.5e-7})
    assert not any(part in text for part in ("<", "\u2028", "\u2029", "NaN", "Infinity"))
    held = json.loads(text.removeprefix('explorerData("key", ').removesuffix(");\n"))
    assert held["values"] == [*hostile[:3], None, None]
    assert (held["pi"], held["whole"], held["tiny"]) == (3.1416, 2, 1.5e-7)


def test_ranges_are_read_where_latents_are_asked_for() -> None:
    """Whole ranges, the last one cut, those without a latent left out."""
    assert list(ranges(1_200, ALL)) == [Range(0, 500), Range(500, 1_000), Range(1_000, 1_200)]
    assert list(ranges(1_200, parse_latents("3, 1100-4000"))) == [
        Range(0, 500),
        Range(1_000, 1_200),
    ]
    assert list(ranges(0, ALL)) == []


def test_states_and_numbers_of_the_list(site: Path) -> None:
    """How far each latent got; an activation that is no number is null."""
    numbers = read_data(site, "numbers/0")
    got = dict(zip(numbers["latent"], [STATES[code] for code in numbers["states"]], strict=True))
    assert got == {
        SCORED: "scored",
        FAILED: "failed",
        RARE: "rare",
        DEAD: "dead",
        WAITING: "waiting",
        EXPLAINED: "explained",
        FAR: "scored",
    }
    assert numbers["strongest_activation"] == [5, 3, None, None, 2, 1, 4]
    overview = read_data(site, "overview")
    assert dict(overview["states"]) == {name: list(got.values()).count(name) for name in STATES}
    assert overview["n_latents"] == 7


def test_sets_and_their_columns(site: Path) -> None:
    """A set per explainer and model, its texts on one line, its scores with floors."""
    overview = read_data(site, "overview")
    assert [
        (one["explainer"], one["explainer_model"], one["n_latents"]) for one in overview["sets"]
    ] == [
        ("lexical", "lexical", 3),
        ("default", "org/gpt", 1),
    ]
    assert [(one["set"], one["judge"], one["metric"]) for one in overview["columns"]] == [
        (0, "lexical", "balanced_accuracy"),
        (1, "org/gpt", "balanced_accuracy"),
    ]
    lexical, gpt = read_data(site, "numbers/0")["columns"]
    assert (lexical["at"], lexical["own"], lexical["shuffled"]) == ([0, 6], [1, 0.5], [0.5, None])
    assert (gpt["at"], gpt["own"]) == ([0], [0.75])
    texts = read_data(site, "texts/0/0")
    assert texts["at"] == [0, 5, 6]
    assert texts["texts"] == [f"counted {PLANTED}; second line", "the verb said", "far away"]
    assert read_data(site, "texts/1/0")["failed"] == [1]
    assert read_data(site, "tokens/0")["tokens"][0] == [visible(token) for token in ODD[:5]]


def test_labels_are_columns_of_the_list(site: Path) -> None:
    """Beside the numbers, whole ones with all digits; texts on one line beside the tokens."""
    held = read_data(site, "overview")["labels"]
    assert [(one["source"], one["name"], one["n_latents"], one["are_numbers"]) for one in held] == [
        ("alice", "__proto__", 1, False), ("alice", "note", 2, False), ("alice", "rating", 2, True),
    ]  # fmt: skip
    assert read_data(site, "numbers/0")["labels"] == [{"at": [0, 6], "values": [4.5, 123_457]}]
    assert read_data(site, "tokens/0")["labels"] == [
        {"at": [1], "values": ["[U+202E]right"]},
        {"at": [0, 3], "values": [f"seen {PLANTED}; second line", "quiet"]},
    ]


def test_a_page_holds_all_labels(site: Path) -> None:
    _, scored = page_of(site, SCORED)
    assert scored["labels"] == [
        {"source": "alice", "name": "note", "value": f"seen {PLANTED}\nsecond line"},
        {"source": "alice", "name": "rating", "value": "4.50"},
    ]
    assert page_of(site, WAITING)[1]["labels"] == []


def test_the_list_shows_the_labels_that_most_latents_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page shows every one."""
    monkeypatch.setattr(listing, "_LABELS", 2)
    write_explorer(write_lake(tmp_path / "lake"), tmp_path / "site")
    names = [one["name"] for one in read_data(tmp_path / "site", "overview")["labels"]]
    assert names == ["note", "rating"]
    assert page_of(tmp_path / "site", FAILED)[1]["labels"][0]["name"] == "__proto__"


def test_recall_by_strength_of_the_overview(site: Path) -> None:
    """The one explanation whose answers have rank bins finds all of both, and claims nothing."""
    (curve,) = read_data(site, "overview")["recall"]
    assert (curve["explainer_model"], curve["judge"], curve["control"]) == (
        "lexical",
        "lexical",
        "none",
    )
    assert curve["found"] == [[0, 1, None, None], [1, 1, None, None]]
    assert curve["claimed"] == pytest.approx(0.25)


def test_scorers_and_distributions_of_the_overview(site: Path) -> None:
    """Means over explanations and their floors; bins of 0.05 by kind."""
    overview = read_data(site, "overview")
    by_judge = {row["judge"]: row for row in overview["scorers"]}
    assert (by_judge["lexical"]["own"], by_judge["lexical"]["n_scores"]) == (0.75, 2)
    assert (by_judge["lexical"]["shuffled"], by_judge["lexical"]["above_shuffled"]) == (0.5, 0.5)
    assert by_judge["lexical"]["above_shuffled_low"] is None
    assert (by_judge["org/gpt"]["own"], by_judge["org/gpt"]["n_failed"]) == (0.75, 1)
    bins = {
        (row["judge"], row["kind"], row["bin"]): row["n_scores"]
        for row in overview["distributions"]
    }
    assert bins[("lexical", "own", 1)] == bins[("lexical", "own", 0.5)] == 1
    assert bins[("lexical", "shuffled", 0.5)] == 1


def test_a_page_holds_the_windows_as_they_are_shown(site: Path) -> None:
    """Tokens that are hard to show, activations that are no number, neighbours, rank bins."""
    page, scored = page_of(site, SCORED)
    train, fires, silent = scored["windows"]
    assert (train["split"], train["example"]) == ("train", [4])
    assert (fires["example"], fires["quantile"]) == ([0, 1], [0, 1])
    tokens = [page["strings"][token] for token in page["texts"][fires["text"][0]]]
    assert tokens == [visible(token) for token in ODD]
    assert fires["offsets"][0] == [1, 3, 5, 7]
    assert fires["activations"][0] == [5, 2.5, None, 0.5]
    assert fires["strengths"][0] == [10, 5, 0, 1]
    assert (silent["example"], silent["offsets"]) == ([2, 3], [[], []])
    assert (silent["neighbour"], silent["similarity"]) == ([None, FAR], [None, 0.5])
    assert scored["neighbours"] == [
        {"method": "co-occurrence", "neighbours": [FAR, DEAD], "similarities": [0.5, 0.25]}
    ]
    assert page_of(site, WAITING)[1]["windows"] == []
    assert page_of(site, FAR)[1]["explanations"][0]["explanation"] == "far away"


def test_a_page_holds_verdicts_beside_their_explanation(site: Path) -> None:
    """Right, wrong and failed answers; the prompts behind them, none of the controls'."""
    _, scored = page_of(site, SCORED)
    ids = [one["explanation_id"] for one in scored["explanations"]]
    verdicts = {ids[one["explanation"]]: one for one in scored["verdicts"]}
    assert sorted(verdicts) == ["e0", "g0"]
    counted, asked = verdicts["e0"], verdicts["g0"]
    assert (counted["truths"], counted["predictions"]) == ([1, 1, 0, 0], [1, 1, 0, 0])
    assert counted["probabilities"] == [0.9, 0.8, 0.1, 0.2]
    assert "variants" not in counted
    assert asked["predictions"] == [None, 1, 1, 0]
    assert asked["failures"] == [[0, "timeout"]]
    assert asked["requests"] == ["r3"]
    scores = {ids[row["explanation"]]: row for row in scored["scores"]}
    assert (scores["e0"]["own"], scores["e0"]["shuffled"]) == (1, 0.5)
    assert scores["e0"]["own_low"] < 1 <= scores["e0"]["own_high"]
    assert (scores["g0"]["n_examples"], scores["g0"]["n_failed"]) == (4, 1)
    assert page_of(site, FAR)[1]["verdicts"][0]["probabilities"] == [0.9, None, 0.7, 0.1]


def test_calls_are_beside_the_pages(site: Path) -> None:
    """Prompts, raw answers and errors of explanations and answers; equal texts once."""
    page = read_data(site, "calls/0")
    calls = {call["request"]: call for call in page["calls"]}
    assert sorted(calls) == ["r1", "r2", "r3"]
    prompt = [(role, page["texts"][text]) for role, text in calls["r1"]["messages"]]
    assert prompt == [("system", "Say what fires."), ("user", PLANTED)]
    assert len(page["texts"]) == 2
    assert calls["r1"]["answer"] == f"raw answer {PLANTED}"
    assert (calls["r2"].get("answer"), calls["r2"]["error"]) == (None, "refused")
    place = index(site)[0]
    assert not (site / place["folder"] / "calls" / "2.js").exists()


def test_every_window_answer_and_score_of_a_lake_is_on_a_page(tmp_path: Path) -> None:
    """What the pipeline wrote, put together again from the pages."""
    lake = explained_lake.make_lake(tmp_path)
    run, hookpoint = explained_lake.RUN, explained_lake.HOOKPOINT
    weights: list[dict[str, object]] = [{"latent": latent} for latent in range(6)]
    unit = Unit("weights", {"run": run, "hookpoint": hookpoint})
    lake.publish(unit, [File(WEIGHTS.from_rows(weights))], config={})
    profile = explained_lake.profile()
    explain(profile, lake, hookpoint, ALL, ExplainSettings(explainer="lexical"), "default")
    score(profile, lake, hookpoint, ALL, ScoreSettings(scorers=("detection", "fuzz")), "default")
    write_explorer(lake, tmp_path / "site")
    page = read_data(tmp_path / "site", "latents/0", run, hookpoint)
    with connect(lake) as con:
        rows = con.sql(
            "select * from predictions where control = 'none' order by example, variant"
        ).to_arrow_table()
        scores = con.sql("select * from scores where control = 'none'").to_arrow_table()
    predictions = rows.to_pylist()
    for record, held in zip(
        Selection(lake, run, hookpoint, "default").records(ALL), page["latents"], strict=True
    ):
        assert held["latent"] == record.latent
        windows = {
            group["example"][at]: (group, at)
            for group in held["windows"]
            for at in range(len(group["example"]))
        }
        assert sorted(windows) == [one.example for one in record.examples]
        for one in record.examples:
            group, at = windows[one.example]
            tokens = [page["strings"][token] for token in page["texts"][group["text"][at]]]
            activations = [0.0] * len(tokens)
            for offset, value in zip(group["offsets"][at], group["activations"][at], strict=True):
                activations[offset] = value
            assert (tokens, activations) == (one.str_tokens, one.activations)
            assert (group["split"], group["activating"]) == (one.split, one.activating)
        told = [
            (verdict["scorer"], verdict["examples"][at], truth, verdict["predictions"][at])
            for verdict in held["verdicts"]
            for at, truth in enumerate(verdict["truths"])
        ]
        wanted = [
            (row["scorer"], row["example"], int(row["truth"]), int(row["prediction"]))
            for row in predictions
            if row["latent"] == record.latent
        ]
        assert sorted(told) == sorted(wanted)
        own = {row["scorer"]: row["own"] for row in held["scores"]}
        assert own == {
            row["scorer"]: pytest.approx(row["balanced_accuracy"], rel=1e-4)
            for row in scores.to_pylist()
            if row["latent"] == record.latent
        }


def test_latents_without_anything_else(tmp_path: Path) -> None:
    """Only examples: no statistics, explanations, scores, neighbours."""
    lake = explained_lake.make_lake(tmp_path)
    report = write_explorer(lake, tmp_path / "site")
    overview = read_data(
        tmp_path / "site", "overview", explained_lake.RUN, explained_lake.HOOKPOINT
    )
    assert report.rows == overview["n_latents"] == 6
    assert (overview["sets"], overview["columns"], overview["scorers"]) == ([], [], [])
    assert dict(overview["states"])["waiting"] == 6


def test_some_latents(lake: Lake, tmp_path: Path) -> None:
    """Only those asked for are in the list and on pages; none of them is an error."""
    write_explorer(lake, tmp_path, latents=parse_latents("1-3, 45"))
    assert read_data(tmp_path, "numbers/0")["latent"] == [FAILED, RARE, DEAD, FAR]
    assert [one["latent"] for one in read_data(tmp_path, "latents/0")["latents"]] == [1, 2, 3]
    (far,) = read_data(tmp_path, "overview")["scorers"]
    assert (far["n_scores"], far["own"]) == (1, 0.5)
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(SettingError, match=r"has none of these .* expected some of 0-45"):
        write_explorer(lake, tmp_path, latents=Latents(((6, 9),)))
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


def test_a_site_holds_several_places_and_one_edition_of_each(tmp_path: Path) -> None:
    """Another hookpoint is added, with a name that is no path; the first one is written anew."""
    lake = write_lake(tmp_path / "lake")
    site = tmp_path / "site"
    write_explorer(lake, site)
    (first,) = index(site)
    write_lake(tmp_path / "lake", hookpoint=ODD_HOOKPOINT)
    write_explorer(lake, site, RUN, ODD_HOOKPOINT)
    assert {place["hookpoint"] for place in index(site)} == {HOOKPOINT, ODD_HOOKPOINT}
    assert read_data(site, "overview", hookpoint=ODD_HOOKPOINT)["hookpoint"] == ODD_HOOKPOINT
    assert (site / first["folder"]).is_dir()
    (site / first["folder"]).with_name("left-by-a-killed-writer").mkdir()
    write_explorer(lake, site, RUN, HOOKPOINT)
    again = next(place for place in index(site) if place["hookpoint"] == HOOKPOINT)
    assert again["folder"] != first["folder"]
    assert not (site / first["folder"]).exists()
    editions = [path for path in site.glob("data/*/*/*") if path.is_dir()]
    assert sorted(editions) == sorted(site / place["folder"] for place in index(site))


def test_the_command_writes_it(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was written is told; the site is whole; a wrong range is one line."""
    given = ["report", str(lake.root), "-o", str(tmp_path / "site"), "--run", RUN]
    assert main([*given, "--hookpoint", HOOKPOINT, "--latents", "0, 45"]) == 0
    told = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert (told["pages"], told["hookpoints"]) == ("2", "1")
    page = Path(told["path"]).read_text("utf-8")
    own = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert len(own) > 10
    assert all((tmp_path / "site" / name).is_file() for name in own)
    assert main([*given, "--latents", "9-4"]) == 1
    assert "ends before it starts" in capsys.readouterr().err


ASSET = """
import dagster as dg
from dagster_project.definitions import defs

job = defs.resolve_implicit_global_asset_job_def()
ended = job.execute_in_process(
    asset_selection=[dg.AssetKey("explorer")],
    partition_key="layers.0",
    instance=dg.DagsterInstance.ephemeral(),
)
(written,) = ended.asset_materializations_for_node("explorer")
print({name: value.value for name, value in written.metadata.items()})
"""
PROFILE = """
run = {{name = "hand", lake = "{lake}"}}
model = {{name = "none"}}
corpus = {{dataset_repo = "none"}}
coder = {{sparse_model = "none"}}
cache = {{hookpoints = ["layers.0"], cache_ctx_len = 32, shard_tokens = 32, n_tokens = 32}}
selection = {{example_ctx_len = 8}}
"""


def test_the_asset_writes_it_into_the_lake(tmp_path: Path) -> None:
    """One hookpoint a partition; the UI shows where the page is, and how much was written."""
    lake = write_lake(tmp_path / "lake")
    profile = tmp_path / "profile.toml"
    profile.write_text(PROFILE.format(lake=lake.root))
    ended = subprocess.run(
        [sys.executable, "-c", ASSET],
        env={**os.environ, "DELPHI_ASSETS_PROFILE": str(profile), "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = ast.literal_eval(ended.stdout.splitlines()[-1])
    assert told["path"] == f"{lake.root}/explorer/index.html"
    assert (told["dagster/partition_row_count"], told["pages"], told["hookpoints"]) == (7, 7, 1)
    assert told["bytes"] > 0
    assert read_data(tmp_path / "lake" / "explorer", "overview")["n_latents"] == 7


def test_a_site_may_be_in_an_object_store(lake: Lake) -> None:
    """Written through fsspec, twice: the second edition replaces the first."""
    for _ in range(2):
        report = write_explorer(lake, "memory://bucket/site")
    stored = fsspec.filesystem("memory").find("/bucket/site")
    assert sum("/hookpoint=" in path for path in stored) == int(report.facts["files"]) + 1


def test_what_is_not_there_is_named(lake: Lake, tmp_path: Path) -> None:
    """An unknown run, an empty lake, a folder that cannot be written."""
    with pytest.raises(NotReadyError, match=r"of run 'none'.*it holds \['hand layers.0'\]"):
        write_explorer(lake, tmp_path / "site", run="none")
    with pytest.raises(NotReadyError, match="there is no lake"):
        write_explorer(Lake(tmp_path / "nowhere"), tmp_path / "site")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        write_explorer(lake, tmp_path / "file")
