"""One window a question, answered by the log-probabilities of the first token."""

import json
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import NoAnswerError
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import parse_latents
from delphi_assets.llm.asking import tally
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, N_SILENT, N_TEST, SELECTION, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

ITEMS = N_TEST + N_SILENT
JUDGE = ScoreSettings(
    scorer_model="openai/judge", scorers=("detection", "fuzz"), answer="first_token"
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three latents, each explained by counting: latent i fires on " word<i>"."""
    made = make_lake(tmp_path, 3)
    lexical = ExplainSettings(explainer="lexical")
    explain(profile(), made, HOOKPOINT, parse_latents("0-2"), lexical, SELECTION)
    return made


def run(lake: Lake, server: FaultServer, latents: str, settings: ScoreSettings = JUDGE) -> int:
    given = profile(api_base=server.url, max_concurrent=1, json_schema=True)
    asked = parse_latents(latents)
    return score(given, lake, HOOKPOINT, asked, settings, SELECTION, "lexical").new_rows


def fits(asked: Asked) -> bool:
    """Whether latent 0's word is in the window, and marked where anything is."""
    excerpt = asked.prompt.rpartition("Excerpt: ")[2]
    return " word0" in excerpt and ("<<" not in excerpt or "<< word0>>" in excerpt)


def judge(asked: Asked) -> Reply:
    """Sure where it fits; leaning to 1 all the same where it does not."""
    told = {"1": -0.01, "0": -4.6} if fits(asked) else {"1": -0.5, "0": -0.93, " Yes": -9.0}
    return Reply("1", finish_reason="length", logprobs=[("1", told)])


def test_a_window_a_question_and_its_probability_from_the_first_token(lake: Lake) -> None:
    with FaultServer(judge) as server:
        assert run(lake, server, "0") == 2 * ITEMS
        assert run(lake, server, "0") == 0
        assert len(server.asked) == 2 * ITEMS
        for asked in server.asked:
            body = asked.body
            assert (body["max_tokens"], body["logprobs"]) == (1, True)
            assert "response_format" not in body
            assert body["messages"][2]["content"] == "1"
            assert asked.prompt.count("Excerpt:") == 1
    found = connect(lake).sql("""
        select scorer, truth, count(*), min(probability), max(probability),
            bool_and(prediction), count(failure)
        from predictions group by all order by all
    """)
    surer, leaning = pytest.approx(0.9899, abs=1e-3), pytest.approx(0.606, abs=1e-3)
    assert found.fetchall() == [
        (scorer, truth, n, p, p, True, 0)
        for scorer in ("detection", "fuzz")
        for truth, n, p in ((False, N_SILENT, leaning), (True, N_TEST, surer))
    ]
    # A judge that says yes to everything, and yet tells all windows apart.
    scores = connect(lake).sql("select balanced_accuracy, auroc from scores").fetchall()
    assert scores == [(0.5, 1.0)] * 2


def test_what_comes_before_the_window_is_the_same_for_all_of_them(lake: Lake) -> None:
    with FaultServer(judge) as server:
        run(lake, server, "0-1", JUDGE.model_copy(update={"scorers": ("detection",)}))
        sent = [json.dumps(asked.body["messages"], ensure_ascii=False) for asked in server.asked]
    befores = [text.rpartition("Excerpt: ")[0] for text in sent]
    assert len({*befores}) == 2, "one an explanation"
    assert befores == sorted(befores, key=befores.index), "and one explanation after the other"
    assert len({text.rpartition("Description: ")[0] for text in sent}) == 1


def test_the_mode_is_part_of_what_answers_are_known_by(lake: Lake) -> None:
    settings = JUDGE.model_copy(update={"scorers": ("detection",)})

    def either(asked: Asked) -> Reply:
        windows = asked.prompt.count("Excerpt ")
        return Reply(f"[{', '.join('1' * windows)}]") if windows else judge(asked)

    with FaultServer(either) as server:
        run(lake, server, "0", settings)
        assert run(lake, server, "0", settings.model_copy(update={"answer": "list"})) == ITEMS
        more = {"num_examples_per_scorer_prompt": 3, "log_prob": True}
        assert run(lake, server, "0", settings.model_copy(update=more)) == 0
    assert connect(lake).sql("select count(distinct judge_hash) from predictions").fetchall() == [
        (2,)
    ]


def test_a_server_without_log_probabilities_is_not_asked_for_long(lake: Lake) -> None:
    with FaultServer(lambda asked: Reply("1")) as server:
        with pytest.raises(NoAnswerError, match=r"no_logprobs 20.*score\.answer = 'list'"):
            run(lake, server, "0-2")
        assert tally.ENOUGH <= len(server.asked) <= tally.ENOUGH + 2 < 3 * 2 * ITEMS


def test_a_first_token_that_is_no_answer_is_a_failure(lake: Lake) -> None:
    def thinking(asked: Asked) -> Reply:
        if asked.number == 0:
            return judge(asked)
        return Reply("<think>", logprobs=[("<think>", {"<think>": -0.1, "The": -3.0})])

    with FaultServer(thinking) as server:
        run(lake, server, "0")
        assert len(server.asked) == 2 * ITEMS, "asked once, without a second try"
    counted = "select failure, count(*) from predictions group by all order by all nulls last"
    assert connect(lake).sql(counted).fetchall() == [("no_choice", 2 * ITEMS - 1), (None, 1)]
