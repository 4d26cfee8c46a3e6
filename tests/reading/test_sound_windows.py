"""Nobody is paid to look at windows that break an invariant, whichever stage asks, and when."""

from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import DataError
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import File, Lake, Unit
from delphi_assets.lake.schema import ACTIVATIONS, EXAMPLES
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.reading.records import SelectionPlace
from delphi_assets.reading.sound_windows import check_windows
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import (
    HOOKPOINT,
    KEYS,
    N_TRAIN,
    RUN,
    SELECTION,
    make_lake,
    profile,
    record,
)
from tests.parts.fault_server import Asked, FaultServer, Reply

N_LATENTS, BROKEN = 4, 2
N_ALL = len(record(BROKEN).examples)


def place(lake: Lake, selection: str = SELECTION) -> SelectionPlace:
    return SelectionPlace(profile(), lake, HOOKPOINT, selection)


def fire_in_a_silent_window(lake: Lake) -> None:
    """Activations in which a latent fires where its examples say that it does not."""
    silent = record(BROKEN).non_activating[0]
    rows: list[dict[str, object]] = [
        {"latent": BROKEN, "position": silent.position + 3, "activation": 1.5}
    ]
    unit = Unit("activations", {"run": RUN, "hookpoint": HOOKPOINT, "bucket": 0})
    lake.publish(unit, [File(ACTIVATIONS.from_rows(rows))], config={})


def publish(lake: Lake, selection: str, positions: dict[int, int]) -> None:
    """The latent's examples under another selection, some of them moved."""
    rows: list[dict[str, object]] = [
        {"latent": BROKEN, **vars(one), "position": positions.get(one.example, one.position)}
        for one in record(BROKEN).examples
    ]
    unit = Unit("examples", {**KEYS, "selection": selection})
    lake.publish(unit, [File(EXAMPLES.from_rows(rows))], config={"n_buckets": 1})


@pytest.mark.slow
def test_neither_stage_asks_about_windows_in_which_a_latent_is_not_silent(tmp_path: Path) -> None:
    """They were sound when they were selected, and the check passed in another launch."""
    lake = make_lake(tmp_path, N_LATENTS)

    def answer(asked: Asked) -> Reply:
        return Reply("[EXPLANATION]: A word.")

    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        by_llm = ExplainSettings(explainer_model="openai/x")
        explain(given, lake, HOOKPOINT, "0-1", by_llm, SELECTION)
        explain(given, lake, HOOKPOINT, "all", ExplainSettings(explainer="lexical"), SELECTION)
        assert len(server.asked) == 2
        fire_in_a_silent_window(lake)
        message = (
            rf"run 'tiny' at '{HOOKPOINT}' violate loud_negatives: selection default, latent "
            rf"{BROKEN}, .*max_activation 1\.5.*Nothing was asked.*under another `name`"
        )
        with pytest.raises(DataError, match=message):
            explain(given, lake, HOOKPOINT, "all", by_llm, SELECTION)
        judged = ScoreSettings(scorer_model="openai/x", scorers=("detection",), controls=())
        with pytest.raises(DataError, match=message):
            score(given, lake, HOOKPOINT, "all", judged, SELECTION, "all")
        assert len(server.asked) == 2
        # What costs nothing goes on: the check of the asset has told.
        score(given, lake, HOOKPOINT, "all", ScoreSettings(controls=()), SELECTION, "lexical")
    assert connect(lake).sql("select count(*) from explanations").fetchall() == [(6,)]


def test_latents_that_are_not_asked_about_are_in_nobodys_way(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, N_LATENTS)
    fire_in_a_silent_window(lake)
    check_windows(place(lake), parse_latents("0-1"))
    for asked in ("all", "2", "0-1, 3"):
        with pytest.raises(DataError, match="loud_negatives"):
            check_windows(place(lake), parse_latents(asked))


@pytest.mark.parametrize(
    ("example", "onto", "statement"),
    [(N_TRAIN, 0, "shared_positions"), (N_ALL - 1, N_ALL - 2, "repeated_negatives")],
)
def test_a_selection_that_is_not_asked_about_is_in_nobodys_way(
    tmp_path: Path, example: int, onto: int, statement: str
) -> None:
    lake = make_lake(tmp_path, N_LATENTS)
    publish(lake, "broken", {example: record(BROKEN).examples[onto].position})
    check_windows(place(lake), parse_latents("all"))
    with pytest.raises(DataError, match=rf"violate {statement}: selection broken, latent 2"):
        check_windows(place(lake, "broken"), parse_latents("2"))
