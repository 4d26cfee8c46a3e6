"""The stage predictions: tasks, controls, failures, and what a second run does."""

import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from delphi_assets import connect, register_explainer
from delphi_assets.errors import NoAnswerError, NotReadyError, SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import Lake, read_parquet
from delphi_assets.latent_ranges import Latents, parse_latents, parse_wanted
from delphi_assets.llm.calls import attempts
from delphi_assets.scorers.predictions import score
from delphi_assets.scorers.work import settled
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import order_of
from delphi_assets.scorers.work.tasks import assign_others
from delphi_assets.settings import ExplainSettings, Profile, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, N_SILENT, N_TEST, SELECTION, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

ALL = Latents(())
LEXICAL = ScoreSettings()
LLM = ScoreSettings(scorer_model="openai/judge")
ITEMS = N_TEST + N_SILENT


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)


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
    scores = rows(lake, "select scorer, accuracy, auroc, n_failed from scores order by all")
    assert scores == [("detection", 1.0, 1.0, 0)] * 5 + [("fuzz", 1.0, 1.0, 0)] * 5


def test_shuffled_judges_by_another_latents_explanation(lake: Lake) -> None:
    settings = LEXICAL.model_copy(update={"controls": ("shuffled",)})
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


def test_an_empty_explanation_tells_a_judge_nothing(lake: Lake) -> None:
    """Once a latent, however many explanations it has, and without one of its own."""
    settings = LEXICAL.model_copy(update={"controls": ("shuffled", "empty")})
    run(lake, profile(), ALL, settings)
    assert run(lake, profile(), ALL, settings).new_rows == 0
    floor = "select distinct explanation_id, probability from predictions where control = 'empty'"
    assert rows(lake, floor) == [("none", 0.5)]
    counts = "select control, count(*) from scores group by all order by all"
    assert rows(lake, counts) == [("empty", 10), ("none", 10), ("shuffled", 10)]


def test_an_llm_is_told_that_there_is_no_explanation(lake: Lake) -> None:
    settings = LLM.model_copy(update={"controls": ("empty",), "scorers": ("fuzz",)})
    with FaultServer(lambda asked: Reply("[1, 1, 1, 1, 1]")) as server:
        run(lake, profile(api_base=server.url, repair=False), parse_latents("3"), settings)
        empty = [asked.prompt.startswith("Description: (none)\n\nExc") for asked in server.asked]
    assert sorted(empty) == [False] * 3 + [True] * 3


def explained(latent: int, explainer: str = "default") -> Explained:
    return Explained(latent, f"{explainer}-{latent}", explainer, "m", "p", f"text {latent}")


def replace_text(one: Explained, text: str) -> Explained:
    return one._replace(explanation=text)


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


def test_a_text_that_is_the_same_is_no_other() -> None:
    """Against a search all around the ring, with few texts and several explanations a latent."""
    draw = random.Random(3)
    for n_texts in (1, 2, 2, 3, 5, 40):
        ring = [
            replace_text(
                explained(latent, "default")._replace(explanation_id=f"{latent}-{copy}"), text
            )
            for latent in range(40)
            for copy in range(draw.choice([1, 1, 2]))
            for text in [f"text {draw.randrange(n_texts)}"]
        ]
        others = assign_others(ring, "seed")
        in_order = sorted(
            ring, key=lambda one: (order_of("seed", "ring", one.latent), one.explanation_id)
        )
        for place, one in enumerate(in_order):
            around = (*in_order[place + 1 :], *in_order[:place])
            differing = [
                other
                for other in around
                if other.latent != one.latent and other.explanation != one.explanation
            ]
            assert others.get(one.explanation_id) == (differing[0] if differing else None)
        assert (others == {}) == (n_texts == 1)


def test_a_million_equal_texts_are_passed_over_once() -> None:
    """All but one say the same: looking for each around the ring would take hours."""
    ring = [replace_text(explained(latent), "same") for latent in range(20_000)]
    others = assign_others([*ring, explained(20_000)], "seed")
    assert {other.latent for key, other in others.items() if key != "default-20000"} == {20_000}
    assert len(others) == 20_001


