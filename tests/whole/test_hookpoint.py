"""A hookpoint's latents as objects, checked by hand on a small lake and against what is written."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from delphi_assets import Hookpoint
from delphi_assets.errors import DataError, NotReadyError, SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake import parquet
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.parquet import row_groups_of
from delphi_assets.lake.schema import EXAMPLES, LATENTS, WEIGHTS
from delphi_assets.latent_ranges import Latents, parse_latents
from delphi_assets.reading.records import Example, Selection
from delphi_assets.runs.hookpoint import Latent
from delphi_assets.scorers import detection
from delphi_assets.scorers.predictions import score
from delphi_assets.selection.examples import select_examples
from delphi_assets.settings import (
    ExplainSettings,
    ScoreSettings,
    override,
    parse_profile,
    profile_of_run,
)
from tests.parts import hand_built
from tests.parts.explained_lake import HOOKPOINT, KEYS, RUN, make_lake, profile, record
from tests.parts.random_lake import random_lake

pytestmark = pytest.mark.slow

HEAVY = {"torch", "transformers", "litellm", "datasets", "matplotlib"}
SMALL: dict[str, Any] = {
    "n_examples_train": 3,
    "n_examples_test": 4,
    "n_non_activating": 5,
    "n_quantiles": 2,
}
PLACE: dict[str, str | int] = {"run": RUN, "hookpoint": HOOKPOINT}
ALL = Latents(())
N_LATENTS = 8
"""Latents of the coder; the last two have no examples."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with examples of latents 0 to 5, statistics of 3 and 7, latents 0 to 2 scored."""
    lake = make_lake(tmp_path_factory.mktemp("hookpoint"))
    weights: list[dict[str, object]] = [{"latent": latent} for latent in range(N_LATENTS)]
    lake.publish(Unit("weights", PLACE), [File(WEIGHTS.from_rows(weights))], config={})
    rows = [
        hand_built.latent(
            3,
            {" word3": 0.75, " lake": 0.25},
            n_activations=1_200,
            n_windows=900,
            token_density=0.0125,
            max_activation=10.0,
        ),
        hand_built.latent(7, {}, n_activations=0, n_windows=0, token_density=0.0, reason="dead"),
    ]
    lake.append(LATENTS, PLACE, LATENTS.from_rows(rows))
    lexical = ExplainSettings(explainer="lexical")
    explain(profile(), lake, HOOKPOINT, parse_latents("0-2"), lexical, "default")
    score(profile(), lake, HOOKPOINT, ALL, ScoreSettings(scorers=("detection",)), "default")
    return lake


@pytest.fixture(scope="module")
def hookpoint(lake: Lake) -> Hookpoint:
    return Hookpoint(lake)


def test_a_lake_with_one_run_and_hookpoint_needs_no_names(lake: Lake) -> None:
    found = Hookpoint(lake.url)
    assert (found.run, found.name, found.selection) == (RUN, HOOKPOINT, "default")
    assert found.num_latents == N_LATENTS
    shown = f"Hookpoint({lake.url!r}, run='tiny', name='layers.3', selection='default')"
    assert repr(found) == shown


def test_latents_are_the_records_of_explainers(lake: Lake, hookpoint: Hookpoint) -> None:
    latents = list(hookpoint)
    assert [latent.latent for latent in latents] == [0, 1, 2, 3, 4, 5]
    records = Selection(lake, RUN, HOOKPOINT, "default").records(ALL)
    for latent, read in zip(latents, records, strict=True):
        assert latent.examples == read.examples == record(latent.latent).examples
    three = hookpoint[3]
    assert type(three.train[0]) is Example
    assert (len(three.train), len(three.test), len(three.non_activating)) == (4, 6, 6)
    assert detection.items(three, "seed") == detection.items(record(3), "seed")
    assert repr(three) == "Latent(3, train=4, test=6, non_activating=6)"


