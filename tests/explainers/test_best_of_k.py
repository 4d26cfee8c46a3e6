"""The best of k: candidates, their quick scores, the choice, and what a second run does."""

import json
import re
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.errors import NoAnswerError
from delphi_assets.explainers.best_of_k import BEST_OF_K
from delphi_assets.explainers.contrastive import CONTRASTIVE
from delphi_assets.explainers.default import DEFAULT
from delphi_assets.explainers.quick_score import hold_out
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.lake import Lake
from delphi_assets.llm.calls import attempts
from delphi_assets.reading.records import LatentRecord
from delphi_assets.settings import ExplainSettings, Profile
from tests.explainers.test_explanations import rows, run
from tests.parts.explained_lake import Sizes, make_lake, profile, record, terms
from tests.parts.fault_server import Asked, FaultServer, Reply

pytestmark = pytest.mark.slow

SIZES = Sizes(train=8, test=6, silent=6, train_silent=4)
BEST = ExplainSettings(explainer="best_of_k", explainer_model="openai/tiny", k=3, quick_windows=2)


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.02)


def best_of(lake: Lake, given: Profile, settings: ExplainSettings = BEST) -> StageReport:
    return run(lake, given, settings=settings)


def is_quick(asked: Asked) -> bool:
    """Whether a text is being judged, and not asked for."""
    return "answers" in json.dumps(asked.body["messages"])


def judged(asked: Asked, right: int) -> Reply:
    """Answers to the excerpts, the first `right` of them right."""
    windows = re.findall(r"^(?:Excerpt )?\d+[:.] .*$", asked.prompt, re.MULTILINE)
    assert len(windows) == 4, asked.prompt
    truths = ["word" in window for window in windows]
    return Reply(
        json.dumps({"answers": [int(truth == (n < right)) for n, truth in enumerate(truths)]})
    )


def answer(asked: Asked) -> Reply:
    """Candidate n is called text n; text 1 is judged best: all right, the others half."""
    if not is_quick(asked):
        return Reply(f"[EXPLANATION]: text {asked.body['seed']}")
    return judged(asked, 4 if "text 1" in asked.prompt else 2)


def test_windows_are_held_out_by_a_hash() -> None:
    one = record(3, SIZES)
    train = LatentRecord(3, [*one.train, *one.train_non_activating])
    given = terms(explainer="best_of_k", quick_windows=2)
    parts = hold_out(train, DEFAULT, given)
    assert [e.example for e in parts.judged.examples] == [
        e.example for e in hold_out(train, DEFAULT, given).judged.examples
    ]
    assert (len(parts.judged.test), len(parts.judged.non_activating)) == (2, 2)
    assert (len(parts.shown.train), len(parts.shown.train_non_activating)) == (6, 2)
    ids = [e.example for e in (*parts.shown.examples, *parts.judged.examples)]
    assert sorted(ids) == sorted(e.example for e in train.examples)
    most = hold_out(train, DEFAULT, terms(explainer="best_of_k", quick_windows=99))
    assert (len(most.judged.test), len(most.judged.non_activating)) == (4, 4)
    shown = hold_out(train, CONTRASTIVE, terms(explainer="best_of_k", quick_windows=99))
    assert (len(shown.judged.test), len(shown.judged.non_activating)) == (4, 2)


def test_every_candidate_is_kept_and_the_best_is_chosen(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2, SIZES)
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        report = best_of(lake, given)
        assert report.facts["explained"] == 2
        assert (report.new_rows, len(server.asked)) == (6, 12)
        explaining = [asked for asked in server.asked if not is_quick(asked)]
        assert {asked.body["temperature"] for asked in explaining} == {0.7}
        assert {asked.body["temperature"] for asked in server.asked if is_quick(asked)} == {0.0}
        assert all(
            len(re.findall(r"^\d+\. ", asked.prompt, re.MULTILINE)) == 6 for asked in explaining
        )
        again = best_of(lake, given)
        assert (again.new_rows, len(server.asked)) == (0, 12)
    stored = sorted(rows(lake), key=lambda row: (row["latent"], row["candidate"]))
    assert [(row["candidate"], row["chosen"]) for row in stored] == [
        (0, False),
        (1, True),
        (2, False),
    ] * 2
    assert [row["explanation"] for row in stored[:3]] == ["text 0", "text 1", "text 2"]
    assert stored[1]["quick_score"] == 1.0
    assert all(row["quick_score"] < 1 for row in (stored[0], stored[2]))  # type: ignore[operator]
    assert len({row["request"] for row in stored}) == 6
    assert {row["n_shown"] for row in stored} == {6}
    assert len({row["prompt_hash"] for row in stored}) == 1
    calls = """
        select count(*) from completions
        where request in (select request from explanations)
            or request in (select quick_request from explanations)
    """
    assert connect(lake).sql(calls).fetchall() == [(12,)]