def test_what_has_no_other_text_is_counted(lake: Lake) -> None:
    """An LLM says the same of all; there is nothing to shuffle, and the report says so."""
    with FaultServer(lambda asked: Reply("[EXPLANATION]: A word.")) as server:
        llm = ExplainSettings(explainer_model="openai/tiny")
        given = profile(api_base=server.url)
        explain(given, lake, HOOKPOINT, parse_latents("0-1"), llm, SELECTION)
    settings = LLM.model_copy(update={"controls": ("shuffled",), "scorers": ("detection",)})
    with FaultServer(lambda asked: Reply("[1, 1, 1, 1, 1]")) as server:
        given = profile(api_base=server.url, repair=False)
        report = run(lake, given, parse_latents("0-1"), settings, "default")
        assert report.facts["tasks_without_shuffled"] == 2
        report = run(lake, given, parse_latents("0-1"), settings, "all")
        assert report.facts["tasks_without_shuffled"] == 2
    assert rows(
        lake,
        "select explainer, control, count(distinct predictions.latent) from predictions "
        "join explanations using (explanation_id) group by all order by all",
    ) == [("default", "none", 2), ("lexical", "none", 2), ("lexical", "shuffled", 2)]


def test_without_explanations_the_asset_to_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="explanations"):
        run(make_lake(tmp_path), profile())


def test_lexical_judges_leave_foreign_explanations_out(lake: Lake) -> None:
    with FaultServer(lambda asked: Reply("[EXPLANATION]: A word.")) as server:
        llm = ExplainSettings(explainer_model="openai/tiny")
        given = profile(api_base=server.url)
        explain(given, lake, HOOKPOINT, parse_latents("0-1"), llm, SELECTION)
    report = run(lake, profile(), parse_latents("0"), explainer="all")
    assert report.new_rows == 2 * ITEMS
    assert report.facts["explanations_the_judge_cannot_read"] == 2
    of_the_profile = run(lake, profile(), parse_latents("0"))
    assert of_the_profile.facts["explanations_the_judge_cannot_read"] == 0
    with pytest.raises(NotReadyError, match="'nobody'"):
        run(lake, profile(), explainer="nobody")


def test_lexical_judges_read_a_notation_whoever_wrote_it(lake: Lake) -> None:
    register_explainer("by_hand", {0: '" word0" 50% x60\nother 50%', 1: "The word 1."})
    by_hand = ExplainSettings(explainer="by_hand")
    explain(profile(), lake, HOOKPOINT, parse_latents("0-1"), by_hand, SELECTION)
    report = run(lake, profile(), parse_latents("0-1"), explainer="by_hand")
    assert report.new_rows == 2 * ITEMS
    assert report.facts["explanations_the_judge_cannot_read"] == 1


def judge(asked: Asked) -> Reply:
    """Right answers: the explanation's top token occurs, and is marked where there are marks."""
    description, _, excerpts = asked.prompt.partition("\n\n")
    word = description.split("\n")[1].split('"')[1]
    fuzz = "<<" in asked.prompt
    wanted = re.escape(f"<<{word}>>" if fuzz else word)
    windows = re.split(r"(?:^|\n\n)Excerpt \d+: ", excerpts)[1:]
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
    assert rows(lake, "select distinct accuracy, auroc from scores") == [(1.0, None)]


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
        given = profile(api_base=server.url, max_retries=0, max_concurrent=1, repair=False)
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


@pytest.mark.parametrize("again", ["", "failed"])
def test_one_that_fails_again_fails_no_stage_whose_others_have_answers(
    lake: Lake, again: str
) -> None:
    settings = LLM.model_copy(update={"scorers": ("detection",), "controls": ()})

    def answer(asked: Asked) -> Reply:
        return Reply(status=400) if "word1" in asked.prompt else judge(asked)

    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        failed = run(lake, given, parse_latents("0-1"), settings).facts["failed_predictions"]
        assert failed
        report = run(lake, given, parse_wanted(again or "0-1"), settings)
        assert (report.facts["failed_predictions"], report.facts["tasks_done_now"]) == (failed, 1)
        with pytest.raises(NoAnswerError, match="rejected"):
            run(lake, given, parse_latents("1"), settings)