@pytest.mark.parametrize(
    ("which", "found"), [("1-3", [1, 2, 3]), ("5, 0", [0, 5]), ([4, 1], [1, 4]), ("6-7", [])]
)
def test_latents_asked_for(hookpoint: Hookpoint, which: str | list[int], found: list[int]) -> None:
    assert [latent.latent for latent in hookpoint.latents(which)] == found


def test_what_the_lake_knows(hookpoint: Hookpoint) -> None:
    statistics = hookpoint[3].statistics
    assert statistics["top_tokens"] == [" word3", " lake"]
    assert (statistics["token_density"], statistics["reason"]) == (0.0125, None)
    assert "run" not in statistics
    assert hookpoint[0].statistics == {}
    assert (hookpoint[3].explanations, hookpoint[3].scores) == ([], [])
    (explanation,) = hookpoint[1].explanations
    assert '" word1"' in (explanation.explanation or "")
    (judged,) = hookpoint[1].scores
    assert judged.explanation_id == explanation.explanation_id
    assert (judged.scorer, judged.control, judged.n_examples) == ("detection", "none", 12)
    # The word stands in every activating window and in no other.
    assert (judged.balanced_accuracy, judged.auroc) == (1.0, 1.0)


def test_a_latent_without_examples_says_why(hookpoint: Hookpoint) -> None:
    dead = hookpoint[7]
    assert dead == Latent(7, [], hookpoint)
    assert dead.statistics["reason"] == "dead"
    assert dead.text(colour=False).splitlines() == [
        "latent 7 of layers.3, run tiny, selection default",
        "fires on 0 tokens (0 of all), in 0 windows; strongest 0",
        "not explained: dead",
    ]
    assert hookpoint[6].text(colour=False).count("\n") == 0
    assert dead.max_activation == 0


def test_sheet_by_hand(hookpoint: Hookpoint) -> None:
    lines = hookpoint[3].sheet(1).text(colour=False).splitlines()
    assert lines[:3] == [
        "latent 3 of layers.3, run tiny, selection default",
        "fires on 1,200 tokens (0.0125 of all), in 900 windows; strongest 10",
        "top tokens: ' word3' 75%, ' lake' 25%",
    ]
    titles = ["train, quantile 0", "train, quantile 1", "test, quantile 0", "test, quantile 1"]
    assert [line for line in lines[3:] if line and not line.startswith(" ")] == [
        *titles,
        "non-activating, test, random",
    ]
    # Of examples 0 and 2, both of quantile 0, the first fires at 10, on the fourth of 8 tokens.
    first = lines.index("train, quantile 0") + 1
    fillers = "   filler{} filler{} filler{}<< word3>> filler{} filler{} filler{} filler{}"
    assert lines[first] == "      10" + fillers.format(0, 1, 2, 4, 5, 6, 7)
    assert lines[first + 1] == "  ... and 1 more"
    assert lines[-1] == "  ... and 5 more"
    assert lines[-2].startswith("  silent   filler")
    assert "more" not in hookpoint[3].sheet(6).text(colour=False)
    scored = hookpoint[1].text(colour=False)
    assert "\nlexical (lexical): " in scored
    rates = "balanced accuracy 1.000, mass explained 1.000, AUROC 1.000"
    assert f"\ndetection by lexical: {rates}\n" in scored


def test_what_is_from_another_selection_says_so(lake: Lake, hookpoint: Hookpoint) -> None:
    elsewhere = Hookpoint(lake, selection="other")
    text = Latent(1, [], elsewhere).text(colour=False)
    assert "\nlexical (lexical, selection default): " in text
    assert "\ndetection by lexical, selection default: balanced accuracy 1.000" in text
    assert "selection default: " not in hookpoint[1].text(colour=False)


def test_a_list_of_latents_is_a_line_each(hookpoint: Hookpoint) -> None:
    """IPython asks for this text of every latent in a list, and beside the HTML of a single one."""
    printed: list[str] = []

    class Printer:
        text = printed.append

    hookpoint[3]._repr_pretty_(Printer(), False)
    assert printed == ["Latent(3, train=4, test=6, non_activating=6)"]


