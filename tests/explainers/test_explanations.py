"""The stage explanations: what is asked, what is stored, what a second run does."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import NoAnswerError, NotReadyError, SettingError
from delphi_assets.explainers.explanations import explain
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import EXPLANATIONS
from delphi_assets.latent_ranges import Latents, parse_latents, parse_wanted
from delphi_assets.llm.calls import attempts
from delphi_assets.settings import ExplainSettings, Profile
from tests.parts.explained_lake import HOOKPOINT, SELECTION, make_lake, profile
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

LEXICAL = ExplainSettings(explainer="lexical")
LLM = ExplainSettings(explainer_model="openai/tiny")
ALL = Latents(())


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)


def run(
    lake: Lake, given: Profile, latents: Latents = ALL, settings: ExplainSettings = LLM
) -> StageReport:
    return explain(given, lake, HOOKPOINT, latents, settings, SELECTION)


def rows(lake: Lake) -> list[dict[str, object]]:
    found = connect(lake).sql("select * from explanations order by explainer, latent")
    listed: list[dict[str, object]] = found.to_arrow_table().to_pylist()
    return listed


def word(asked: Asked) -> str:
    """The word the asked-about latent fires on."""
    return next(part for part in asked.prompt.split() if part.startswith("word")).rstrip(">")


def good(asked: Asked) -> Reply:
    return Reply(f"They all mark one.\n[EXPLANATION]: The token {word(asked)}.")


def test_lexical_explanations_are_written_once(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    first = run(lake, profile(), parse_latents("0-3"), LEXICAL)
    assert (first.new_rows, first.rows) == (4, 4)
    assert first.facts["explained"] == 4
    second = run(lake, profile(), parse_latents("0-3"), LEXICAL)
    assert (second.new_rows, second.rows) == (0, 4)
    third = run(lake, profile(), ALL, LEXICAL)
    assert (third.new_rows, third.rows) == (2, 6)
    for row in rows(lake):
        assert f'" word{row["latent"]}"' in str(row["explanation"])
        assert (row["explainer_model"], row["request"], row["failure"]) == ("lexical", None, None)


def test_latents_that_cannot_be_explained_are_counted(tmp_path: Path) -> None:
    report = run(make_lake(tmp_path), profile(), parse_latents("4-9, 8"), LEXICAL)
    assert report.facts["asked"] == 6
    assert report.facts["explained"] == 2
    assert report.facts["skipped_below_min_examples"] == 4


def test_without_examples_the_asset_to_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="examples"):
        run(Lake(tmp_path / "empty"), profile())


def test_llm_explanations_are_asked_for_once(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    with FaultServer(good) as server:
        given = profile(api_base=server.url)
        report = run(lake, given, parse_latents("0-4"))
        assert (report.new_rows, len(server.asked)) == (5, 5)
        assert report.facts["requests_sent"] == 5
        assert run(lake, given, parse_latents("0-4")).new_rows == 0
        assert len(server.asked) == 5
        other = LLM.model_copy(update={"threshold": 0.5})
        assert run(lake, given, parse_latents("0"), other).new_rows == 1
    stored = rows(lake)
    assert {row["explanation"] for row in stored} == {f"The token word{n}." for n in range(5)}
    assert len({row["explanation_id"] for row in stored}) == 6
    assert all(row["prompt_tokens"] == 10 and row["n_shown"] == 4 for row in stored)
    joined = connect(lake).sql("select count(*) from explanations join completions using (request)")
    assert joined.fetchall() == [(6,)]


def test_failures_have_reasons_and_only_some_are_tried_again(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    replies = {
        "word0": Reply(status=500),
        "word1": Reply("no marker here"),
        "word2": Reply("I'm sorry, I can't."),
        "word3": Reply("[EXPLANATION]: cut o", finish_reason="length"),
        "word4": Reply(""),
    }

    def answer(asked: Asked) -> Reply:
        return replies.get(word(asked)) or good(asked)

    with FaultServer(answer) as server:
        given = profile(api_base=server.url, max_retries=0, repair=False)
        report = run(lake, given)
        assert (report.facts["explained"], report.facts["failed"]) == (1, 5)
        assert [row["failure"] for row in rows(lake)] == [
            "server_error",
            "unparseable",
            "refusal",
            "truncated",
            "empty",
            None,
        ]
        replies.clear()
        again = run(lake, given)
        assert [word(asked) for asked in server.asked[6:]] == ["word0"]
        assert (again.new_rows, again.facts["failed"]) == (1, 4)
        longer = run(lake, profile(api_base=server.url, max_tokens=2000, repair=False))
        assert longer.facts["failed"] == 0
        assert len(server.asked) == 7 + 4


def test_an_answer_that_cannot_be_read_gets_a_second_try(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2)

    def answer(asked: Asked) -> Reply:
        *_, question = (m["content"] for m in asked.body["messages"] if "Marked:" in m["content"])
        mended = "word1" in question and asked.prompt.startswith("Your answer cannot be used")
        return Reply("[EXPLANATION]: One word." if mended else "One word.")

    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        report = run(lake, given)
        assert (report.facts["explained"], report.facts["failed"]) == (1, 1)
        assert len(server.asked) == 4
        assert run(lake, given).new_rows == 0
        assert len(server.asked) == 4
    assert [row["failure"] for row in rows(lake)] == ["unparseable", None]
    asked = """
        select explanation is null, messages like '%cannot be used%'
        from explanations join completions using (request)
    """
    tries = connect(lake).sql(asked)
    assert sorted(tries.fetchall()) == [(False, True), (True, False)]


def test_a_rejected_request_is_open_again_on_the_next_run(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 1)
    replies = [Reply(status=400, error="the server was started without logprobs")]
    with FaultServer(lambda asked: replies.pop() if replies else good(asked)) as server:
        given = profile(api_base=server.url)
        with pytest.raises(NoAnswerError, match=r"rejected 1; .* without logprobs.* asks 1 of"):
            run(lake, given)
        assert [row["failure"] for row in rows(lake)] == ["rejected"]
        assert len(server.asked) == 1
        assert run(lake, given).facts["explained"] == 1
        assert len(server.asked) == 2


@pytest.mark.parametrize("again", ["", "failed"])
def test_one_that_fails_again_fails_no_stage_whose_others_have_texts(
    tmp_path: Path, again: str
) -> None:
    lake = make_lake(tmp_path, 3)

    def answer(asked: Asked) -> Reply:
        return Reply(status=400) if word(asked) == "word1" else good(asked)

    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        assert run(lake, given, parse_latents("0-1")).facts["failed"] == 1
        report = run(lake, given, parse_wanted(again or "0-1"))
        assert (report.facts["failed"], report.facts["requests_sent"]) == (1, 1)
        with pytest.raises(NoAnswerError, match="rejected 1"):
            run(lake, given, parse_latents("1"))


def test_a_later_failure_does_not_hide_an_explanation(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2)
    run(lake, profile(), ALL, LEXICAL)
    [row, _] = rows(lake)
    later = {**row, "explanation": None, "failure": "timeout", "written_at": datetime.now(UTC)}
    keys = {name: str(later.pop(name)) for name in ("run", "hookpoint")}
    lake.append(EXPLANATIONS, keys, EXPLANATIONS.from_rows([later]))
    assert [row["failure"] for row in rows(lake)] == [None, None]
    newer = {**later, "explanation": "new", "failure": None}
    lake.append(EXPLANATIONS, keys, EXPLANATIONS.from_rows([newer]))
    assert rows(lake)[0]["explanation"] == "new"
    joined = """
        select count(*) from explanations join (select distinct latent from examples) using (latent)
    """
    assert connect(lake).sql(joined).fetchall() == [(2,)]


def test_rows_of_other_selections_are_counted_too(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 3)
    run(lake, profile(), parse_latents("0-1"), LEXICAL)
    [row, _] = rows(lake)
    other = {**row, "explanation_id": "x", "selection": "other"}
    keys = {name: str(other.pop(name)) for name in ("run", "hookpoint")}
    lake.append(EXPLANATIONS, keys, EXPLANATIONS.from_rows([other]))
    report = run(lake, profile(), ALL, LEXICAL)
    assert (report.rows, report.new_rows, report.facts["rows_of_selection"]) == (4, 1, 3)


def test_a_paid_answer_whose_row_was_lost_is_not_paid_again(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    with FaultServer(good) as server:
        given = profile(api_base=server.url)
        run(lake, given)
        for path in Path(lake.root, "explanations").rglob("*-*.parquet"):
            path.unlink()
        report = run(lake, given)
        assert len(server.asked) == 6
    assert (report.new_rows, report.facts["answers_reused"]) == (6, 6)


def test_a_refused_key_stops_and_keeps_what_arrived(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)

    def answer(asked: Asked) -> Reply:
        return Reply(status=401) if asked.number == 2 else good(asked)

    with FaultServer(answer) as server:
        given = profile(api_base=server.url, max_concurrent=1)
        with pytest.raises(SettingError, match="OPENAI_API_KEY"):
            run(lake, given)
        assert len(server.asked) == 3
        # The answers are kept, whether or not the stop left time to make them rows of explanations.
        assert n_answers(lake) == 2
        report = run(lake, given)
        assert len(server.asked) == 3 + 4
    assert report.facts["explained"] == len(rows(lake)) == 6


def test_json_answers(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    with FaultServer(lambda asked: Reply('{"explanation": "One word."}')) as server:
        report = run(lake, profile(api_base=server.url, json_schema=True), parse_latents("2"))
        schema = server.asked[0].body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["explanation"]
    assert report.facts["explained"] == 1


def n_answers(lake: Lake) -> int:
    """Answers that are stored."""
    with connect(lake) as con:
        found = con.sql("select count(*) from completions where error is null").fetchone()
    assert found is not None
    return int(found[0])


KILLED = """
import sys
from pathlib import Path
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import Latents
from delphi_assets.settings import ExplainSettings
from tests.parts.explained_lake import HOOKPOINT, SELECTION, profile

