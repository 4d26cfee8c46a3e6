"""Versions of the shipped prompts: an upgrade that brings new ones asks no question again."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delphi_assets import connect, prompts
from delphi_assets.errors import SettingError
from delphi_assets.explainers.explanations import explain, requests_to_explain
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import EXAMPLES
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.llm.asking import repair
from delphi_assets.llm.calls import failures
from delphi_assets.prompts import Prompts, known, latest
from delphi_assets.scorers import registry
from delphi_assets.scorers.predictions import requests_to_score, score
from delphi_assets.scorers.work.scorer import Scorer
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.settings import ExplainSettings, Profile, ScoreSettings
from tests.parts.asking import ask
from tests.parts.explained_lake import HOOKPOINT, KEYS, SELECTION, Sizes, make_lake, profile, record
from tests.parts.fault_server import Asked, FaultServer, Reply

EXPLAIN = ExplainSettings(explainer_model="openai/m", cot=True)
SCORE = ScoreSettings(scorers=("detection", "fuzz"), scorer_model="openai/m")
OTHER = "another selection"
MENDED = "This is the second version."
QUESTIONS = 6
"""About a latent: three of each scorer, five windows a question."""

Ship = Callable[..., None]


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ship:
    """Adds files to a version of the shipped prompts, each the last text and a line more.

    It begins with the first version alone.
    """
    shipped = tmp_path / "shipped"
    later = shutil.ignore_patterns("v[0-9]*")
    shutil.copytree(Path(str(prompts.SHIPPED)), shipped, ignore=later)
    monkeypatch.setattr(prompts, "SHIPPED", shipped)

    def add(version: int, *names: str) -> None:
        folder = shipped / f"v{version}"
        folder.mkdir()
        for name in names:
            (folder / name).write_text(f"{Prompts().text(name[:-4])}\n\n{MENDED}\n")

    return add


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Four latents with examples of two selections."""
    made = make_lake(tmp_path, 4)
    rows: list[dict[str, object]] = [
        {"latent": latent, **vars(one)}
        for latent in range(4)
        for one in record(latent + 10).examples
    ]
    unit = Unit("examples", {**KEYS, "selection": OTHER})
    made.publish(unit, [File(EXAMPLES.from_rows(rows))], config={"n_buckets": 1})
    return made


def answer(asked: Asked) -> Reply:
    if "Description:" in asked.prompt:
        return Reply(f"[{', '.join('1' * asked.prompt.count('Excerpt '))}]")
    later = MENDED in str(asked.body["messages"][0]["content"])
    return Reply(f"[EXPLANATION]: {'Later' if later else 'First'} words.")


class Stages:
    """Both stages on the first latents of a selection, and the questions that they ask."""

    def __init__(self, lake: Lake, server: FaultServer) -> None:
        self.lake, self.server = lake, server

    @property
    def profile(self) -> Profile:
        return profile(api_base=self.server.url).model_copy(update={"explain": EXPLAIN})

    def asked(self, n_latents: int, selection: str = SELECTION, version: str = "kept") -> list[str]:
        """The instructions of every question that the stages ask."""
        before, latents = len(self.server.asked), parse_latents(f"0-{n_latents - 1}")
        by = EXPLAIN.model_copy(update={"prompt_version": version})
        judge = SCORE.model_copy(update={"prompt_version": version})
        place = (self.profile, self.lake, HOOKPOINT, latents)
        planned = requests_to_explain(*place, by, selection, n_latents)
        assert planned is not None
        explain(*place, by, selection)
        expected = requests_to_score(*place, judge, selection, n_latents)
        assert expected is not None
        score(*place, judge, selection)
        asked = self.server.asked[before:]
        assert len(asked) == len(planned.requests) + len(expected.requests)
        instructions = [str(one.body["messages"][0]["content"]) for one in asked]
        estimated = [one.messages[0].content for one in (*planned.requests, *expected.requests)]
        assert sorted(instructions) == sorted(estimated), "an estimate is of the same questions"
        return instructions

    def versions(self, table: str) -> list[tuple[object, ...]]:
        """Versions in a table's rows, by selection, with how many latents they are of."""
        with connect(self.lake) as con:
            return con.sql(
                f"select selection, prompt_version, count(distinct latent) from {table} "
                "group by all order by all"
            ).fetchall()


def n_mended(instructions: list[str]) -> int:
    return sum(MENDED in one for one in instructions)