def test_names_that_are_not_there_are_answered_by_those_that_are(
    lake: Lake, hookpoint: Hookpoint, tmp_path: Path
) -> None:
    with pytest.raises(NotReadyError, match=r"no run 'tny'; it holds \['tiny'\]"):
        Hookpoint(lake, run="tny")
    with pytest.raises(NotReadyError, match=r"no hookpoint 'layers.4' of run 'tiny'; .*'layers.3'"):
        Hookpoint(lake, name="layers.4")
    with pytest.raises(NotReadyError, match=r"selection 'other'.*\['default'\]"):
        Hookpoint(lake, selection="other")[3]
    with pytest.raises(SettingError, match="no latents 8; expected 0-7"):
        hookpoint[8]
    with pytest.raises(SettingError, match="no latents -1; expected 0-7"):
        hookpoint[-1]
    with pytest.raises(SettingError, match="no latents 4-8; expected 0-7"):
        hookpoint.latents("4-8")
    with pytest.raises(SettingError, match="at least one"):
        hookpoint.latents([])
    with pytest.raises(SettingError, match=r"latents = 5; expected .* e.g. \[5\]"):
        hookpoint.latents(5)  # type: ignore[arg-type]
    for wrong in (3.7, "3", None, slice(0, 3)):
        with pytest.raises(SettingError, match=r"latent = .*; expected its index"):
            hookpoint[wrong]  # type: ignore[index]
    with pytest.raises(SettingError, match=r"latent = 1\.5; expected its index"):
        hookpoint.latents([1.5])  # type: ignore[list-item]
    assert hookpoint[np.int64(3)] == hookpoint[3]
    with pytest.raises(NotReadyError, match="holds no run; materialize"):
        Hookpoint(tmp_path / "nowhere")


