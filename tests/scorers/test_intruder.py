"""The scorer intruder: how questions are drawn, and what comes of the answers."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import SettingError
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.scorers import fuzz
from delphi_assets.scorers.intruder import Drawing
from delphi_assets.scorers.judges.options import Choice
from delphi_assets.scorers.predictions import score
from delphi_assets.scorers.work.scorer import Windows
from delphi_assets.settings import Profile, ScoreSettings
from tests.parts.explained_lake import (
    HOOKPOINT,
    N_SILENT,
    N_TEST,
    SELECTION,
    make_lake,
    profile,
    record,
)
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

ALL = parse_latents("all")
DEFAULT = Drawing(internal=False, n_others=3)
INTERNAL = Drawing(internal=True, n_others=3)
SETTINGS = ScoreSettings(
    scorer_model="openai/judge", scorers=("intruder",), intruder_windows=4, controls=("shuffled",)
)


def drawn(drawing: Drawing, latent: int = 0, seed: str = "seed") -> list[Choice]:
    return drawing.items(fuzz.items(record(latent), 0.3, "seed"), seed)


def test_each_silent_window_is_the_intruder_once() -> None:
    one = record(0)
    questions = drawn(DEFAULT)
    assert len(questions) == N_SILENT == DEFAULT.n_items(Windows(N_TEST, N_SILENT))
    assert {item.example for item in questions} == {e.example for e in one.non_activating}
    texts = {e.example: "".join(e.str_tokens) for e in one.test}
    for item in questions:
        assert (len(item.options), item.chance, item.truth) == (4, 0.25, True)
        others = [text for place, text in enumerate(item.options) if place != item.right]
        assert "<< word0>>" not in item.options[item.right]
        assert "<<" in item.options[item.right]
        assert all("<< word0>>" in text for text in others)
        plain = [re.sub("<<|>>", "", text) for text in others]
        of_quantile = {texts[e.example] for e in one.test if e.quantile == item.quantile}
        assert set(plain) <= of_quantile
        assert len(set(plain)) == 3


def test_an_internal_intruder_is_of_another_quantile() -> None:
    one = record(0)
    questions = drawn(INTERNAL)
    assert {item.example for item in questions} == {example.example for example in one.test}
    for item in questions:
        assert all("<< word0>>" in text for text in item.options)
        assert item.quantile == 1 - (one.examples[item.example].quantile or 0)


def test_too_few_windows_make_no_question() -> None:
    """Three test windows are of each quantile: four others take one from the next."""
    filled = drawn(Drawing(internal=False, n_others=4))
    assert [len(item.options) for item in filled] == [5] * N_SILENT
    assert drawn(Drawing(internal=True, n_others=4)) == []
    assert drawn(Drawing(internal=False, n_others=N_TEST + 1)) == []
    assert Drawing(internal=False, n_others=N_TEST + 1).n_items(Windows(N_TEST, 9)) == 0


def test_places_are_drawn_by_the_seed() -> None:
    assert drawn(DEFAULT) == drawn(DEFAULT)
    places = Counter(item.right for seed in range(60) for item in drawn(DEFAULT, seed=str(seed)))
    assert set(places) == {0, 1, 2, 3}
    assert min(places.values()) > 60  # of 90 expected
    changed = [item.options for item in drawn(DEFAULT, seed="other")]
    assert changed != [item.options for item in drawn(DEFAULT)]


def pick(asked: Asked) -> Reply:
    """The excerpt whose marks are not like the others'."""
    marks = re.findall(r"<<(.*?)>>", asked.prompt)
    common = Counter(marks).most_common(1)[0][0]
    odd = next(number for number, mark in enumerate(marks, 1) if mark != common or number == 4)
    return Reply(json.dumps({"answer": odd}))


def run(lake: Lake, given: Profile, settings: ScoreSettings = SETTINGS) -> int:
    return score(given, lake, HOOKPOINT, ALL, settings, SELECTION).new_rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three latents, none of which is explained."""
    return make_lake(tmp_path, 3)


def test_it_is_asked_without_explanations_and_controls(lake: Lake) -> None:
    with FaultServer(pick) as server:
        given = profile(api_base=server.url)
        assert run(lake, given) == len(server.asked) == 3 * N_SILENT
        assert run(lake, given) == 0
        assert all("Description" not in asked.prompt for asked in server.asked)
        internal = SETTINGS.model_copy(update={"intruder_type": "internal"})
        run(lake, profile(api_base=server.url, json_schema=True, repair=False), internal)
        assert len(server.asked) == 3 * (N_SILENT + N_TEST)
        form = server.asked[-1].body["response_format"]["json_schema"]["schema"]
        assert form["properties"]["answer"]["enum"] == [1, 2, 3, 4]
    found = connect(lake).sql(
        """
        select variant, explanation_id, control, bool_and(prediction), min(chance), count(*)
        from predictions
        where variant = 'default'
        group by all
        """
    )
    assert found.fetchall() == [("default", "none", "none", True, 0.25, 3 * N_SILENT)]


def test_failures_are_rows_and_wrong_picks_are_not_failures(lake: Lake) -> None:
    def answer(asked: Asked) -> Reply:
        return [Reply("none of them"), Reply('{"answer": 9}'), Reply('{"answer": 1}')][
            min(asked.number, 2)
        ]

    with FaultServer(answer) as server:
        run(lake, profile(api_base=server.url, repair=False, max_concurrent=1))
    rows = connect(lake).sql("select failure, prediction from predictions").fetchall()
    assert rows.count(("unparseable", None)) == 2
    right = rows.count((None, True))
    assert 0 < right < len(rows) - 2
    assert right + rows.count((None, False)) == len(rows) - 2


def test_without_an_llm_it_says_so(lake: Lake) -> None:
    lexical = SETTINGS.model_copy(update={"scorer_model": "lexical"})
    with pytest.raises(SettingError, match=r"'intruder'.*scorer_model = 'lexical'"):
        run(lake, profile(), lexical)
