"""Stage predictions: what a judge, who sees only an explanation, says about each window.

In: the tables explanations and examples. Out: rows of the table predictions, written as answers
arrive.

1. Every stored explanation with a text becomes a task a scorer, for its own latent (control
   `none`) and, as a floor, for one other latent (control `shuffled`, see `scorers.tasks`).
2. What is answered is skipped; so is what failed for good, unless another question would be asked
   now (say, with more `max_tokens`). Answers to a judge that was asked in another way (other
   instructions, batches, highlighting: another `judge_hash`) do not count; they stay beside the
   new ones.
3. A task's items (`scorers`) are put to the judge in batches: the lexical judge answers with
   probabilities, an LLM answers a prompt a batch. Batches are cut from all items of the task, so
   that a resumed run asks the very questions that the interrupted one asked.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from tqdm import tqdm

from delphi_assets import database, lexical
from delphi_assets.errors import NotReadyError
from delphi_assets.lake import Lake
from delphi_assets.llm import failures, loop
from delphi_assets.llm.client import Client, Usage
from delphi_assets.llm.completions import Completion
from delphi_assets.llm.requests import Request
from delphi_assets.llm.rows import Row, row_writer
from delphi_assets.records import LatentRecord, example_files, read_records
from delphi_assets.schema import PREDICTIONS
from delphi_assets.scorers import answers, detection, fuzz, judging
from delphi_assets.scorers.items import Item, batches
from delphi_assets.scorers.tasks import Explained, Task, Windows, plan
from delphi_assets.settings import Latents, Profile, Scorer, ScoreSettings
from delphi_assets.stage import Fact, StageReport

CHUNK = 64
"""Latents whose lexical predictions share a file."""


@dataclass(frozen=True)
class _Job:
    """What one call of `score` is about."""

    profile: Profile
    lake: Lake
    hookpoint: str
    selection: str
    settings: ScoreSettings

    @property
    def run(self) -> str:
        return self.profile.run.name

    @property
    def keys(self) -> dict[str, str | int]:
        return {"run": self.run, "hookpoint": self.hookpoint}

    @property
    def place(self) -> dict[str, str]:
        return {"run": self.run, "hookpoint": self.hookpoint, "selection": self.selection}

    def query(self, name: str, **parameters: database.Parameter) -> list[dict[str, object]]:
        """Rows of a statement about this hookpoint and selection."""
        con = database.connect(self.lake)
        rows = database.query(con, f"predictions/{name}", **self.place, **parameters).to_pylist()
        con.close()
        return rows  # type: ignore[no-any-return]

    def judge_hash(self, scorer: str) -> str:
        """Names how the judge is asked by `scorer`."""
        profile = self.profile
        return judging.judge_hash(self.settings, profile.llm, scorer, profile.explain.threshold)

    def seed(self, latent: int) -> str:
        """Seed of the order and highlighting of a latent's items."""
        return f"{self.profile.run.seed}|{self.run}|{self.hookpoint}|{latent}"


def score(  # noqa: PLR0917 - the stages' contract
    profile: Profile,
    lake: Lake,
    hookpoint: str,
    latents: Latents,
    settings: ScoreSettings,
    selection: str,
    explainer: str | None = None,
) -> StageReport:
    """Judge the stored explanations of the given latents.

    Those of `explainer`, of the profile's explainer when that is not given, of every explainer when
    it is "all". The lexical judge reads lexical explanations only; others are left out and counted.
    Facts: explanations judged, latents asked for without an explanation, tasks done now, rows of
    this selection and those that failed, and what the LLM calls came to. Raises
    `NotReadyError` without explanations or examples, `SettingError` when the LLM's key or model is
    refused; rows written so far stay.
    """
    start = time.perf_counter()
    job = _Job(profile, lake, hookpoint, selection, settings)
    windows = _windows(job)
    stored = _explanations(job, explainer or profile.explain.explainer)
    judged = [one for one in stored if _can_judge(settings.scorer_model, one)]
    mine = [one for one in judged if one.latent in windows and _asked_for(one.latent, latents)]
    tasks = list(plan(mine, judged, settings, f"{profile.run.seed}|{job.run}|{hookpoint}"))
    pending, n_settled = _pending(job, tasks, windows)
    if settings.scorer_model == "lexical":
        done = _judge_lexically(job, pending, n_settled)
    else:
        done = loop.run(_judge_with_llm(job, pending, n_settled))
    summary = job.query("summary")[0]
    return StageReport(
        rows=_int(summary["n_predictions"]),
        new_rows=done.new_rows,
        seconds=time.perf_counter() - start,
        facts={
            "explanations": len(mine),
            "explanations_the_judge_cannot_read": len(stored) - len(judged),
            "latents_without_explanation": len(
                {latent for latent in windows if _asked_for(latent, latents)}
                - {one.latent for one in stored}
            ),
            "tasks_done_now": done.tasks,
            "tasks_there_already": len(tasks) - done.tasks,
            "rows_of_selection": _int(summary["n_of_selection"]),
            "failed_predictions": _int(summary["n_failed"]),
            "predictions_without_probability": _int(summary["n_without_probability"]),
            **done.usage,
        },
    )


