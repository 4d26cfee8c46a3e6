"""Latents that are negative: what is shown of them, and that others are shown as before."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from delphi_assets.explainers import registry as explainers
from delphi_assets.explainers.explainer import AskedExplainer
from delphi_assets.explainers.single_token import strongest
from delphi_assets.lake.lake import Lake
from delphi_assets.llm.calls.requests import Request
from delphi_assets.prompts import Prompts
from delphi_assets.reading.highlighting import highlight, mark
from delphi_assets.reading.records import Example, LatentRecord
from delphi_assets.reading.rendering import window_html, window_text
from delphi_assets.scorers import fuzz, registry
from delphi_assets.scorers.work import scorer as scorers
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.settings import ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, SELECTION, Sizes, profile, record, terms

SIZES = Sizes(4, 6, 6, train_silent=3)
EXPLAINERS = ("default", "contrastive", "single_token")
SCORERS = ("detection", "fuzz", "intruder", "simulation")


def scoring(name: str, version: int | None = None) -> Scoring:
    settings = ScoreSettings(
        scorers=(name,), scorer_model="openai/m", simulation_type="json", intruder_windows=4
    )
    given = profile()
    cache = given.cache.model_copy(update={"filter_bos": False})
    return Scoring(
        given.model_copy(update={"cache": cache}),
        Lake("nowhere"),
        HOOKPOINT,
        SELECTION,
        settings,
        prompt_version=version,
    )


def questions(one: LatentRecord, version: int | None = None) -> Iterator[tuple[str, Request]]:
    """What explainers and scorers ask about a latent, by a version of the prompts."""
    for name in EXPLAINERS:
        by = explainers.make(name)
        assert isinstance(by, AskedExplainer)
        yield name, by.request(one, replace(terms(), prompts=Prompts(version=version)))
    said = Explained(one.latent, "id", "default", "openai/m", None, "The word of the latent.")
    for name in SCORERS:
        scorer = registry.make(name, scoring(name, version))
        judge = scorer.judge
        assert isinstance(judge, scorers.Asked)
        items = scorer.items(one, said)
        yield name, judge.request(said, items[: judge.batch_size])


AS_SHIPPED = {
    1: {
        "default": "439c3b233cc19e4b",
        "contrastive": "8e1746a9442d9934",
        "single_token": "3f8134f3d3492a6d",
        "detection": "ff9bb9edc38afcb6",
        "fuzz": "bcadb9ef1e14553d",
        "intruder": "fb81d9acf66c9906",
        "simulation": "434d88750d40c65e",
    },
    2: {
        "default": "1246006b0c29d9d2",
        "contrastive": "04dd37d60231656b",
        "single_token": "d24d3b4c41a24463",
        "detection": "792f2abccf127c1f",
        "fuzz": "1d8f1f4b24cf9fe6",
        "intruder": "f6ee08db778455cf",
        "simulation": "f1ec79973e80c86d",
    },
}
"""Of the messages about `record(3)` by each version; of the first, before one could be negative."""


def digest(request: Request) -> str:
    return hashlib.sha256(request.messages_json.encode()).hexdigest()[:16]


@pytest.mark.parametrize("version", AS_SHIPPED)
def test_what_is_asked_about_other_latents_is_as_before(version: int) -> None:
    """Stored answers are found by the messages: not a character of these may change."""
    asked = questions(record(3, SIZES), version)
    assert {name: digest(request) for name, request in asked} == AS_SHIPPED[version]


def negative(one: Example) -> Example:
    return replace(
        one,
        activations=[-value for value in one.activations],
        normalized=[-value for value in one.normalized],
        max_activation=-one.max_activation,
        latent_max=-one.latent_max,
    )


def negative_record(latent: int) -> LatentRecord:
    """A latent that is negative wherever it is active."""
    return LatentRecord(latent, [negative(one) for one in record(latent, SIZES).examples])


def mixed(latent: int) -> LatentRecord:
    """A latent that is negative in every other window."""
    examples = record(latent, SIZES).examples
    return LatentRecord(latent, [negative(one) if one.example % 2 else one for one in examples])


def said_to(name: str, one: LatentRecord) -> str:
    return dict(questions(one))[name].messages[-1].content


def test_marks_follow_the_magnitude_and_keep_the_sign() -> None:
    activations = [0.0, -10.0, -2.0, 4.0, 3.0]
    assert mark(activations, 0.3, -10.0, inclusive=True) == [0, -1, 0, 1, 1]
    assert mark(activations, 0.3, 10.0, inclusive=False) == [0, -1, 0, 1, 0]
    assert mark([0.0, -0.5], 0.3, 10.0, inclusive=False) == [0, -1]
    assert highlight([" a", " b", " c", " d"], [-1, -1, 1, 0]) == "<< a b>>(-)<< c>> d"


def test_the_explainer_is_shown_signs_and_what_they_mean() -> None:
    shown = said_to("default", negative_record(3))
    assert shown.startswith("This unit can be active with a negative sign")
    assert "<< word3>>(-)" in shown
    assert 'Marked: "word3" 4x -10\n' in shown
    assert 'Marked: "word3" 4x -10 to 10\n' in said_to("default", mixed(3))
    assert said_to("contrastive", mixed(3)).startswith("This unit can be active with a negative")


def test_the_single_token_is_one_on_which_the_latent_fires() -> None:
    (one,) = strongest(negative_record(3).train)
    assert (one.token, one.least, one.most) == (" word3", -10, -10)
    assert '" word3" in 4 excerpts, strength -10' in said_to("single_token", negative_record(3))
    assert "strength -10 to 10" in said_to("single_token", mixed(3))


def test_judges_of_marks_are_shown_signs_on_both_sides() -> None:
    for name in ("fuzz", "intruder"):
        shown = said_to(name, negative_record(3))
        assert shown.startswith("Where (-) stands behind a mark")
        assert shown.count(">>(-)") == shown.count(">>")
    assert said_to("detection", negative_record(3)) == said_to("detection", record(3, SIZES))
    items = fuzz.items(mixed(3), 0.3, "seed")
    layouts = {truth: sorted(i.marked or () for i in items if i.truth == truth) for truth in (0, 1)}
    assert layouts[False] == layouts[True]
    assert {sign for marks in layouts[True] for sign in marks} == {-1, 0, 1}


def test_every_active_window_of_a_negative_latent_is_marked() -> None:
    """It had no marks at all, hence fuzzing at chance."""
    items = fuzz.items(negative_record(3), 0.3, "seed")
    assert all(any(item.marked or ()) for item in items)


@pytest.mark.parametrize("colour", [False, True])
def test_readers_see_the_sign(colour: bool) -> None:
    one, other = record(3, SIZES).train[0], negative_record(3).train[0]
    assert window_text(one, colour=colour) != window_text(other, colour=colour)
    assert window_text(other, colour=colour).strip().startswith("-10 ")
    assert "\x1b[38;5;16;48;5;39m" in window_text(other, colour=True)
    assert "&#x27; word3&#x27;: -10, -10 of 10" in window_html(other)
    assert "background:rgba(20,100,220,0.60)" in window_html(other)
