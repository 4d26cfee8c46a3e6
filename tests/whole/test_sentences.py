"""Lexical explanations wherever a person reads them: sentences, and no notation left."""

import re
from pathlib import Path

import pytest

from dagster_project import previews
from delphi_assets import Hookpoint, connect, in_words, write_explorer
from delphi_assets.explainers.explanations import explain
from delphi_assets.exports.hookpoint import ExportedHookpoint
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import LATENTS, WEIGHTS
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.runs.trial import try_latent
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, RUN, SELECTION, make_lake, profile
from tests.parts.hand_built import latent

pytestmark = pytest.mark.slow

LEXICAL = ExplainSettings(explainer="lexical")
NOTATION = re.compile(r'\d% x\d|\\?"\W* \d+(\.\d+)?%|other \d+(\.\d+)?%')


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Six latents of a token each, explained by counting."""
    made = make_lake(tmp_path_factory.mktemp("sentences"))
    rows: list[dict[str, object]] = [
        {name: latent(index, {f" word{index}": 1.0}).get(name) for name in LATENTS.arrow.names}
        | {"n_activations": 9, "n_windows": 9, "token_density": 0.1}
        for index in range(6)
    ]
    place: dict[str, str | int] = {"run": RUN, "hookpoint": HOOKPOINT}
    made.publish(Unit("latents", place), [File(LATENTS.from_rows(rows))], config={})
    weights: list[dict[str, object]] = [{"latent": index} for index in range(6)]
    made.publish(Unit("weights", place), [File(WEIGHTS.from_rows(weights))], config={})
    explain(profile(), made, HOOKPOINT, parse_latents("0-5"), LEXICAL, SELECTION)
    return made


def sentence(lake: Lake) -> str:
    with connect(lake) as con:
        found = con.sql("select explanation from explanations where latent = 1").fetchall()
    assert NOTATION.search(found[0][0]), "stored is what the judge reads"
    return in_words(found[0][0])


def test_the_site(lake: Lake, tmp_path: Path) -> None:
    write_explorer(lake, tmp_path / "site")
    texts = [path.read_text("utf-8") for path in (tmp_path / "site").rglob("*.js")]
    told = [text for text in texts if sentence(lake) in text]
    assert len(told) == 2, "in the list, and on the latent's page"
    assert not any(map(NOTATION.search, told))


def test_exports(lake: Lake) -> None:
    with ExportedHookpoint(lake, RUN, HOOKPOINT) as source:
        (of,) = source.ranges(100)
        for rows in (source.latents(of), source.explanations(of)):
            assert rows["explanation"].to_pylist()[1] == sentence(lake)


def test_notebooks(lake: Lake) -> None:
    found = Hookpoint(lake, RUN, HOOKPOINT, SELECTION)[1]
    assert found.explanations[0].in_words == sentence(lake)
    assert sentence(lake) in str(found)
    assert not NOTATION.search(str(found))


def test_previews_in_dagster(lake: Lake) -> None:
    place = Place(profile(), lake, HOOKPOINT)
    with connect(lake) as con:
        shown = previews.of_explanations(con, place, SELECTION)
    assert shown is not None
    assert "which carries" in str(shown.md_str)
    assert not NOTATION.search(str(shown.md_str))


def test_trying_a_latent_shows_both(lake: Lake) -> None:
    """What a run would store, and what people would read of it."""
    scored = ScoreSettings(scorers=("detection",))
    given = profile().model_copy(update={"explain": LEXICAL, "score": scored})
    read = try_latent(given, lake, HOOKPOINT, 1).explainer.read
    assert read.splitlines()[-1] == f"(to a person: {sentence(lake)})"
    assert NOTATION.search(read)
