"""A launch about latents that are not there says how many there are, before anything is loaded."""

from pathlib import Path

import pytest

from delphi_assets.errors import NotReadyError, SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.place import Place
from delphi_assets.lake.schema import LATENTS
from delphi_assets.latent_ranges import Latents, parse_wanted
from delphi_assets.reading.known_latents import check_latents
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, RUN, SELECTION, make_lake, profile
from tests.parts.hand_built import latent

N_LATENTS = 6


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = make_lake(tmp_path, N_LATENTS)
    rows = [
        {name: latent(index, {}).get(name) for name in LATENTS.arrow.names}
        for index in range(N_LATENTS)
    ]
    unit = Unit("latents", {"run": RUN, "hookpoint": HOOKPOINT})
    made.publish(unit, [File(LATENTS.from_rows(rows))], config={})
    return made


@pytest.mark.parametrize("text", ["5", "0-9999", "all", "next 9999", "failed"])
def test_some_that_are_there_are_enough(lake: Lake, text: str) -> None:
    check_latents(Place(profile(), lake, HOOKPOINT), parse_wanted(text))


def test_without_the_table_nobody_knows(lake: Lake) -> None:
    check_latents(Place(profile(), lake, "layers.4"), parse_wanted("9999"))


def test_both_stages_name_what_is_not_there_and_load_no_model(lake: Lake) -> None:
    """Neither the judge's model nor anything of an LLM is looked for: these are not there."""
    message = (
        r"latents = '3, 9999': 9999 is not there; run 'tiny' has 6 latents at 'layers\.3', "
        r"expected some of 0-5\."
    )
    named = Latents(((3, 4), (9999, 10_000)))
    by_llm = ExplainSettings(explainer_model="openai/x")
    with pytest.raises(SettingError, match=message):
        explain(profile(), lake, HOOKPOINT, named, by_llm, SELECTION)
    judged = ScoreSettings(scorers=("surprisal",), causal_model="no/such-model", controls=())
    with pytest.raises(SettingError, match=message):
        score(profile(), lake, HOOKPOINT, named, judged, SELECTION, "lexical")
    with pytest.raises(NotReadyError, match="explanations"):
        score(profile(), lake, HOOKPOINT, "3", judged, SELECTION, "lexical")
