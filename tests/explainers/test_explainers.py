"""Explainers: what each shows an LLM, what it never shows, and how one's own gets a name."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.errors import DataError, NotReadyError, SettingError
from delphi_assets.explainers import registry
from delphi_assets.explainers.contrastive import CONTRASTIVE
from delphi_assets.explainers.explainer import AskedExplainer
from delphi_assets.explainers.functions import FunctionExplainer, PromptExplainer
from delphi_assets.explainers.single_token import SINGLE_TOKEN, strongest
from delphi_assets.explainers.terms import Terms
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import Latents, parse_latents
from delphi_assets.llm.asking import repair
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.prompts import ShownToken
from delphi_assets.reading.records import Example, LatentRecord
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import ExplainSettings, Options, ScoreSettings, override
from tests.explainers.test_explanations import rows, run
from tests.parts.explained_lake import (
    HOOKPOINT,
    N_SILENT,
    N_TEST,
    RUN,
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
        "1.  filler0 filler1<< word2>> filler3 filler4 filler5 filler6 filler7\n"
        "\n"
        "Silent excerpt 1:  filler15 filler16 filler0 filler1 filler2 filler3 filler4 filler5\n"
        "\n"
        "Silent excerpt 2:  filler3 filler4 filler5 filler6 filler7 filler8 filler9 filler10\n"
        "\n"
        'Marked: "word2" 1x 10\n'
        "\n"
        "What is marked?"
    )
    system, question, answer, *_ = CONTRASTIVE.instructions(terms())
    assert "silent excerpts" in system.content
    assert question.content.count("\n\nSilent excerpt ") == 2
    assert answer.content == '[EXPLANATION]: Superlatives, which end in "-est".'


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
        assert {message.role for message in one[1:-1:2]} == {"user"}


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
    explaining = [r for r in asked if r.messages[-1].content.startswith(("1. ", '" '))]
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
    assert {(row["explainer"], row["explainer_model"]) for row in rows(lake)} == {
        ("loudest_token",) * 2
    }
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


class Loud(Options):
    """Options of `loud_notes`."""

    marks: int = 1


def loud_notes(one: LatentRecord, options: Loud) -> str:
    """The same text, whatever its options."""
    return f"note {one.latent}"


def texts_of(lake: Lake) -> dict[object, list[object]]:
    """The texts of each latent, in the order in which they were written; None for a failure."""
    found: dict[object, list[object]] = {}
    for row in sorted(rows(lake), key=lambda row: int(str(row["generation"]))):
        found.setdefault(row["latent"], []).append(row["explanation"])
    return found


@pytest.mark.parametrize("missing", ["key", "none", "nan"])
def test_a_latent_without_a_text_fails_alone(
    tmp_path: Path, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A list of one's own seldom has all latents; pandas makes an empty cell a NaN."""
    lake = make_lake(tmp_path)
    texts: dict[int, Any] = {latent: f"note {latent}" for latent in range(6) if latent != 4}
    if missing != "key":
        texts[4] = None if missing == "none" else float("nan")
    registry.register("notes", lambda one: texts[one.latent])
    settings = ExplainSettings(explainer="notes")
    report = run(lake, profile(), settings=settings)
    assert (report.new_rows, report.facts["explained"], report.facts["failed"]) == (6, 5, 1)
    assert "'notes' has no text for latent 4" in caplog.text
    assert [row["failure"] for row in rows(lake)] == [*[None] * 4, "no_text", None]
    assert run(lake, profile(), settings=settings).new_rows == 0
    texts[4] = "found"
    report = run(lake, profile(), Latents((), failed=True), settings)
    assert (report.new_rows, report.rows, report.facts["failed"]) == (1, 6, 0)
    assert texts_of(lake)[4] == ["found"]
    assert run(lake, profile(), settings=settings).new_rows == 0


def test_an_edited_text_is_another_explanation(tmp_path: Path) -> None:
    """The edited one alone; the earlier one stays beside it, and taken back it is the last one."""
    lake = make_lake(tmp_path)
    texts = {latent: f"note {latent}" for latent in range(6)}
    registry.register("notes", texts)
    settings = ExplainSettings(explainer="notes")
    assert run(lake, profile(), settings=settings).new_rows == 6
    assert run(lake, profile(), settings=settings).new_rows == 0
    texts[2] = "edited"
    report = run(lake, profile(), settings=settings)
    assert (report.new_rows, report.facts["explained"], report.facts["failed"]) == (1, 6, 0)
    assert run(lake, profile(), settings=settings).new_rows == 0
    assert texts_of(lake)[2] == ["note 2", "edited"]
    texts[2] = "note 2"
    assert run(lake, profile(), settings=settings).new_rows == 1
    assert run(lake, profile(), settings=settings).new_rows == 0
    assert texts_of(lake)[2] == ["edited", "note 2"]
    assert {latent: len(found) for latent, found in texts_of(lake).items()} == {
        latent: 1 + (latent == 2) for latent in range(6)
    }
    del texts[2]
    assert run(lake, profile(), settings=settings).new_rows == 0, "what it had stays"
    with connect(lake) as con:
        first = query(con, "explorer/explanations", run=RUN, hookpoint=HOOKPOINT, first=2, last=3)
    assert [row["explanation"] for row in first.to_pylist() if row["shown"]] == ["note 2"]


