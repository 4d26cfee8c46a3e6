"""The stage predictions: tasks, controls, failures, and what a second run does."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import NotReadyError, SettingError
from delphi_assets.explanations import explain
from delphi_assets.lake import Lake
from delphi_assets.llm import client as client_module
from delphi_assets.predictions import score
from delphi_assets.scorers.tasks import Explained, assign_others
from delphi_assets.settings import (
    ExplainSettings,
    Latents,
    Profile,
    ScoreSettings,
    parse_latents,
)
from delphi_assets.stage import StageReport
from tests.explained_lake import HOOKPOINT, N_SILENT, N_TEST, SELECTION, make_lake, profile
from tests.fault_server import Asked, FaultServer, Reply

ALL = Latents(())
LEXICAL = ScoreSettings()
LLM = ScoreSettings(scorer_model="openai/judge")
ITEMS = N_TEST + N_SILENT


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.02)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Six latents with examples, latents 0-4 of them explained by counting."""
    made = make_lake(tmp_path)
    lexical = ExplainSettings(explainer="lexical")
    explain(profile(), made, HOOKPOINT, parse_latents("0-4"), lexical, SELECTION)
    return made


def run(
    lake: Lake,
    given: Profile,
    latents: Latents = ALL,
    settings: ScoreSettings = LEXICAL,
    explainer: str | None = None,
) -> StageReport:
    return score(given, lake, HOOKPOINT, latents, settings, SELECTION, explainer)


def rows(lake: Lake, query: str) -> list[tuple[object, ...]]:
    return connect(lake).sql(query).fetchall()


def test_explain_five_then_score_three(lake: Lake) -> None:
    report = run(lake, profile(), parse_latents("0-2"))
    assert report.new_rows == report.rows == 3 * 2 * ITEMS
    assert report.facts["explanations"] == 3
    assert run(lake, profile(), parse_latents("0-2")).new_rows == 0
    more = run(lake, profile())
    assert more.new_rows == 2 * 2 * ITEMS
    assert more.facts["latents_without_explanation"] == 1
    scores = rows(lake, "select scorer, accuracy, auc, n_failed from scores order by all")
    assert scores == [("detection", 1.0, 1.0, 0)] * 5 + [("fuzz", 1.0, 1.0, 0)] * 5


def test_shuffled_judges_by_another_latents_explanation(lake: Lake) -> None:
    settings = LEXICAL.model_copy(update={"shuffled": True})
    run(lake, profile(), ALL, settings)
    wrong = """
        select count(*) from predictions join explanations using (explanation_id)
        where (control = 'none') <> (predictions.latent = explanations.latent)
    """
    assert rows(lake, wrong) == [(0,)]
    by_control = rows(lake, "select control, count(*) from predictions group by all order by all")
    assert by_control == [("none", 5 * 2 * ITEMS), ("shuffled", 5 * 2 * ITEMS)]
    donors = "select count(distinct explanation_id) from predictions where control = 'shuffled'"
    assert rows(lake, donors) == [(5,)]
    recalls = rows(lake, "select distinct control, recall from scores order by all")
    assert recalls == [("none", 1.0), ("shuffled", 0.0)]


def explained(latent: int, explainer: str = "default") -> Explained:
    return Explained(latent, f"{explainer}-{latent}", explainer, "m", "p", f"text {latent}")


def test_assignments_are_a_derangement_that_growth_hardly_changes() -> None:
    ring = [explained(latent) for latent in range(50)]
    others = assign_others(ring, "seed")
    assert len({other.latent for other in others.values()}) == 50
    assert all(others[one.explanation_id].latent != one.latent for one in ring)
    assert others == assign_others(ring[::-1], "seed")
    assert others != assign_others(ring, "other seed")
    grown = assign_others([*ring, explained(50)], "seed")
    assert sum(grown[key] != other for key, other in others.items()) == 1
    mixed = assign_others([*ring, explained(1, "lexical")], "seed")
    assert mixed == others


def test_an_explanation_alone_has_no_other() -> None:
    assert assign_others([explained(1)], "seed") == {}


def test_without_explanations_the_asset_to_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="explanations"):
        run(make_lake(tmp_path), profile())


def test_lexical_judges_leave_foreign_explanations_out(lake: Lake) -> None:
    with FaultServer(lambda asked: Reply("[EXPLANATION]: A word.")) as server:
        llm = ExplainSettings(explainer_model="openai/tiny")
        given = profile(api_base=server.url)
        explain(given, lake, HOOKPOINT, parse_latents("0-1"), llm, SELECTION)
    report = run(lake, profile(), parse_latents("0"))
    assert report.new_rows == 2 * ITEMS
    assert report.facts["explanations_the_judge_cannot_read"] == 2
    with pytest.raises(NotReadyError, match="'nobody'"):
        run(lake, profile(), explainer="nobody")