def test_more_tokens_repair_truncated_answers(lake: Lake) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.body["max_tokens"] < 100:
            return Reply('{"answers": [1,', finish_reason="length")
        return judge(asked)

    with FaultServer(answer) as server:
        short = profile(api_base=server.url, max_tokens=5, repair=False)
        with pytest.raises(NoAnswerError, match=r"'openai/judge' .*: truncated 6; .*asks 0 of"):
            run(lake, short, parse_latents("0"), LLM)
        failed = "select count(*) from predictions where failure = 'truncated'"
        assert rows(lake, failed) == [(2 * ITEMS,)]
        again = run(lake, short, parse_latents("0"), LLM)
        assert (len(server.asked), again.facts["tasks_done_now"]) == (6, 0)
        longer = run(lake, profile(api_base=server.url), parse_latents("0"), LLM)
        assert (len(server.asked), longer.facts["failed_predictions"]) == (12, 0)
        assert longer.rows == 2 * ITEMS
        assert run(lake, short, parse_latents("0"), LLM).new_rows == 0


def test_an_answer_that_does_not_parse_is_asked_for_once_more(lake: Lake) -> None:
    """The first of three questions is mended, the second is not: it fails, for good."""
    questions: list[str] = []

    def answer(asked: Asked) -> Reply:
        turns = asked.body["messages"]
        is_second_try = turns[-2]["role"] == "assistant" and "hard" in turns[-2]["content"]
        question = turns[-3 if is_second_try else -1]
        if not is_second_try:
            questions.append(question["content"])
        place = questions.index(question["content"])
        if place == 1 or (place == 0 and not is_second_try):
            return Reply("hard to say")
        return judge(replace(asked, body={"messages": [question]}))

    only = LLM.model_copy(update={"scorers": ("detection",)})
    with FaultServer(answer) as server:
        given = profile(api_base=server.url, max_concurrent=1)
        run(lake, given, parse_latents("0"), only)
        assert len(server.asked) == 5
        assert run(lake, given, parse_latents("0"), only).new_rows == 0
        assert len(server.asked) == 5
    failures = "select failure, count(distinct request) from predictions group by all"
    assert sorted(rows(lake, failures), key=str) == [("unparseable", 1), (None, 2)]
    joined = "select count(*) from predictions join completions using (request)"
    assert rows(lake, joined) == [(ITEMS,)]


def test_another_question_gives_other_rows_beside_the_first(lake: Lake) -> None:
    """Each change asks anew; asked as before, everything is there."""
    changed: list[tuple[dict[str, object], dict[str, object], int]] = [
        ({}, {}, 2),
        ({"log_prob": True}, {}, 2),
        ({"num_examples_per_scorer_prompt": 4}, {}, 2),
        ({}, {"temperature": 0.5}, 2),
        ({}, {"json_schema": True}, 2),
        ({}, {"threshold": 0.9}, 1),
    ]
    n_rows = 0
    with FaultServer(judge) as server:
        for score_changes, other, n_scorers in changed * 2:
            llm = {name: value for name, value in other.items() if name != "threshold"}
            given = profile(api_base=server.url, **llm)
            shown = {name: value for name, value in other.items() if name == "threshold"}
            explained_so = given.explain.model_copy(update=shown)
            given = given.model_copy(update={"explain": explained_so})
            report = run(lake, given, parse_latents("0"), LLM.model_copy(update=score_changes))
            n_rows += report.new_rows
            assert report.new_rows in (0, n_scorers * ITEMS)
            assert report.rows == n_rows
    assert n_rows == 11 * ITEMS
    assert rows(lake, "select count(distinct judge_hash), count(*) from scores") == [(11, 11)]
    assert rows(lake, "select distinct n_examples, accuracy from scores") == [(ITEMS, 1.0)]


def test_a_lexical_judge_shown_other_highlights_answers_beside_the_first(lake: Lake) -> None:
    run(lake, profile(), parse_latents("0"))
    given = profile()
    explained_so = given.explain.model_copy(update={"threshold": 0.9})
    more = run(lake, given.model_copy(update={"explain": explained_so}), parse_latents("0"))
    assert more.new_rows == ITEMS
    hashes = rows(lake, "select scorer, judge_hash from scores order by all")
    assert hashes == [
        ("detection", "lexical"),
        ("fuzz", "lexical threshold 0.3"),
        ("fuzz", "lexical threshold 0.9"),
    ]