url, root = sys.argv[1:]
explain(
    profile(api_base=url, max_concurrent=3),
    Lake(root),
    HOOKPOINT,
    Latents(()),
    ExplainSettings(explainer_model="openai/tiny"),
    SELECTION,
)
"""


INTERRUPTED = """
import asyncio, signal, sys

async def cell():
    exec(sys.argv.pop(1), {})

def interrupted(*_):
    print("interrupted", file=sys.stderr, flush=True)
    raise KeyboardInterrupt

# As in a notebook: a loop runs already, and SIGINT raises KeyboardInterrupt in the main thread.
signal.signal(signal.SIGINT, interrupted)
asyncio.new_event_loop().run_until_complete(cell())
"""


def test_an_interrupted_run_sends_no_more_and_stores_what_was_in_flight(tmp_path: Path) -> None:
    lake, interrupted = make_lake(tmp_path, n_latents=20), threading.Event()

    def answer(asked: Asked) -> Reply:
        # From the fifth on, answers only come once the process has been interrupted.
        if asked.number >= 4:
            interrupted.wait(300)
        reply = good(asked)
        reply.delay = 0.5 if asked.number >= 4 else 0.05
        return reply

    with FaultServer(answer) as server:
        arguments = [sys.executable, "-c", INTERRUPTED, KILLED, server.url, lake.root]
        process = subprocess.Popen(
            arguments, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True
        )
        server.wait_for(lambda: len(server.asked) == 4 + 3)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "interrupted" not in (line := process.stderr.readline()):
            assert line, "the process ended"
        interrupted.set()
        _, error = process.communicate(timeout=300)
        assert "KeyboardInterrupt" in error
        assert len(server.asked) == n_answers(lake) == 4 + 3
        report = run(lake, profile(api_base=server.url))
        assert len(server.asked) == 20
        assert report.facts["explained"] == 20


def test_a_killed_run_repays_at_most_what_was_in_flight(tmp_path: Path) -> None:
    n_latents, in_flight = 24, 3
    lake, killed = make_lake(tmp_path, n_latents), threading.Event()

    def answer(asked: Asked) -> Reply:
        # From the tenth on, answers only come once the first process is dead.
        if asked.number >= 10:
            killed.wait(300)
        reply = good(asked)
        reply.delay = 0.05
        return reply

    with FaultServer(answer) as server:
        arguments = [sys.executable, "-c", textwrap.dedent(KILLED), server.url, lake.root]
        process = subprocess.Popen(arguments, cwd=Path(__file__).parents[2], env=os.environ)
        server.wait_for(lambda: len(server.asked) == 10 + in_flight)
        server.wait_for(lambda: n_answers(lake) == 10)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed.set()
        assert len(server.asked) == 10 + in_flight
        run(lake, profile(api_base=server.url, max_concurrent=3))
        assert len(server.asked) == n_latents + in_flight
    stored = rows(lake)
    assert len(stored) == n_latents
    assert all(row["failure"] is None for row in stored)
