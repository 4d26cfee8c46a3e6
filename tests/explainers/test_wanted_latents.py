"""`next 1000` and `failed`: which latents a launch means, by what is stored of them."""

from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import NoAnswerError, SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import Latents, parse_latents, parse_wanted
from delphi_assets.llm.calls import attempts
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import (
    ExplainSettings,
    Profile,
    ScoreSettings,
    SelectionSettings,
    parse_profile,
)
from tests.parts.explained_lake import HOOKPOINT, SELECTION, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

COUNTING = ExplainSettings(explainer="lexical")
ASKING = ExplainSettings(explainer_model="openai/tiny")


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)


def explained(lake: Lake, given: Profile, latents: str, settings: ExplainSettings) -> StageReport:
    """Explain the latents that the text means."""
    return explain(given, lake, HOOKPOINT, parse_wanted(latents), settings, SELECTION)


def scored(lake: Lake, given: Profile, latents: str, settings: ScoreSettings) -> StageReport:
    """Score the latents that the text means."""
    return score(given, lake, HOOKPOINT, parse_wanted(latents), settings, SELECTION, "lexical")


def latents_of(lake: Lake, table: str, **columns: object) -> list[int]:
    """Latents with rows in a table, those with the given values of columns."""
    rows = connect(lake).table(table).to_arrow_table().to_pylist()
    kept = [row for row in rows if all(row[name] == value for name, value in columns.items())]
    return sorted({row["latent"] for row in kept})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("next 1000", Latents((), next=1000)),
        (" Next 1,000 ", Latents((), next=1000)),
        ("failed", Latents((), failed=True)),
        ("0-4, 17", parse_latents("0-4, 17")),
        ("all", Latents(())),
        ("", Latents(())),
    ],
)
def test_what_a_launch_can_say(text: str, expected: Latents) -> None:
    assert parse_wanted(text) == expected


@pytest.mark.parametrize("text", ["next", "next 0", "next -3", "last 5", "failed, 3", "4-0"])
def test_what_it_cannot(text: str) -> None:
    with pytest.raises(SettingError, match="latents = "):
        parse_wanted(text)


def test_a_selection_has_no_next() -> None:
    """Windows are selected for latents by number: what is stored of them does not count."""
    with pytest.raises(SettingError, match="'next 5'"):
        parse_latents("next 5")
    raw = profile().model_dump(mode="json")
    raw["selection"] = SelectionSettings(latents="next 5").model_dump(mode="json")
    with pytest.raises(SettingError, match="next 5"):
        parse_profile(raw)
    raw["selection"]["latents"] = "all"
    raw["explain"]["latents"] = "next 5"
    assert parse_profile(raw).explain.latents == "next 5"


def test_the_next_latents_are_explained_in_order(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    explained(lake, profile(), "1", COUNTING)
    report = explained(lake, profile(), "next 2", COUNTING)
    assert (report.new_rows, report.facts["asked"]) == (2, 2)
    assert latents_of(lake, "explanations") == [0, 1, 2]
    explained(lake, profile(), "next 100", COUNTING)
    assert latents_of(lake, "explanations") == [0, 1, 2, 3, 4, 5]
    assert explained(lake, profile(), "next 100", COUNTING).new_rows == 0


def test_failures_alone_are_explained_again(tmp_path: Path) -> None:
    """Neither those with a text, nor those never tried; and next passes over what failed."""
    lake, down = make_lake(tmp_path), True

    def answer(asked: Asked) -> Reply:
        failing = down and ("word1" in asked.prompt or "word2" in asked.prompt)
        return Reply(status=500) if failing else Reply("[EXPLANATION]: a word")

    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        explained(lake, given, "0-3", ASKING)
        assert latents_of(lake, "explanations", failure=None) == [0, 3]
        explained(lake, given, "next 1", ASKING)
        assert latents_of(lake, "explanations", failure=None) == [0, 3, 4]
        down, before = False, len(server.asked)
        report = explained(lake, given, "failed", ASKING)
        assert len(server.asked) == before + 2
    assert (report.new_rows, report.facts["explained"]) == (2, 2)
    assert latents_of(lake, "explanations", failure=None) == [0, 1, 2, 3, 4]


def test_the_next_latents_are_scored_in_order(tmp_path: Path) -> None:
    """Of those with an explanation; the floors come with them."""
    lake = make_lake(tmp_path)
    explained(lake, profile(), "0, 2-5", COUNTING)
    settings = ScoreSettings(scorers=("detection",), controls=("shuffled",))
    first = scored(lake, profile(), "next 2", settings)
    assert latents_of(lake, "predictions") == [0, 2]
    assert latents_of(lake, "predictions", control="shuffled") == [0, 2]
    assert (first.facts["tasks_done_now"], first.facts["tasks_there_already"]) == (4, 0)
    again = scored(lake, profile(), "next 2", settings)
    assert latents_of(lake, "predictions") == [0, 2, 3, 4]
    assert (again.facts["tasks_done_now"], again.facts["tasks_there_already"]) == (4, 4)


def test_failures_alone_are_scored_again(tmp_path: Path) -> None:
    lake, down = make_lake(tmp_path), True
    explained(lake, profile(), "0-3", COUNTING)

    def answer(asked: Asked) -> Reply:
        failing = down and "word1" in asked.body["messages"][-1]["content"]
        return Reply(status=500) if failing else Reply("[1, 0, 1, 0, 1]")

    settings = ScoreSettings(scorers=("detection",), scorer_model="openai/judge")
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        scored(lake, given, "0-2", settings)
        failed = {one for one in latents_of(lake, "predictions") if one not in (0, 2)}
        assert failed == {1}
        down = False
        report = scored(lake, given, "failed", settings)
    assert report.new_rows > 0
    assert "server_error" not in {
        row["failure"] for row in connect(lake).table("predictions").to_arrow_table().to_pylist()
    }
    assert latents_of(lake, "predictions") == [0, 1, 2]


def test_failures_of_a_floor_are_asked_again_though_another_would_be_drawn_by_now(
    tmp_path: Path,
) -> None:
    """Explanations that were added since change which one is drawn; what failed stays as it is."""
    lake, down = make_lake(tmp_path, 20), True
    explained(lake, profile(), "0-9", COUNTING)
    settings = ScoreSettings(
        scorers=("detection",), scorer_model="openai/judge", controls=("shuffled",)
    )
    with FaultServer(lambda asked: Reply(status=400) if down else Reply("[1, 0]")) as server:
        given = profile(api_base=server.url, repair=False)
        with pytest.raises(NoAnswerError, match="rejected 60"):
            scored(lake, given, "0-9", settings)
        floors = (
            "select distinct latent, explanation_id from predictions where control = 'shuffled'"
        )
        drawn = connect(lake).sql(floors).fetchall()
        explained(lake, profile(), "10-19", COUNTING)
        down = False
        report = scored(lake, given, "failed", settings)
    assert (len(drawn), report.facts["tasks_done_now"]) == (10, 20)
    assert sorted(connect(lake).sql(floors).fetchall()) == sorted(drawn)
    rejected = "select count(*) from predictions where failure = 'rejected'"
    assert connect(lake).sql(rejected).fetchall() == [(0,)]