def test_an_edited_text_is_scored_and_no_other_one(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    texts = {latent: f"note {latent}" for latent in range(6)}
    registry.register("notes", texts)
    settings = ExplainSettings(explainer="notes")
    judge = ScoreSettings(
        scorers=("detection",),
        scorer_model="openai/tiny",
        num_examples_per_scorer_prompt=4,
        controls=(),
    )
    with FaultServer(lambda asked: Reply("[1, 0, 1, 0]")) as server:
        base = profile(api_base=server.url)
        given = base.model_copy(update={"explain": settings})
        for n_texts, text in ((6, "note 2"), (1, "edited"), (0, "note 2")):
            texts[2] = text
            before = len(server.asked)
            run(lake, given, settings=settings)
            report = score(given, lake, HOOKPOINT, Latents(()), judge, SELECTION)
            assert report.new_rows == n_texts * (N_TEST + N_SILENT)
            assert len(server.asked) - before == n_texts * (N_TEST + N_SILENT) / 4
            assert n_texts != 1 or all(text in one.prompt for one in server.asked[before:])


def test_texts_stored_before_their_hash_counted_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their answers are known by them, and would be paid for again."""
    lake = make_lake(tmp_path)
    texts = {latent: f"note {latent}" for latent in range(6)}
    registry.register("notes", texts)
    settings = ExplainSettings(explainer="notes")
    with monkeypatch.context() as before:
        before.setattr(FunctionExplainer, "text_counts", False)
        assert run(lake, profile(), settings=settings).new_rows == 6
    assert run(lake, profile(), settings=settings).new_rows == 0
    texts[0] = "edited"
    assert run(lake, profile(), settings=settings).new_rows == 1
    assert texts_of(lake)[0] == ["note 0", "edited"]


def test_options_do_not_share_texts(tmp_path: Path) -> None:
    """The same text under other options is another explanation, and each is the last of its own."""
    lake = make_lake(tmp_path, 2)
    registry.register("loud", loud_notes)
    one = ExplainSettings(explainer="loud")
    other = ExplainSettings(explainer="loud", options={"loud": {"marks": 2}})
    for settings in (one, other):
        assert run(lake, profile(), settings=settings).new_rows == 2
    for settings in (one, other):
        assert run(lake, profile(), settings=settings).new_rows == 0


def test_what_is_no_text_stops_with_the_latents_number(tmp_path: Path) -> None:
    """What was made before is kept: it may have taken long."""
    lake = make_lake(tmp_path)

    def broken(one: LatentRecord) -> Any:
        if one.latent == 3:
            raise ValueError("no such tokenizer")
        return 7 if one.latent == 4 else f"note {one.latent}"

    registry.register("broken", broken)
    settings = ExplainSettings(explainer="broken")
    with pytest.raises(DataError, match="'broken' failed at latent 3: ValueError: no such tokeni"):
        run(lake, profile(), settings=settings)
    assert [row["latent"] for row in rows(lake)] == [0, 1, 2]
    with pytest.raises(DataError, match="'broken' gave 7 for latent 4; expected a text"):
        run(lake, profile(), parse_latents("4-5"), settings=settings)


TEXTS = {latent: f"note {latent}" for latent in range(3)}


def test_texts_are_found_by_their_place(tmp_path: Path) -> None:
    settings = ExplainSettings(explainer=f"{__name__}:TEXTS")
    report = run(make_lake(tmp_path), profile(), settings=settings)
    assert (report.facts["explained"], report.facts["failed"]) == (3, 3)


def test_a_mapping_has_latents_as_numbers() -> None:
    with pytest.raises(SettingError, match="'notes' has the key '4'; expected latents as numbers"):
        registry.register("notes", {"4": "a note"})  # type: ignore[dict-item]  # the fault itself


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
    assert {row["n_shown"] for row in rows(lake)} == {4}


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