def _explanations(job: _Job, explainer: str) -> list[Explained]:
    """The stored explanations with a text; raises `NotReadyError` when there are none."""
    named = None if explainer == "all" else explainer
    stored = [Explained(**row) for row in job.query("explanations", explainer=named)]  # type: ignore[arg-type]
    if stored:
        return stored
    by = f" by the explainer {named!r}" if named else ""
    what = (
        f"of {job.hookpoint!r} in run {job.run!r} for the selection {job.selection!r} in "
        f"{job.lake!r}"
    )
    reasons = job.query("failed_explanations", explainer=named)
    if not reasons:
        raise NotReadyError(
            f"there is no explanation{by} {what}; materialize the asset 'explanations' first."
        )
    n_failed = sum(_int(row["n_failed"]) for row in reasons)
    first = reasons[0]
    raise NotReadyError(
        f"all {n_failed} explanations{by} {what} failed, {first['n_failed']} of them for the "
        f"reason {first['failure']!r}; expected at least one with a text. Remove the cause (the "
        "table completions holds the answers) and materialize the asset 'explanations' again."
    )


def _windows(job: _Job) -> dict[int, Windows]:
    files = example_files(job.lake, job.run, job.hookpoint, job.selection)
    con = database.open_database(job.lake)
    rows = database.query(con, "explanations/explainable", files=files).to_pylist()
    con.close()
    return {row["latent"]: Windows(row["n_test"], row["n_non_activating"]) for row in rows}


def _asked_for(latent: object, latents: Latents) -> bool:
    return latent in latents


def _can_judge(judge: str, explained: Explained) -> bool:
    return judge != "lexical" or explained.explainer == "lexical"


class _Key(NamedTuple):
    """What identifies a task's predictions, the judge being given."""

    explanation_id: str
    latent: int
    scorer: str
    judge_hash: str
    control: str


def _key(job: _Job, task: Task) -> _Key:
    return _Key(
        task.explained.explanation_id,
        task.latent,
        task.scorer,
        job.judge_hash(task.scorer),
        task.control,
    )


def _pending(
    job: _Job, tasks: Sequence[Task], windows: dict[int, Windows]
) -> tuple[list[Task], dict[_Key, int]]:
    """Tasks that may have work left, and how many answers there are to each that was asked."""
    rows = job.query("settled", model=job.settings.scorer_model)
    n_settled = {
        _Key(
            str(row["explanation_id"]),
            _int(row["latent"]),
            str(row["scorer"]),
            str(row["judge_hash"]),
            str(row["control"]),
        ): _int(row["n_settled"])
        for row in rows
    }
    pending = [
        task
        for task in tasks
        if n_settled.get(_key(job, task), 0) < windows[task.latent].items(task.scorer)
    ]
    return pending, n_settled


class _Work(NamedTuple):
    """A latent's record and what is to be judged on it."""

    record: LatentRecord
    tasks: list[Task]


def _by_latent(pending: Sequence[Task]) -> dict[int, list[Task]]:
    by_latent: dict[int, list[Task]] = {}
    for task in pending:
        by_latent.setdefault(task.latent, []).append(task)
    return by_latent


def _progress(job: _Job, by_latent: dict[int, list[Task]]) -> tqdm:  # type: ignore[type-arg]
    return tqdm(total=len(by_latent), desc=f"score {job.hookpoint}", unit="latent")


def _work(job: _Job, by_latent: dict[int, list[Task]]) -> Iterator[_Work]:
    if not by_latent:
        return
    span = Latents(((min(by_latent), max(by_latent) + 1),))
    for record in read_records(job.lake, job.run, job.hookpoint, job.selection, span):
        if record.latent in by_latent:
            yield _Work(record, by_latent[record.latent])


class _Done(NamedTuple):
    """What a judge did."""

    new_rows: int
    tasks: int
    """Tasks with at least one question."""
    usage: dict[str, Fact]


class _Batch(NamedTuple):
    """Items of a task put to the judge together, and which of them still need a row."""

    task: Task
    items: Sequence[Item]
    missing: Sequence[bool]
    request: Request | None
    """The question to an LLM."""


def _batches(
    job: _Job, work: _Work, n_settled: dict[_Key, int], special: Collection[str]
) -> Iterator[_Batch]:
    for task in work.tasks:
        settled = _settled(job, task) if _key(job, task) in n_settled else {}
        items = _items(job, work.record, task.scorer, special)
        for batch in batches(items, job.settings.num_examples_per_scorer_prompt):
            request = _request(job, task, batch)
            asked = (None, request and request.hash)
            missing = [settled.get((item.example, item.variant), "") not in asked for item in batch]
            if any(missing):
                yield _Batch(task, batch, missing, request)


def _items(job: _Job, record: LatentRecord, scorer: Scorer, special: Collection[str]) -> list[Item]:
    seed = job.seed(record.latent)
    if scorer == "detection":
        return detection.items(record, seed)
    return fuzz.items(record, job.profile.explain.threshold, seed, special)


