"""Options of registered things: checked early, told apart, and found by entry point."""

from pathlib import Path

import pytest

from delphi_assets.errors import SettingError
from delphi_assets.ground.registries import SCORERS
from delphi_assets.lake.lake import Lake
from delphi_assets.scorers import registry
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.settings import ScoreSettings, override
from delphi_assets.settings.options import told
from tests.parts.explained_lake import HOOKPOINT, SELECTION, profile
from tests.parts.with_options import Picky

PLACE = "tests.parts.with_options"


def scoring(name: str, **options: object) -> Scoring:
    settings = override(
        ScoreSettings(), "test", scorers=[name], options={name: options} if options else {}
    )
    return Scoring(profile(), Lake("nowhere"), HOOKPOINT, SELECTION, settings)


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        (f"{PLACE}:picky", {"least": "x"}, r"picky.least = 'x': .*integer \(letters of a word\)"),
        (f"{PLACE}:picky", {"least": -1}, r"picky.least = -1: .*greater than or equal to 0"),
        (f"{PLACE}:picky", {"lest": 1}, r"picky.lest = 1: no such setting.*did you mean 'least'"),
        (f"{PLACE}:picky", {"words": ["overlong words"]}, r"picky: expected words of at most 9"),
        (f"{PLACE}:picky", {"words": [float("inf")]}, r"picky cannot be written as JSON"),
        (f"{PLACE}:picky", {"words": ["a\0"]}, r"without NUL"),
        (f"{PLACE}:needing", {"why": 1}, r"needing.what is missing: what it needs"),
        (f"{PLACE}:untyped", {"a": 1}, r"annotated with nothing; expected a class made of"),
        ("detection", {"a": 1}, r"score.options.detection holds \['a'\], but .* takes no options"),
        ("detektion", {"a": 1}, r"score.options.detektion: there is no scorer 'detektion'"),
        ("nowhere:a", {"a": 1}, r"score.options.nowhere:a: .*cannot be imported"),
    ],
)
def test_options_that_do_not_fit_are_refused_early(
    name: str, given: dict[str, object], problem: str
) -> None:
    with pytest.raises(SettingError, match=problem) as refused:
        override(ScoreSettings(), "launch", options={name: given})
    assert "score.options" in str(refused.value)


def test_a_key_among_options_is_refused_and_not_shown() -> None:
    key = "sk-" + "a1B2" * 12
    with pytest.raises(SettingError) as refused:
        override(ScoreSettings(), "launch", options={f"{PLACE}:picky": {"words": [[key]]}})
    assert key not in str(refused.value)


def test_an_option_that_has_to_be_given_is_asked_for() -> None:
    with pytest.raises(SettingError, match=r"score.options.*:needing.what is missing"):
        registry.make(f"{PLACE}:needing", scoring(f"{PLACE}:needing"))


def test_what_gives_no_scorer_is_refused() -> None:
    with pytest.raises(SettingError, match="gave a NoneType; expected a Scorer"):
        registry.make(f"{PLACE}:nothing", scoring(f"{PLACE}:nothing"))


def test_only_what_is_not_as_declared_is_told() -> None:
    assert told(None) == told(Picky()) == told(Picky(least=1, words=())) == {}
    assert told(Picky(least=2)) == {"least": 2}
    assert told(Picky(words=("a",))) == {"words": ["a"]}


def offer(folder: Path, package: str, points: str) -> None:
    """Lay an installed package out in a folder, with entry points for scorers."""
    installed = folder / f"{package}-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[delphi_assets.scorers]\n{points}\n")


def test_entry_points_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    offer(tmp_path, "first", f"picky = {PLACE}:picky\ntwice = {PLACE}:picky\ndetection = a:b")
    offer(tmp_path, "second", f"gone = no_such_module:f\ntwice = {PLACE}:needing")
    assert {"picky", "gone", "twice", "detection"} <= set(SCORERS.known())
    assert "picky" not in SCORERS.shipped()
    made = registry.make("picky", scoring("picky", least=2))
    assert made.options == {"least": 2}
    assert registry.make("detection", scoring("detection")).name == "detection"
    with pytest.raises(SettingError, match=r"'gone' of the package 'second' cannot be imported"):
        SCORERS.find("gone")
    with pytest.raises(SettingError, match=r"'twice' is offered by .*\['first', 'second'\]"):
        SCORERS.find("twice")
    with pytest.raises(SettingError, match=r"no scorer 'none'; expected one of .*'picky'"):
        SCORERS.find("none")
