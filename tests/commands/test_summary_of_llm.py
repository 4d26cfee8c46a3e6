"""What a run says of its LLM: beside other explainers of the same latents, and in words."""

from pathlib import Path

import pytest

from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.database import connect
from delphi_assets.lake.place import Place
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.runs import summary
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, SELECTION, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

MODEL = "openai/m"
COUNTING = ExplainSettings(explainer="lexical")
LLM = ExplainSettings(explainer_model=MODEL)
JUDGE = ScoreSettings(
    scorer_model=MODEL, scorers=("detection",), answer="first_token", controls=("shuffled",)
)
COUNTED = ScoreSettings(scorers=("detection",), controls=("shuffled",))


def knows(asked: Asked) -> Reply:
    """Explains a latent by its word, and judges by whether that is in the window."""
    if "Excerpt: " not in asked.prompt:
        words = [f"word{latent}" for latent in range(4) if f"word{latent}" in asked.prompt]
        return Reply(f"[EXPLANATION]: {words[0]}")
    described, _, window = asked.prompt.rpartition("Description: ")[2].partition("Excerpt: ")
    fits = described.strip() in window
    told = {"1": -0.01, "0": -4.6} if fits else {"0": -0.01, "1": -4.6}
    return Reply("1" if fits else "0", logprobs=[("1" if fits else "0", told)])


def test_an_llm_stands_beside_counting_on_the_same_latents(tmp_path: Path) -> None:
    lake, latents = make_lake(tmp_path), parse_latents("0-3")
    with FaultServer(knows) as server:
        given = profile(api_base=server.url)
        explain(given, lake, HOOKPOINT, parse_latents("all"), COUNTING, SELECTION)
        score(given, lake, HOOKPOINT, parse_latents("all"), COUNTED, SELECTION, "lexical")
        explain(given, lake, HOOKPOINT, latents, LLM, SELECTION)
        score(given, lake, HOOKPOINT, latents, JUDGE, SELECTION, "default")
    place = Place(given.model_copy(update={"explain": LLM, "score": JUDGE}), lake, HOOKPOINT)
    with connect(lake) as con:
        said = "\n".join(summary._of_llm(con, place))
        by_strength = "\n".join(summary._by_strength(con, place))
    assert "detection on the latents that openai/m explained" in said
    rows = [line.split() for line in said.splitlines() if " auroc " in f"{line} "]
    assert [row[:8] for row in rows[:2]] == [
        [MODEL, MODEL, "auroc", "4", "4", "1.000", "0.500", "0.500"],
        ["lexical", "lexical", "auroc", "4", "4", "1.000", "0.500", "0.500"],
    ]
    assert "judged by openai/m, auroc: above the floor: explanations tell" in said
    assert "openai/m as judge of detection: never calibrated; `delphi-assets calibrate`" in said
    heading, *curves = [line.split() for line in by_strength.splitlines()[2:]]
    assert (heading[4], heading[-2:]) == ("strongest", ["weakest", "silent"])
    (found,) = (curve for curve in curves if curve[:3] == ["detection", MODEL, MODEL])
    # This model finds every window, and claims no silent one.
    assert found[3:] == ["4", *["1.000"] * (len(heading) - 5), "0.000"]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.2, "above the floor"),
        (-0.1, 0.2, "not told from the floor: explanations or judge are at fault"),
        (-0.3, -0.1, "below the floor: explanations or judge are at fault"),
        (None, None, "too few latents"),
    ],
)
def test_what_a_score_says_in_words(low: float | None, high: float | None, said: str) -> None:
    row = {"explainer_model": MODEL, "judge": MODEL, "metric": "auroc"}
    bounds = {"above_shuffled_low": low, "above_shuffled_high": high}
    assert said in summary._verdict({**row, **bounds})
