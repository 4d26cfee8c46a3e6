"""Explainers: what each shows an LLM, what it never shows, and how one's own gets a name."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.errors import NotReadyError, SettingError
from delphi_assets.explainers import registry
from delphi_assets.explainers.contrastive import CONTRASTIVE
from delphi_assets.explainers.explainer import AskedExplainer
from delphi_assets.explainers.functions import PromptExplainer
from delphi_assets.explainers.single_token import SINGLE_TOKEN, strongest
from delphi_assets.explainers.terms import Terms
from delphi_assets.latent_ranges import Latents
from delphi_assets.llm.asking import repair
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.prompts import ShownToken
from delphi_assets.reading.records import Example, LatentRecord
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, ScoreSettings, override
from tests.explainers.test_explanations import rows, run
from tests.parts.explained_lake import (
    HOOKPOINT,
    N_SILENT,
    N_TEST,
    SELECTION,
    Sizes,
    make_lake,
    profile,
    record,
    terms,
)
from tests.parts.fault_server import Asked as AskedServer
from tests.parts.fault_server import FaultServer, Reply
from tests.scorers.test_yes_no_answers import completion

pytestmark = pytest.mark.slow

LLM_EXPLAINERS = ("default", "contrastive", "single_token", "best_of_k")


def test_contrastive_shows_both_kinds_labelled() -> None:
    one = record(2, Sizes(train=1, test=1, silent=1, train_silent=2))
    text = CONTRASTIVE.question(one, terms(explainer="contrastive"))
    assert text == (
        "Excerpt 1: filler0 filler1<< word2>> filler3 filler4 filler5 filler6 filler7\n"
        'Activations: (" word2", 10)\n'
        "\n"
        "Silent excerpt 1:  filler15 filler16 filler0 filler1 filler2 filler3 filler4 filler5\n"
        "\n"
        "Silent excerpt 2:  filler3 filler4 filler5 filler6 filler7 filler8 filler9 filler10"
    ).replace("Excerpt 1: filler0", "Excerpt 1:  filler0")
    system, question, answer, *_ = CONTRASTIVE.instructions(terms())
    assert "silent excerpts" in system.content
    assert question.content.count("\n\nSilent excerpt ") == 2
    assert answer.content == "[EXPLANATION]: Units of measurement directly after a number."


def test_single_token_shows_the_strongest_tokens_alone() -> None:
    def window(tokens: list[str], activations: list[float], normalized: list[int]) -> Example:
        return replace(
            record(0).train[0],
            str_tokens=tokens,
            activations=activations,
            normalized=normalized,
        )

    examples = [
        window(["x", " a"], [0.0, 5.0], [0, 5]),
        window([" a", "\n"], [10.0, 10.0], [10, 10]),
        window(["z", "\n"], [0.0, 10.0], [0, 10]),
        window([" b", "z"], [2.0, 1.0], [2, 1]),
    ]
    assert strongest(examples) == [
        ShownToken(" a", 2, 5, 10),
        ShownToken("⏎", 1, 10, 10),
        ShownToken(" b", 1, 2, 2),
    ]
    question = SINGLE_TOKEN.question(LatentRecord(0, examples), terms())
    assert question == (
        '" a" in 2 excerpts, strength 5 to 10\n'
        '"⏎" in 1 excerpt, strength 10\n'
        '" b" in 1 excerpt, strength 2'
    )
    bare = SINGLE_TOKEN.question(LatentRecord(0, examples), terms(show_activations=False))
    assert bare == '" a" in 2 excerpts\n"⏎" in 1 excerpt\n" b" in 1 excerpt'
    thinking = SINGLE_TOKEN.instructions(terms(cot=True))
    assert "Think first" in thinking[0].content
    assert "[EXPLANATION]:" in thinking[2].content


def test_prompts_begin_alike_for_all_latents() -> None:
    for name in LLM_EXPLAINERS:
        explainer, given = registry.make(name), terms(explainer=name)
        assert isinstance(explainer, AskedExplainer)
        one, other = (
            explainer.messages(record(latent, Sizes(8, 2, 2, 6)), given) for latent in (1, 2)
        )
        assert one[:-1] == other[:-1]
        assert one[-1] != other[-1]
        assert len(one) == 6


sizes = st.builds(
    Sizes,
    train=st.integers(1, 9),
    test=st.integers(0, 9),
    silent=st.integers(0, 9),
    train_silent=st.integers(1, 9),
)


def marked(one: LatentRecord) -> LatentRecord:
    """The record with tokens that tell the split and the example of a window."""
    examples = [
        replace(
            example,
            str_tokens=[f" {example.split}{example.example}."] * len(example.str_tokens),
        )
        for example in one.examples
    ]
    return LatentRecord(one.latent, examples)


@given(sizes, st.sampled_from(LLM_EXPLAINERS), st.integers(1, 6))
def test_no_test_window_is_in_any_prompt(size: Sizes, name: str, quick_windows: int) -> None:
    """Nor is a window in a prompt that is held out to choose by."""
    explainer = registry.make(name)
    assert isinstance(explainer, AskedExplainer)
    given = terms(explainer=name, quick_windows=quick_windows, candidates_by="contrastive", k=2)
    asked: list[Request] = []

    async def ask(
        request: Request, read: Callable[[Completion], Any], failure_of: object
    ) -> repair.ReadAnswer[Any]:
        asked.append(request)
        answer = completion("[EXPLANATION]: a text")
        return repair.ReadAnswer(answer, read(answer))

    one = marked(record(1, size))
    asyncio.run(explainer.explain(one, given, ask))  # type: ignore[arg-type]
    assert asked
    for request in asked:
        shown = "".join(message.content for message in request.messages)
        for example in (*one.test, *one.non_activating):
            assert example.str_tokens[0] not in shown
    explaining = [r for r in asked if r.messages[-1].content.startswith(("Excerpt 1:", '" '))]
    judging = [request for request in asked if request not in explaining]
    assert (len(explaining), len(judging)) in ((1, 0), (2, 0), (2, 2))
    for train in (*one.train, *one.train_non_activating):
        in_prompt = any(train.str_tokens[0] in r.messages[-1].content for r in explaining)
        in_choice = any(train.str_tokens[0] in r.messages[-1].content for r in judging)
        assert not (in_prompt and in_choice)


def loudest_token(one: LatentRecord) -> str:
    """An explainer of one's own."""
    assert not one.test
    assert not one.non_activating
    return f"the token {strongest(one.train)[0].token}"