def test_several_are_asked_about(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    rows = EXAMPLES.from_rows([{"latent": 0, **vars(record(0).examples[0])}])
    for name in ("layers.1", "layers.2"):
        keys = {**KEYS, "run": "two", "hookpoint": name}
        lake.publish(Unit("examples", keys), [File(rows)], config={"n_buckets": 1})
    with pytest.raises(SettingError, match=r"several runs: \['tiny', 'two'\]"):
        Hookpoint(lake)
    with pytest.raises(SettingError, match=r"hookpoints of run 'two': \['layers.1', 'layers.2'\]"):
        Hookpoint(lake, run="two")
    assert Hookpoint(lake, run="tiny").name == HOOKPOINT
    assert len(list(Hookpoint(lake, run="two", name="layers.2"))) == 1


def test_only_row_groups_with_the_latents_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16 rows a latent in row groups of 20: latents span them."""
    monkeypatch.setitem(parquet._ROW_GROUPS, "examples", 20)
    lake = make_lake(tmp_path)
    (path,) = lake.files("examples", **KEYS)
    footer = pq.read_metadata(path)
    assert footer.num_row_groups == 5
    # Rows 20 to 39 are latents 1 and 2, rows 40 to 59 are latents 2 and 3.
    assert row_groups_of(parse_latents("2"), footer) == [1, 2]
    assert row_groups_of(parse_latents("0, 5"), footer) == [0, 4]
    assert row_groups_of(parse_latents("6-9"), footer) == []
    assert row_groups_of(ALL, footer) == [0, 1, 2, 3, 4]
    assert [one.examples for one in Hookpoint(lake)] == [record(n).examples for n in range(6)]
    (two,) = Selection(lake, RUN, HOOKPOINT, "default").records(parse_latents("2"))
    assert two == record(2)


def test_files_are_read_and_checked_when_they_are_come_to(tmp_path: Path) -> None:
    data = random_lake(tmp_path, n_tokens=2_000, min_examples=4, n_examples_train=2)
    chosen = override(data.profile.selection, "test", n_examples_test=2, n_non_activating=2)
    select_examples(data.profile, data.lake, "layers.0", chosen)
    *_, last = data.lake.files("examples", run="random")
    content = Path(last).read_bytes()
    Path(last).write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    hookpoint = Hookpoint(data.lake)
    read = []
    with pytest.raises(DataError, match=r"bucket-00002\.parquet is not as it was written"):
        read += [latent.latent for latent in hookpoint]
    latents = hookpoint.latents()
    assert next(latents).latent <= 2
    with pytest.raises(DataError, match="not as it was written"):
        hookpoint[11]
    Path(last).write_bytes(content[:100])
    with pytest.raises(DataError, match=r"bucket-00002\.parquet cannot be read"):
        Hookpoint(data.lake)[11]


def test_select_tries_what_select_examples_writes(tmp_path: Path) -> None:
    data = random_lake(tmp_path, n_tokens=2_000, min_examples=4)
    chosen = override(data.profile.selection, "test", name="top", train_type="top", **SMALL)
    hookpoint = Hookpoint(data.lake)
    files = sorted(tmp_path.rglob("*.parquet"))
    tried = hookpoint.select(data.profile, "3-9", train_type="top", **SMALL)
    again = hookpoint.select(data.profile, range(3, 10), chosen)
    select_examples(data.profile, data.lake, "layers.0", chosen)
    written = Hookpoint(data.lake, selection="top")
    assert len(list(tried)) >= 5
    assert list(tried) == list(again) == list(written.latents("3-9"))
    assert tried[4] == written[4]
    assert tried[4] != hookpoint.select(data.profile, [4], train_type="random", **SMALL)[4]
    assert tried[2].examples == []
    assert ", selection default, not written" in str(tried[4])
    assert (tried.written, written.written) == (False, True)
    assert not {path for path in files if not path.exists()}
    assert not list(tmp_path.glob("examples/*/*/selection=default"))


def test_select_refuses_what_cannot_be(tmp_path: Path) -> None:
    data = random_lake(tmp_path)
    hookpoint = Hookpoint(data.lake)
    with pytest.raises(SettingError, match=r"run.name is 'tiny'; expected the profile of run"):
        hookpoint.select(profile())
    with pytest.raises(SettingError, match=r"train_typ = 'top': no such setting.*'train_type'"):
        hookpoint.select(data.profile, train_typ="top")
    with pytest.raises(SettingError, match="no latents 12-99; expected 0-11"):
        hookpoint.select(data.profile, "12-99")


def test_looking_needs_no_heavy_modules(lake: Lake) -> None:
    code = f"""
import sys
from delphi_assets import Hookpoint
print(Hookpoint({lake.url!r})[3])
print(sorted({HEAVY} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("latent 3 of layers.3")
    assert run.stdout.endswith("\n[]\n")


def test_labels_of_ones_own(tmp_path: Path) -> None:
    """Of one latent as objects and on its sheet, of all as a frame that joins with scores."""
    lake = make_lake(tmp_path)
    hookpoint = make_weights(lake, Hookpoint(lake))
    lexical = ExplainSettings(explainer="lexical")
    explain(profile(), lake, HOOKPOINT, ALL, lexical, "default")
    score(profile(), lake, HOOKPOINT, ALL, ScoreSettings(scorers=("detection",)), "default")
    assert (hookpoint[3].labels, hookpoint.labels().rows()) == ([], [])
    (tmp_path / "labels.csv").write_text("latent,rating,note\n3,4,a word\n5,,none\n")
    assert hookpoint.add_labels(tmp_path / "labels.csv", "alice").facts["added"] == 3
    note, rating = hookpoint[3].labels
    assert (rating.source, rating.name, rating.value, rating.number) == ("alice", "rating", "4", 4)
    assert (note.value, note.number) == ("a word", None)
    assert "alice, rating: 4\n" in hookpoint[3].text(colour=False)
    frame = hookpoint.labels()
    assert frame.columns == ["latent", "alice.note", "alice.rating"]
    assert frame.rows() == [(3, "a word", 4.0), (5, "none", None)]
    own = hookpoint.scores().filter(control="none").join(frame, on="latent")
    assert own.select("latent", "alice.rating").rows() == [(3, 4.0), (5, None)]


def test_stages_are_called_on_a_hookpoint(tmp_path: Path) -> None:
    """With the settings that the lake has of the run, and defaults for the rest."""
    lake = make_lake(tmp_path)
    hookpoint = Hookpoint(lake)
    with pytest.raises(NotReadyError, match="does not say what run 'tiny' was made with"):
        hookpoint.explain("0-1")
    lake.claim_run(RUN, profile().run_config())
    assert hookpoint.explain("0-1").facts["explained"] == 2
    assert hookpoint.explain([1, 2]).new_rows == 1
    assert hookpoint.scores().is_empty()
    report = hookpoint.score("0", scorers=("detection",))
    assert (report.new_rows, report.facts["explanations"]) == (12, 1)
    frame = hookpoint.scores()
    assert frame.select("latent", "scorer", "auroc").rows() == [(0, "detection", 1.0)]
    (fuzzed,) = make_weights(lake, hookpoint)[2].score("fuzz")
    assert (fuzzed.scorer, fuzzed.control) == ("fuzz", "none")
    assert hookpoint.scores()["latent"].to_list() == [0, 2]
    with pytest.raises(SettingError, match=r"scorer = .*: no such setting"):
        hookpoint.score("0", scorer="fuzz")


def make_weights(lake: Lake, hookpoint: Hookpoint) -> Hookpoint:
    """The hookpoint, once its coder has weights."""
    weights: list[dict[str, object]] = [{"latent": latent} for latent in range(N_LATENTS)]
    lake.publish(Unit("weights", PLACE), [File(WEIGHTS.from_rows(weights))], config={})
    return hookpoint


def test_a_profile_says_how(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    hookpoint = Hookpoint(lake)
    given = profile().model_dump()
    given["score"] |= {"scorers": ("fuzz",), "latents": "1"}
    given["explain"] |= {"explainer": "lexical", "explainer_model": "lexical", "latents": "0-2"}
    said = parse_profile(given)
    assert hookpoint.explain(profile=said).new_rows == 3
    assert hookpoint.score(profile=said).facts["explanations"] == 1
    assert hookpoint.scores()["scorer"].to_list() == ["fuzz"]
    # The stages themselves take what is left out from the profile too.
    assert explain(said, lake, HOOKPOINT, latents="0-3").new_rows == 1
    assert score(said, lake, HOOKPOINT, "1", explainer="lexical").new_rows == 0
    other = said.model_copy(update={"run": said.run.model_copy(update={"name": "other"})})
    with pytest.raises(SettingError, match=r"run.name is 'other'"):
        hookpoint.score(profile=other)


@pytest.mark.parametrize("name", ["layers.0", "layers.0@wide"])
def test_the_profile_of_a_run_is_what_it_was_made_with(name: str) -> None:
    raw = profile().model_dump()
    raw["coder"] |= {"sparse_models": {"wide": "somewhere"}}
    raw["cache"] |= {"hookpoints": [name]}
    made = parse_profile(raw)
    stored = {**made.hookpoint_config(name), "cache.of_another_version": 3}
    found = profile_of_run(made.run.name, name, stored, "here")
    assert found.hookpoint_config(name) == made.hookpoint_config(name)
    assert (found.run.lake, found.cache.hookpoints) == ("here", (name,))


def test_examples_that_are_not_written_are_not_explained(tmp_path: Path) -> None:
    data = random_lake(tmp_path)
    tried = Hookpoint(data.lake).select(data.profile, "3-9", min_examples=4, **SMALL)
    with pytest.raises(SettingError, match="were chosen by `select`, and are not in the lake"):
        tried.explain("3")