def test_lost_rows_come_back_without_a_call(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 2, SIZES)
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        best_of(lake, given)
        before = sorted(map(str, (row["explanation_id"] for row in rows(lake) if row["chosen"])))
        for path in Path(lake.root, "explanations").rglob("*-*.parquet"):
            path.unlink()
        report = best_of(lake, given)
        assert (len(server.asked), report.facts["answers_reused"]) == (12, 12)
    after = sorted(map(str, (row["explanation_id"] for row in rows(lake) if row["chosen"])))
    assert after == before


def test_nothing_is_chosen_while_a_candidate_waits(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 1, SIZES)
    down = True

    def sometimes(asked: Asked) -> Reply:
        waits = asked.body.get("seed") == 1 and not is_quick(asked)
        return Reply(status=500) if down and waits else answer(asked)

    with FaultServer(sometimes) as server:
        given = profile(api_base=server.url, max_retries=0)
        report = best_of(lake, given)
        assert (report.facts["explained"], report.facts["failed"]) == (0, 1)
        first = {row["candidate"]: row for row in rows(lake)}
        assert [first[n]["failure"] for n in range(3)] == [None, "server_error", None]
        assert not any(row["chosen"] for row in first.values())
        assert len(server.asked) == 5
        down = False
        assert best_of(lake, given).facts["explained"] == 1
        assert len(server.asked) == 7
        assert [row["candidate"] for row in rows(lake) if row["chosen"]] == [1]
        assert best_of(lake, given).new_rows == 0
        assert len(server.asked) == 7


def test_nothing_is_chosen_while_a_quick_score_waits(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 1, SIZES)
    down = True

    def sometimes(asked: Asked) -> Reply:
        waits = is_quick(asked) and "text 0" in asked.prompt
        return Reply(status=500) if down and waits else answer(asked)

    with FaultServer(sometimes) as server:
        given = profile(api_base=server.url, max_retries=0)
        assert best_of(lake, given).facts["failed"] == 1
        assert not any(row["chosen"] for row in rows(lake))
        down = False
        assert best_of(lake, given).facts["explained"] == 1
        assert len(server.asked) == 6 + 1
    by_number = {row["candidate"]: row for row in rows(lake)}
    assert [by_number[n]["chosen"] for n in range(3)] == [False, True, False]
    assert all(row["quick_score"] is not None for row in by_number.values())


def test_a_final_failure_does_not_hold_up_the_choice(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 1, SIZES)

    def partly(asked: Asked) -> Reply:
        if is_quick(asked):
            return Reply("I would say so.") if "text 0" in asked.prompt else judged(asked, 3)
        return Reply("") if asked.body["seed"] == 1 else answer(asked)

    with FaultServer(partly) as server:
        given = profile(api_base=server.url, repair=False)
        assert best_of(lake, given).facts["explained"] == 1
        stored = sorted(rows(lake), key=lambda row: int(str(row["candidate"])))
        assert [row["failure"] for row in stored] == [None, "empty", None]
        assert [row["quick_score"] for row in stored] == [None, None, 0.75]
        assert [row["chosen"] for row in stored] == [False, False, True]
        sent = len(server.asked)
        assert best_of(lake, given).new_rows == 0
        assert len(server.asked) == sent


def test_all_candidates_failed(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 1, SIZES)
    with FaultServer(lambda asked: Reply("no marker")) as server:
        given = profile(api_base=server.url, repair=False)
        with pytest.raises(NoAnswerError, match="unparseable 3"):
            best_of(lake, given)
        again = best_of(lake, given)
        assert (again.rows, again.new_rows, again.facts["failed"]) == (3, 0, 1)
        assert len(server.asked) == 3


def test_equal_scores_give_the_first(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 1, SIZES)

    def same(asked: Asked) -> Reply:
        return judged(asked, 4) if is_quick(asked) else answer(asked)

    with FaultServer(same) as server:
        best_of(lake, profile(api_base=server.url))
    assert [row["candidate"] for row in rows(lake) if row["chosen"]] == [0]


def test_other_k_is_another_choice_of_answers_that_are_paid_for(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 1, SIZES)
    with FaultServer(answer) as server:
        given = profile(api_base=server.url)
        best_of(lake, given)
        more = best_of(lake, given, BEST.model_copy(update={"k": 4}))
        assert (more.new_rows, len(server.asked)) == (4, 8)
    assert len([row for row in rows(lake) if row["chosen"]]) == 2


def test_candidates_by_contrastive(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 1, SIZES)
    with FaultServer(answer) as server:
        settings = BEST.model_copy(update={"candidates_by": "contrastive"})
        best_of(lake, profile(api_base=server.url), settings)
        explaining = [asked for asked in server.asked if not is_quick(asked)]
        assert {asked.prompt.count("Silent excerpt") for asked in explaining} == {2}
    by = terms(explainer="best_of_k", candidates_by="contrastive")
    assert BEST_OF_K.prompt_hash(by) == CONTRASTIVE.prompt_hash(by)
