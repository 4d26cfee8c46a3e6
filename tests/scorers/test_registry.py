"""Scorers by name: shipped ones, registered ones, and those given by their place."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import DataError, SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.ground.registries import SCORERS
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.scorers import registry
from delphi_assets.scorers.detection import items
from delphi_assets.scorers.predictions import score
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Answer, Computed, Scorer
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.settings import ExplainSettings, ScoreSettings, override
from tests.parts.explained_lake import HOOKPOINT, N_SILENT, N_TEST, SELECTION, make_lake, profile

ALL = parse_latents("all")


class Overlap(Computed[Item]):
    """How many of the window's tokens are the one that the explanation names first."""

    model = "overlap"
    judge_hash = "1"

    def answer(self, explained: Explained, items: Sequence[Item]) -> Sequence[Answer]:
        """A value, and the window as if it had been simulated."""
        return [
            Answer(
                value=float(
                    sum(explained.explanation.startswith(f'"{one}"') for one in item.str_tokens)
                ),
                simulated=tuple(float(len(token)) for token in item.str_tokens),
            )
            for item in items
        ]


class Short(Overlap):
    """A judge that forgets an item."""

    def answer(self, explained: Explained, items: Sequence[Item]) -> Sequence[Answer]:
        """One answer too few."""
        return super().answer(explained, items)[1:]


class Cut(Overlap):
    """A judge that says nothing of the last token."""

    def answer(self, explained: Explained, items: Sequence[Item]) -> Sequence[Answer]:
        """An activation too few."""
        return [Answer(simulated=(0.0,) * (len(item.str_tokens) - 1)) for item in items]


def overlap(scoring: Scoring) -> Scorer[Item]:
    """A scorer of one's own."""
    return Scorer(
        "overlap",
        lambda record, _: items(record, scoring.latent_seed(record.latent)),
        sum,
        Overlap(),
    )


def forgetful(scoring: Scoring) -> Scorer[Item]:
    """One with a mistake."""
    return Scorer("forgetful", lambda record, _: items(record, ""), sum, Short())


def cut(scoring: Scoring) -> Scorer[Item]:
    """Another one."""
    return Scorer("cut", lambda record, _: items(record, ""), sum, Cut())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three latents, explained by counting."""
    made = make_lake(tmp_path, 3)
    lexical = ExplainSettings(explainer="lexical")
    explain(profile(), made, HOOKPOINT, ALL, lexical, SELECTION)
    return made


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SCORERS, "_registered", {})
    registry.register("mine", overlap)


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize("name", ["mine", f"{__name__}:overlap"])
def test_a_scorer_of_ones_own_stands_beside_the_others(lake: Lake, name: str) -> None:
    settings = override(ScoreSettings(), "test", scorers=["detection", name], controls=["empty"])
    report = score(profile(), lake, HOOKPOINT, ALL, settings, SELECTION)
    assert report.new_rows == 2 * 2 * 3 * (N_TEST + N_SILENT)
    assert score(profile(), lake, HOOKPOINT, ALL, settings, SELECTION).new_rows == 0
    found = connect(lake).sql(
        """
        select control, truth, min(value), max(value), count(prediction), min(len(simulated))
        from predictions where scorer = 'overlap' and judge = 'overlap' group by all order by all
        """
    )
    assert [row[:2] for row in found.fetchall()] == [
        ("empty", False),
        ("empty", True),
        ("none", False),
        ("none", True),
    ]
    own = found.fetchall()[2:]
    assert own[0][3] < own[1][2]
    assert {row[4:] for row in own} == {(0, 8)}
    correlations = connect(lake).sql(
        "select correlation is null from scores where scorer = 'overlap' and control = 'none'"
    )
    assert correlations.fetchall() == [(False,)] * 3


@pytest.mark.usefixtures("_registered")
def test_shipped_names_are_taken() -> None:
    with pytest.raises(SettingError, match="'detection' comes with"):
        registry.register("detection", overlap)
    registry.register("mine", forgetful)
    assert "mine" in registry.known()


def test_unknown_names_are_refused_early() -> None:
    with pytest.raises(SettingError, match=r"'detektion'.*did you mean 'detection'"):
        override(ScoreSettings(), "test", scorers=["detektion"])
    for place in ("no_such_module:f", f"{__name__}:nothing"):
        settings = override(ScoreSettings(), "test", scorers=[place])
        scoring = Scoring(profile(), Lake("nowhere"), HOOKPOINT, SELECTION, settings)
        with pytest.raises(SettingError, match="cannot be imported"):
            registry.make(place, scoring)
    with pytest.raises(SettingError, match=r"expected one of .*'detection'"):
        registry.make("nobody", scoring)


def test_an_answer_too_few_is_no_row(lake: Lake) -> None:
    settings = ScoreSettings(scorers=("detection", f"{__name__}:forgetful"))
    with pytest.raises(DataError, match="'forgetful' gave 11 answers to 12 items"):
        score(profile(), lake, HOOKPOINT, ALL, settings, SELECTION)
    written = connect(lake).sql("select scorer, count(*) from predictions group by all").fetchall()
    assert written in ([], [("detection", 12)])


def test_an_activation_too_few_is_no_row(lake: Lake) -> None:
    settings = ScoreSettings(scorers=(f"{__name__}:cut",))
    with pytest.raises(DataError, match="'cut' gave 7 activations to a window of 8 tokens"):
        score(profile(), lake, HOOKPOINT, ALL, settings, SELECTION)
