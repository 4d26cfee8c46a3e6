"""Stage predictions: what a judge, who sees only an explanation, says about each window.

In: the tables explanations and examples. Out: rows of the table predictions, written as answers
arrive.

1. Scorers are made by their names (`scorers.registry`), and what they have to judge is listed as
   tasks: stored explanations on their latents, and the floors (`scorers.work.tasks`).
2. What is settled is skipped (`scorers.work.settled`).
3. The rest is put to the scorers' judges (`scorers.work.judgement`).
4. The scores of what was judged are kept (`lake.score_keeping`).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from delphi_assets.caching.origins import check_coder
from delphi_assets.errors import NotReadyError
from delphi_assets.ground.interrupts import terminable
from delphi_assets.ground.stage import Fact, StageReport
from delphi_assets.lake import claims, database
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.score_keeping import keep_up
from delphi_assets.latent_ranges import Latents, WhichLatents, wanted_latents
from delphi_assets.llm.asking.keys import check_model
from delphi_assets.llm.money.estimates import STAND_IN, Planned, drawn
from delphi_assets.reading.known_latents import check_latents
from delphi_assets.reading.sound_windows import check_windows
from delphi_assets.scorers import registry
from delphi_assets.scorers.work.explained import Explained, stored_explanations
from delphi_assets.scorers.work.judgement import judge
from delphi_assets.scorers.work.questions import by_latent, questions, read_work
from delphi_assets.scorers.work.scorer import SHUFFLED, Asked, Scorer, Windows
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.scorers.work.settled import Settled
from delphi_assets.scorers.work.tasks import NONE, Task, n_without_other, plan
from delphi_assets.settings import Profile, ScoreSettings


@terminable()
def score(  # noqa: PLR0917 - the stages' contract
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    latents: WhichLatents | None = None,
    settings: ScoreSettings | None = None,
    selection: str | None = None,
    explainer: str | None = None,
) -> StageReport:
    """Judge the given latents with every scorer of `settings`.

    `latents` are `"0-4, 17"`, `"next 1000"`, `"failed"`, indices or `Latents`. What is not given is
    the profile's: `score.latents`, its section score, the name of its selection.

    By the stored explanations of `explainer`, of the profile's explainer when that is not given, of
    every explainer when it is "all". The lexical judge reads lexical explanations only; others are
    left out and counted. Facts: explanations judged, latents asked for without an explanation,
    tasks with no other text to shuffle in, tasks done now, rows of this selection and those that
    failed, and what the LLM calls came to. Raises `NotReadyError` without explanations (where a
    scorer needs them) or examples, `SettingError` for latents that are not there, a scorer that is
    not known or cannot work with these settings, and when the LLM's key is missing or refused, or
    its model, `DataError` before an LLM is asked about windows that break an invariant,
    `NoAnswerError` when every answer of an LLM failed; rows written so far stay. While another
    process asks about the hookpoint, waits for it to end.
    """
    start = time.perf_counter()
    latents = wanted_latents(profile.score.latents if latents is None else latents)
    settings, selection = settings or profile.score, selection or profile.selection.name
    profile = lake.as_made(profile)
    scoring = Scoring(profile, lake, hookpoint, selection, settings)
    check_latents(scoring, latents)
    check_coder(scoring)
    explainer = explainer or profile.explain.explainer
    work = _work(scoring, latents, explainer)
    if any(isinstance(task.scorer.judge, Asked) for task in work.wanted):
        check_windows(scoring, latents)
        check_model(profile.llm, "score.scorer_model", settings.scorer_model)
        with claims.asking(lake, "predictions", scoring.keys):
            # Another process may have asked meanwhile, whether it had to be waited for or not.
            work = _work(scoring, latents, explainer)
            done = judge(scoring, work.wanted, work.settled, work.has_answers)
    else:
        done = judge(scoring, work.wanted, work.settled, work.has_answers)
    keep_up(lake, scoring.run, hookpoint)
    stored, tasks = work.stored, work.tasks
    judges = [scorer.judge for scorer in work.scorers if scorer.needs_explanation]
    unread = [one for one in stored if not all(each.reads(one) for each in judges)]
    summary = {name: int(str(n)) for name, n in scoring.query("predictions/summary")[0].items()}
    explained = {one.latent for one in stored}
    return StageReport(
        rows=summary["n_predictions"],
        new_rows=done.new_rows,
        seconds=time.perf_counter() - start,
        facts={
            "explanations": len(
                {
                    task.explained.explanation_id
                    for task in tasks
                    if task.control == NONE and task.scorer.needs_explanation
                }
            ),
            "explanations_the_judge_cannot_read": len(unread),
            "latents_without_explanation": len(work.windows.keys() - explained) if stored else 0,
            **_floors(settings, work.planned),
            "tasks_done_now": done.tasks,
            "tasks_there_already": len(tasks) - done.tasks - work.n_unwanted,
            "rows_of_selection": summary["n_of_selection"],
            "failed_predictions": summary["n_failed"],
            "predictions_without_probability": summary["n_without_probability"],
            **done.usage,
        },
    )


class _Work(NamedTuple):
    """What there is to judge, by what was stored when it was made."""

    scorers: list[Scorer[Any]]
    windows: dict[int, Windows]
    stored: list[Explained]
    planned: list[Task]
    tasks: list[Task]
    settled: Settled
    wanted: list[Task]
    """Tasks that may have work left and are asked for."""
    n_unwanted: int
    """Tasks that may have work left and are not asked for."""
    has_answers: bool
    """Whether an LLM has answered about what was asked for: with `failed`, of all its tasks."""


def _work(scoring: Scoring, latents: Latents, explainer: str) -> _Work:
    settings, windows = scoring.settings, _windows(scoring, latents)
    scorers = [scorer_of(name, scoring) for name in settings.scorers]
    stored: list[Explained] = []
    if any(scorer.needs_explanation for scorer in scorers):
        stored = stored_explanations(scoring, explainer)
    settled = Settled(scoring)
    planned = list(plan(windows.keys(), stored, scorers, settings.controls, scoring.seed))
    tasks = _with_begun(planned, settled, stored, latents, windows)
    pending = settled.pending(tasks, windows)
    wanted = settled.wanted(pending, latents)
    unwanted = len(pending) - len(wanted)
    of_llm = [task for task in tasks if isinstance(task.scorer.judge, Asked)]
    # The next latents are some that nobody has asked about.
    answered = latents.next is None and settled.has_answers(of_llm)
    return _Work(scorers, windows, stored, planned, tasks, settled, wanted, unwanted, answered)


def scorer_of(name: str, scoring: Scoring) -> Scorer[Any]:
    """The scorer, with the version of the prompts that its answers have so far."""
    scorer = registry.make(name, scoring)
    if not scorer.judge.reads_prompts:
        return scorer
    # Only the scorer tells under which names its answers are stored.
    kept = scoring.with_prompts(scoring.version_of(scorer.name, scorer.judge.model))
    if kept is not scoring:
        scorer = registry.make(name, kept)
    return replace(scorer, prompts=kept.prompts)


def requests_to_score(  # noqa: PLR0917 - as `score`
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    latents: WhichLatents,
    settings: ScoreSettings,
    selection: str,
    sample: int,
) -> Planned | None:
    """What `score` would ask about `sample` of the latents that it has left, without asking.

    A text stands in for explanations that are not there yet, another for each latent, so that
    `shuffled` finds one; discrimination, which needs those of the neighbours too, is only planned
    once they are. None when no scorer asks an LLM. Raises `NotReadyError` without examples.
    """
    latents = wanted_latents(latents)
    profile = lake.as_made(profile)
    scoring = Scoring(profile, lake, hookpoint, selection, settings)
    windows = _windows(scoring, latents)
    made = [scorer_of(name, scoring) for name in settings.scorers]
    scorers = [scorer for scorer in made if isinstance(scorer.judge, Asked)]
    if not scorers:
        return None
    try:
        stored = stored_explanations(scoring, profile.explain.explainer)
    except NotReadyError:
        stored = []
    there = {one.latent for one in stored}
    expected = [
        Explained(latent, f"expected {latent}", NONE, NONE, None, f"{STAND_IN} {latent}")
        for latent in windows
        if latent not in there
    ]
    settled = Settled(scoring)
    planned = list(
        plan(windows.keys(), [*stored, *expected], scorers, settings.controls, scoring.seed)
    )
    tasks = _with_begun(planned, settled, stored, latents, windows)
    pending = by_latent(settled.wanted(settled.pending(tasks, windows), latents))
    chosen = drawn(pending, sample, scoring.seed)
    requests = [
        question.request
        for work in read_work(scoring, {latent: pending[latent] for latent in chosen})
        for question in questions(work, settled)
        if question.request is not None
    ]
    model = settings.scorer_model
    return Planned("score", hookpoint, model, len(pending), len(chosen), requests)


def _with_begun(
    planned: list[Task],
    settled: Settled,
    stored: Sequence[Explained],
    latents: Latents,
    windows: Mapping[int, Windows],
) -> list[Task]:
    """What is planned, and with `latents.failed` what failed under an earlier plan."""
    if not latents.failed:
        return planned
    return [*planned, *settled.begun_before(planned, stored, windows.keys())]


def _floors(settings: ScoreSettings, tasks: Sequence[Task]) -> dict[str, Fact]:
    if SHUFFLED not in settings.controls:
        return {}
    return {"tasks_without_shuffled": n_without_other(tasks)}


def _windows(scoring: Scoring, latents: Latents) -> dict[int, Windows]:
    """How many windows each of the latents has that were asked for and have any."""
    files = scoring.examples.files()
    con = database.open_database(scoring.lake)
    rows = database.query(con, "explanations/explainable", files=files).to_pylist()
    con.close()
    return {
        row["latent"]: Windows(row["n_test"], row["n_non_activating"])
        for row in rows
        if row["latent"] in latents
    }