def test_an_llm_judge_is_told_how_to_read_a_lexical_explanation(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 1)

    def answer(asked: Asked) -> Reply:
        return Reply("[EXPLANATION]: Words." if "Description" not in asked.prompt else "[1]")

    only = ScoreSettings(
        scorer_model="openai/judge", scorers=("fuzz",), num_examples_per_scorer_prompt=1
    )
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        for explainer, model in (("lexical", "lexical"), ("default", "openai/tiny")):
            settings = ExplainSettings(explainer=explainer, explainer_model=model)  # type: ignore[arg-type]
            explain(given, lake, HOOKPOINT, ALL, settings, SELECTION)
        run(lake, given, ALL, only, "all")
        asked = [one.prompt for one in server.asked if "Description" in one.prompt]
    assert len(asked) == 2 * ITEMS
    legend = "Description: These lines were written by counting"
    assert sum(prompt.startswith(legend) for prompt in asked) == ITEMS
    assert sum(prompt.startswith("Description: Words.\n\nExcerpt 1: ") for prompt in asked) == ITEMS


def test_half_asked_latents_are_read_in_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third question fails on the way; the second run asks those, and no other."""
    monkeypatch.setattr(settled, "CHUNK", 2)
    lake = make_lake(tmp_path, 9)
    explain(profile(), lake, HOOKPOINT, ALL, ExplainSettings(explainer="lexical"), SELECTION)

    def answer(asked: Asked) -> Reply:
        return Reply(status=500) if asked.number % 3 == 0 else judge(asked)

    only = LLM.model_copy(update={"scorers": ("detection",)})
    with FaultServer(answer) as server:
        given = profile(api_base=server.url, max_retries=0)
        run(lake, given, ALL, only)
        lost = [asked.prompt for asked in server.asked if asked.number % 3 == 0]
        assert (len(server.asked), len(lost)) == (27, 9)
    with FaultServer(judge) as server:
        again = run(lake, profile(api_base=server.url), ALL, only)
        assert sorted(asked.prompt for asked in server.asked) == sorted(lost)
    assert again.facts["failed_predictions"] == 0


def test_a_replaced_prompt_asks_anew(lake: Lake, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "detection.txt").write_text("Does the description fit?", encoding="utf-8")
    only = LLM.model_copy(update={"scorers": ("detection",)})
    with FaultServer(judge) as server:
        given = profile(api_base=server.url)
        for folder in (None, str(prompts), None):
            run(lake, given, parse_latents("0"), only.model_copy(update={"prompts": folder}))
        systems = {asked.body["messages"][0]["content"].split("\n")[0] for asked in server.asked}
    assert len(server.asked) == 2 * 3
    assert "Does the description fit?" in systems
    (prompts / "detektion.txt").touch()
    with pytest.raises(SettingError, match=r"score\.prompts.*detektion\.txt"):
        run(lake, given, ALL, only.model_copy(update={"prompts": str(prompts)}))


def test_when_all_explanations_failed_the_reason_is_named(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 3)

    def answer(asked: Asked) -> Reply:
        return Reply("I'm sorry, I can't.") if "word2" in asked.prompt else Reply("no marker")

    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        llm = ExplainSettings(explainer_model="openai/tiny")
        with pytest.raises(NoAnswerError, match="unparseable 2, refusal 1"):
            explain(given, lake, HOOKPOINT, ALL, llm, SELECTION)
    with pytest.raises(NotReadyError, match=r"all 3 explanations.*2 of them.*'unparseable'"):
        run(lake, profile(), explainer="default")
    with pytest.raises(NotReadyError, match="no explanation by the explainer 'lexical'"):
        run(lake, profile())


def test_special_tokens_are_marked_only_where_latents_can_fire_on_them(lake: Lake) -> None:
    """In this lake " filler0" is made special; no false item may mark it."""
    vocabulary = read_parquet(lake, lake.files("vocabulary", run="tiny"))
    special = [text == " filler0" for text in vocabulary["str_token"].to_pylist()]
    place = vocabulary.schema.get_field_index("special")
    changed = vocabulary.set_column(place, "special", [special])
    pq.write_table(changed, Path(lake.root, lake.files("vocabulary", run="tiny")[0]))
    seen: list[str] = []

    def answer(asked: Asked) -> Reply:
        seen.append(asked.prompt)
        return judge(asked)

    only = LLM.model_copy(update={"scorers": ("fuzz",)})
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        run(lake, given, ALL, only)
        assert seen
        assert not any("<< filler0>>" in prompt for prompt in seen)
        assert any(" filler0 " in prompt for prompt in seen)


def test_an_interrupted_run_sends_exactly_what_is_missing(lake: Lake) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(status=401) if asked.number == 17 else judge(asked)

    settings = LLM.model_copy(update={"controls": ("shuffled",)})
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