def judge(asked: Asked) -> Reply:
    """Right answers: the explanation's top token occurs, and is marked where there are marks."""
    description, _, excerpts = asked.prompt.partition("\n\n")
    word = description.split('"')[1]
    fuzz = "<<" in asked.prompt
    wanted = re.escape(f"<<{word}>>" if fuzz else word)
    windows = re.split(r"(?:^|\n)Excerpt \d+: ", excerpts)[1:]
    return Reply(json.dumps({"answers": [int(bool(re.search(wanted, w))) for w in windows]}))


def test_an_llm_judges_in_batches_and_a_short_last_one_counts(lake: Lake) -> None:
    with FaultServer(judge) as server:
        given = profile(api_base=server.url)
        report = run(lake, given, parse_latents("0-1"), LLM)
        assert len(server.asked) == 2 * 2 * 3
        sizes = Counter(asked.prompt.count("Excerpt ") for asked in server.asked)
        assert sizes == {5: 8, 2: 4}
        assert run(lake, given, parse_latents("0-1"), LLM).new_rows == 0
        assert len(server.asked) == 12
    assert report.new_rows == 2 * 2 * ITEMS
    assert report.facts["failed_predictions"] == 0
    assert rows(lake, "select distinct accuracy, auc from scores") == [(1.0, None)]


def test_log_probabilities_give_probabilities(lake: Lake) -> None:
    settings = LLM.model_copy(update={"log_prob": True, "scorers": ("detection",)})

    def answer(asked: Asked) -> Reply:
        if asked.number % 2:
            return judge(asked)
        text = judge(asked).text
        assert text is not None
        tokens = re.findall(r"\d|\D+", text)
        tops = [
            (t, {"1": -0.1, "0": -2.4} if t == "1" else {"0": -0.1, "1": -2.4})
            if t in "01"
            else (t, {t: 0.0})
            for t in tokens
        ]
        return Reply(text, logprobs=tops)

    with FaultServer(answer) as server:
        given = profile(api_base=server.url, max_concurrent=1)
        run(lake, given, parse_latents("0"), settings)
        assert server.asked[0].body["logprobs"] is True
        missing = sum(asked.prompt.count("Excerpt ") for asked in server.asked[1::2])
    with_probability = """
        select count(*) filter (probability is null),
            bool_and((probability >= 0.5) = prediction), count(*) filter (prediction is null)
        from predictions
    """
    assert rows(lake, with_probability) == [(missing, True, 0)]


def test_a_failed_batch_fails_its_items_and_only_some_are_asked_again(lake: Lake) -> None:
    bad = [
        Reply("[1, 0, 1]"),
        Reply("hard to say"),
        Reply(status=503),
        Reply(""),
        Reply("I'm sorry, but I can't help with that."),
    ]

    def answer(asked: Asked) -> Reply:
        return bad[asked.number] if asked.number < len(bad) else judge(asked)

    with FaultServer(answer) as server:
        given = profile(api_base=server.url, max_retries=0, max_concurrent=1)
        report = run(lake, given, parse_latents("0"), LLM)
        assert len(server.asked) == 6
        reasons = rows(lake, "select failure, count(*) from predictions group by all order by all")
        assert {reason for reason, _ in reasons} == {
            "wrong_count",
            "unparseable",
            "server_error",
            "empty",
            "refusal",
            None,
        }
        assert report.rows == 2 * ITEMS
        lost = sum(n for reason, n in reasons if reason == "server_error")  # type: ignore[misc]
        again = run(lake, given, parse_latents("0"), LLM)
        assert len(server.asked) == 7
        assert server.asked[6].body == server.asked[2].body
        assert again.new_rows == lost
        assert run(lake, given, parse_latents("0"), LLM).new_rows == 0
    assert rows(lake, "select count(*) from predictions where failure = 'server_error'") == [(0,)]


def test_an_interrupted_run_sends_exactly_what_is_missing(lake: Lake) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(status=401) if asked.number == 17 else judge(asked)

    settings = LLM.model_copy(update={"shuffled": True})
    with FaultServer(answer) as server:
        given = profile(api_base=server.url, max_concurrent=1)
        with pytest.raises(SettingError):
            run(lake, given, ALL, settings)
        assert len(server.asked) == 18
        run(lake, given, ALL, settings)
        assert len(server.asked) == 5 * 2 * 2 * 3 + 1
    assert rows(lake, "select count(*) from predictions where failure is null") == [
        (5 * 2 * 2 * ITEMS,)
    ]