def test_a_function_is_enough(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    registry.register("loudest_token", loudest_token)
    assert "loudest_token" in registry.known()
    settings = ExplainSettings(explainer="loudest_token")
    assert run(lake, profile(), settings=settings).facts["explained"] == 6
    assert run(lake, profile(), settings=settings).new_rows == 0
    assert [row["explanation"] for row in rows(lake)] == [f"the token  word{i}" for i in range(6)]
    assert {(row["explainer"], row["model"]) for row in rows(lake)} == {("loudest_token",) * 2}
    registry.register("loudest_token", loudest_token, version="2")
    assert run(lake, profile(), settings=settings).new_rows == 6
    by_place = ExplainSettings(explainer=f"{__name__}:loudest_token")
    assert run(lake, profile(), settings=by_place).new_rows == 6


def test_an_empty_text_is_a_failure_told_once(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2)
    registry.register("wordless", lambda one: " ")
    settings = ExplainSettings(explainer="wordless")
    report = run(lake, profile(), settings=settings)
    assert (report.new_rows, report.facts["failed"]) == (2, 2)
    assert {row["failure"] for row in rows(lake)} == {"empty"}
    assert run(lake, profile(), settings=settings).new_rows == 0


def test_a_function_may_make_the_prompt(tmp_path: Path) -> None:
    def headline(one: LatentRecord, given: Terms) -> list[Message]:
        tokens = ", ".join(token.token for token in strongest(one.train))
        return [Message("user", f"A headline for{tokens}, behind [EXPLANATION]:")]

    lake = make_lake(tmp_path, 2)
    registry.register("headline", PromptExplainer(headline))
    settings = ExplainSettings(explainer="headline", explainer_model="openai/tiny")
    with FaultServer(lambda asked: Reply(f"[EXPLANATION]: On{asked.prompt[14:20]}")) as server:
        given = profile(api_base=server.url)
        assert run(lake, given, settings=settings).facts["explained"] == 2
        assert run(lake, given, settings=settings).new_rows == 0
        assert len(server.asked) == 2
    assert [row["explanation"] for row in rows(lake)] == ["On word0", "On word1"]


def test_none_writes_nothing_and_counts_what_is_stored(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    stored = ExplainSettings(explainer="none")
    assert run(lake, profile(), settings=stored).facts["explained"] == 0
    run(lake, profile(), settings=ExplainSettings(explainer="lexical"))
    report = run(lake, profile(), settings=stored)
    assert (report.new_rows, report.rows, report.facts["explained"]) == (0, 6, 6)
    ExplainSettings(explainer="none", explainer_model="openai/m")


def test_scorers_use_what_is_stored_under_none(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    run(lake, profile(), settings=ExplainSettings(explainer="lexical"))
    given = profile().model_copy(update={"explain": ExplainSettings(explainer="none")})
    judge = ScoreSettings(scorers=("detection",))
    report = score(given, lake, HOOKPOINT, Latents(()), judge, SELECTION)
    assert report.new_rows == 6 * (N_TEST + N_SILENT)


def test_contrastive_needs_train_windows_without_activation(tmp_path: Path) -> None:
    settings = ExplainSettings(explainer="contrastive", explainer_model="openai/tiny")
    with pytest.raises(NotReadyError, match="n_non_activating_train"):
        run(make_lake(tmp_path), profile(), settings=settings)


def test_contrastive_end_to_end(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2, Sizes(4, 6, 6, 3))
    settings = ExplainSettings(explainer="contrastive", explainer_model="openai/tiny")

    def answer(asked: AskedServer) -> Reply:
        assert asked.prompt.count("Silent excerpt") == 3
        return Reply("[EXPLANATION]: words")

    with FaultServer(answer) as server:
        report = run(lake, profile(api_base=server.url), settings=settings)
    assert report.facts["explained"] == 2
    assert {row["n_examples"] for row in rows(lake)} == {4}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"explainer": "defualt"}, "there is no explainer 'defualt'; expected one of"),
        ({"explainer": "no_such_module:f"}, "No module named 'no_such_module'"),
        ({"explainer": "json:nothing"}, "no attribute 'nothing'"),
        ({"explainer": "json:__name__"}, "is a str; expected an Explainer, or a function"),
        ({"explainer": "best_of_k", "candidates_by": "lexical"}, "candidates_by = 'lexical'"),
        ({"explainer": "best_of_k", "candidates_by": "best_of_k"}, "candidates_by = 'best_of_k'"),
        ({"explainer": "contrastive", "explainer_model": "lexical"}, "LiteLLM model string"),
        ({"explainer": "lexical"}, "goes with explainer_model = 'lexical'"),
        ({"k": 0}, "k = 0"),
        ({"candidate_temperature": 0.0}, "candidate_temperature = 0.0"),
    ],
)
def test_settings_that_cannot_be_used(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingError, match=problem):
        override(ExplainSettings(explainer_model="openai/m"), "launch", **changes)


def test_a_shipped_name_cannot_be_taken() -> None:
    with pytest.raises(SettingError, match="'lexical' comes with delphi-assets"):
        registry.register("lexical", loudest_token)


def test_every_shipped_explainer_is_there() -> None:
    shipped = {*LLM_EXPLAINERS, "lexical", "none"}
    assert shipped <= set(registry.known())
    for name in shipped:
        needs = registry.make(name).needs_model
        assert needs == {"lexical": False, "none": None}.get(name, True)