@pytest.mark.slow
def test_answers_of_an_earlier_version_are_gone_on_with(lake: Lake, ship: Ship) -> None:
    with FaultServer(answer) as server:
        stages = Stages(lake, server)
        assert len(stages.asked(2)) == 2 * (1 + QUESTIONS)
        ship(2, "explainer.txt", "detection.txt")

        assert stages.asked(2) == [], "an upgrade asks nothing"
        more = stages.asked(3)
        assert (len(more), n_mended(more)) == (1 + QUESTIONS, 0)

        new = stages.asked(1, OTHER)
        assert (len(new), n_mended(new)) == (1 + QUESTIONS, 1 + QUESTIONS // 2)
        assert stages.versions("explanations") == [(OTHER, 2, 1), (SELECTION, 1, 3)]
        assert stages.versions("predictions") == [(OTHER, 2, 1), (SELECTION, 1, 3)]

        again = stages.asked(2, SELECTION, "latest")
        assert n_mended(again) == 2 + 2 * 2 * QUESTIONS // 2, "both texts of both latents"
        assert n_mended(stages.asked(4)) > 0, "what was asked by the latest goes on with it"
        assert stages.asked(4) == []


def test_each_scorer_keeps_its_own_version(lake: Lake, ship: Ship) -> None:
    name = f"{__name__}:renamed"
    both = SCORE.model_copy(update={"scorers": ("fuzz", name)})
    latest = both.model_copy(update={"scorers": (name,), "prompt_version": "latest"})
    with FaultServer(answer) as server:
        given, latents = Stages(lake, server).profile, parse_latents("0")
        explain(given, lake, HOOKPOINT, latents, EXPLAIN, SELECTION)
        score(given, lake, HOOKPOINT, latents, both, SELECTION)
        ship(2, "fuzz.txt", "detection.txt")
        assert score(given, lake, HOOKPOINT, latents, both, SELECTION).new_rows == 0
        assert score(given, lake, HOOKPOINT, latents, latest, SELECTION).new_rows > 0
        before = len(server.asked)
        assert score(given, lake, HOOKPOINT, latents, both, SELECTION).new_rows == 0
        assert len(server.asked) == before
    with connect(lake) as con:
        found = con.sql(
            "select distinct scorer, prompt_version from predictions order by all"
        ).fetchall()
    assert found == [("fuzz", 1), ("own", 1), ("own", 2)]


def renamed(scoring: Scoring) -> Scorer[Any]:
    """A scorer whose rows have another name than the settings."""
    return replace(registry.make("detection", scoring), name="own")


def test_candidates_are_judged_by_the_version_that_wrote_them(tmp_path: Path, ship: Ship) -> None:
    lake = make_lake(tmp_path, 2, Sizes(6, 6, 6, 6))
    best = EXPLAIN.model_copy(update={"explainer": "best_of_k", "k": 2, "quick_windows": 2})
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        explain(given, lake, HOOKPOINT, parse_latents("0"), best, SELECTION)
        ship(2, "explainer.txt", "detection.txt")
        assert explain(given, lake, HOOKPOINT, parse_latents("0"), best, SELECTION).new_rows == 0
        explain(given, lake, HOOKPOINT, parse_latents("1"), best, SELECTION)
        asked = [str(one.body["messages"][0]["content"]) for one in server.asked]
        assert (len(asked), n_mended(asked)) == (2 * (2 + 1), 0), "both candidates say the same"


def test_what_asks_nobody_names_no_version(lake: Lake) -> None:
    lexical = ExplainSettings(explainer="lexical")
    given, latents = profile(), parse_latents("0")
    explain(given, lake, HOOKPOINT, latents, lexical, SELECTION)
    score(given, lake, HOOKPOINT, latents, ScoreSettings(), SELECTION, "lexical")
    with connect(lake) as con:
        for table in ("explanations", "predictions"):
            assert con.sql(f"select distinct prompt_version from {table}").fetchall() == [(None,)]


def test_a_version_has_the_newest_file_up_to_it(ship: Ship, tmp_path: Path) -> None:
    first = Prompts().text("explainer")
    ship(2, "explainer.txt")
    ship(4, "explainer.txt", "fuzz.txt")
    (tmp_path / "shipped" / "v4" / "explainer_new.txt").write_text("New.")
    lines = [Prompts(version=number).text("explainer").count(MENDED) for number in range(1, 5)]
    assert (lines, latest(), Prompts().version) == ([0, 1, 1, 2], 4, 4)
    assert Prompts(version=1).text("explainer") == first
    assert [MENDED in Prompts(version=number).text("fuzz") for number in (2, 4)] == [False, True]
    assert "explainer_new.txt" in known()
    assert Prompts(version=1).text("explainer_new") == "New.", "there is no earlier one"
    own = tmp_path / "own"
    own.mkdir()
    (own / "explainer.txt").write_text("Mine.")
    assert Prompts(str(own), version=2).text("explainer") == "Mine."


def test_what_asks_again_has_a_version(ship: Ship) -> None:
    ship(2, "repair.txt")
    again = [
        repair.again(ask("x"), "?", failures.UNPARSEABLE, Prompts(version=number)).messages[-1]
        for number in (1, 2)
    ]
    assert "cannot be used: it could not be read." in again[0].content
    assert again[1].content == f"{again[0].content}\n\n{MENDED}"


def test_prompts_of_a_newer_library_are_refused() -> None:
    there, newer = latest(), latest() + 1
    problem = rf"version {newer} .* up to version {there}; .*score.prompt_version"
    with pytest.raises(SettingError, match=problem):
        Prompts(None, "score.prompts", newer)