def _special_tokens(job: _Job) -> frozenset[str]:
    """Tokens, as text, on which no latent can fire."""
    if not job.profile.cache.filter_bos:
        return frozenset()
    con = database.connect(job.lake)
    rows = database.query(con, "predictions/special_tokens", run=job.run).to_pylist()
    con.close()
    return frozenset(row["str_token"] for row in rows)


def _settled(job: _Job, task: Task) -> dict[tuple[int, str], str | None]:
    """By example and variant: None for an answer, else the request that failed for good."""
    rows = job.query(
        "settled_examples",
        model=job.settings.scorer_model,
        judge_hash=job.judge_hash(task.scorer),
        open=list(failures.OPEN),
        explanation_id=task.explained.explanation_id,
        latent=task.latent,
        scorer=task.scorer,
        control=task.control,
    )
    return {
        (_int(row["example"]), str(row["variant"])): row["failed_request"]  # type: ignore[misc]
        for row in rows
    }


def _judge_lexically(job: _Job, pending: Sequence[Task], n_settled: dict[_Key, int]) -> _Done:
    written, worked, by_latent = 0, set(), _by_latent(pending)
    special = _special_tokens(job)
    with _progress(job, by_latent) as bar:
        for works in batches(_work(job, by_latent), CHUNK):
            rows: list[Row] = []
            for work in works:
                for batch in _batches(job, work, n_settled, special):
                    worked.add(_key(job, batch.task))
                    rows += _rows(job, batch, _lexical_answers(batch), None)
            if rows:
                job.lake.append(PREDICTIONS, job.keys, PREDICTIONS.from_rows(rows))
            written += len(rows)
            bar.update(len(works))
    return _Done(written, len(worked), {})


def _lexical_answers(batch: _Batch) -> answers.Answers:
    text = batch.task.explained.explanation
    probabilities = tuple(
        lexical.judge_detection(text, item.str_tokens)
        if item.marked is None
        else lexical.judge_fuzz(text, item.str_tokens, item.marked)
        for item in batch.items
    )
    return answers.Answers(tuple(p >= 0.5 for p in probabilities), probabilities, None)


async def _judge_with_llm(job: _Job, pending: Sequence[Task], n_settled: dict[_Key, int]) -> _Done:
    if not pending:
        return _Done(0, 0, Usage().facts())
    llm, written, worked, by_latent = job.profile.llm, 0, set(), _by_latent(pending)
    model, seed, special = job.settings.scorer_model, job.profile.run.seed, _special_tokens(job)
    with _progress(job, by_latent) as bar:
        async with (
            row_writer(job.lake, PREDICTIONS, job.keys) as writer,
            Client(llm, model, job.lake, job.run, seed) as client,
        ):

            async def judge(batch: _Batch) -> None:
                nonlocal written
                assert batch.request is not None
                worked.add(_key(job, batch.task))
                completion = await client.complete(batch.request)
                parsed = answers.parse(completion, len(batch.items))
                added = await writer.submit(_rows(job, batch, parsed, completion))
                written += added

            def questions() -> Iterator[_Batch]:
                for work in _work(job, by_latent):
                    yield from _batches(job, work, n_settled, special)
                    bar.update()

            await loop.for_each(questions(), judge, 2 * llm.max_concurrent)
    return _Done(written, len(worked), client.usage.facts())


def _request(job: _Job, task: Task, items: Sequence[Item]) -> Request | None:
    if job.settings.scorer_model == "lexical":
        return None
    llm = job.profile.llm
    return Request(
        role=task.scorer,
        model=job.settings.scorer_model,
        messages=judging.messages(task.scorer, task.explained, items),
        temperature=llm.temperature,
        max_tokens=llm.max_tokens,
        logprobs=job.settings.log_prob,
        schema=judging.schema(len(items)) if llm.json_schema else None,
    )


def _rows(
    job: _Job, batch: _Batch, parsed: answers.Answers, completion: Completion | None
) -> list[Row]:
    """Rows of the batch's items that need one; a failed batch is a failure of each of its items."""
    task, judge_hash = batch.task, job.judge_hash(batch.task.scorer)
    rows: list[Row] = []
    for place, (item, is_missing) in enumerate(zip(batch.items, batch.missing, strict=True)):
        if not is_missing:
            continue
        rows.append(
            {
                "explanation_id": task.explained.explanation_id,
                "latent": task.latent,
                "selection": job.selection,
                "scorer": task.scorer,
                "model": job.settings.scorer_model,
                "judge_hash": judge_hash,
                "control": task.control,
                "example": item.example,
                "variant": item.variant,
                "truth": item.truth,
                "prediction": parsed.predictions and parsed.predictions[place],
                "probability": parsed.probabilities and parsed.probabilities[place],
                "quantile": item.quantile,
                "failure": parsed.failure,
                "request": completion and completion.request,
                "written_at": datetime.now(UTC),
            }
        )
    return rows


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
