"""Stage predictions: what a judge, who sees only an explanation, says about each window.

In: the tables explanations and examples. Out: rows of the table predictions, written as answers
arrive.

1. Every stored explanation with a text becomes a task a scorer, for its own latent (control
   `none`) and, as a floor, for one other latent (control `shuffled`, see `scorers.tasks`).
2. A task whose predictions are all there is skipped; failures that can be tried again do not count
   as there.
3. A task's items (`scorers`) are put to the judge in batches: the lexical judge answers with
   probabilities, an LLM answers a prompt a batch. Batches are cut from all items of the task, so
   that a resumed run asks the very questions that the interrupted one asked.
"""

import time
from collections.abc import Iterator, Sequence
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
from delphi_assets.records import LatentRecord, read_records
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
    """Judge the stored explanations of the given latents, by `explainer` or by every explainer.

    The lexical judge reads lexical explanations only; others are left out and counted. Facts:
    explanations judged, latents asked for without an explanation, tasks done now, failed
    predictions, and what the LLM calls came to. Raises `NotReadyError` without explanations or
    examples, `SettingError` when the LLM's key or model is refused; rows written so far stay.
    """
    start = time.perf_counter()
    job = _Job(profile, lake, hookpoint, selection, settings)
    windows = _windows(job)
    stored = [Explained(**row) for row in job.query("explanations", explainer=explainer)]  # type: ignore[arg-type]
    if not stored:
        by = f" by the explainer {explainer!r}" if explainer else ""
        raise NotReadyError(
            f"{lake!r} holds no explanation{by} of {hookpoint!r} in run {profile.run.name!r} for "
            f"the selection {selection!r}; materialize the asset 'explanations' first."
        )
    judged = [one for one in stored if _can_judge(settings.scorer_model, one)]
    mine = [one for one in judged if one.latent in windows and _asked_for(one.latent, latents)]
    tasks = list(plan(mine, judged, settings, f"{profile.run.seed}|{job.run}|{hookpoint}"))
    pending, n_settled = _pending(job, tasks, windows)
    usage: dict[str, Fact] = {}
    if settings.scorer_model == "lexical":
        new_rows = _judge_lexically(job, pending, n_settled)
    else:
        new_rows, usage = loop.run(_judge_with_llm(job, pending, n_settled))
    summary = job.query("summary")[0]
    return StageReport(
        rows=_int(summary["n_predictions"]),
        new_rows=new_rows,
        seconds=time.perf_counter() - start,
        facts={
            "explanations": len(mine),
            "explanations_the_judge_cannot_read": len(stored) - len(judged),
            "latents_without_explanation": len(
                {latent for latent in windows if _asked_for(latent, latents)}
                - {one.latent for one in stored}
            ),
            "tasks_done_now": len(pending),
            "tasks_there_already": len(tasks) - len(pending),
            "failed_predictions": _int(summary["n_failed"]),
            "predictions_without_probability": _int(summary["n_without_probability"]),
            **usage,
        },
    )


def _windows(job: _Job) -> dict[int, Windows]:
    files = job.lake.files("examples", **job.keys, selection=job.selection)
    con = database.open_database(job.lake)
    rows = database.query(con, "explanations/explainable", files=files).to_pylist()
    con.close()
    return {row["latent"]: Windows(row["n_test"], row["n_non_activating"]) for row in rows}


def _asked_for(latent: object, latents: Latents) -> bool:
    return latent in latents


def _can_judge(judge: str, explained: Explained) -> bool:
    return judge != "lexical" or explained.explainer == "lexical"


_Key = tuple[str, int, str, str]


def _key(task: Task) -> _Key:
    return (task.explained.explanation_id, task.latent, task.scorer, task.control)


def _pending(
    job: _Job, tasks: Sequence[Task], windows: dict[int, Windows]
) -> tuple[list[Task], dict[_Key, int]]:
    """Tasks with work left, and how many predictions of each task need none."""
    rows = job.query("settled", model=job.settings.scorer_model, retryable=list(failures.RETRYABLE))
    n_settled = {
        (
            str(row["explanation_id"]),
            _int(row["latent"]),
            str(row["scorer"]),
            str(row["control"]),
        ): _int(row["n_settled"])
        for row in rows
    }
    pending = [
        task
        for task in tasks
        if n_settled.get(_key(task), 0) < windows[task.latent].items(task.scorer)
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


class _Batch(NamedTuple):
    """Items put to the judge together, and which of them still need a row."""

    items: Sequence[Item]
    missing: Sequence[bool]


class _Question(NamedTuple):
    """One prompt for an LLM judge."""

    task: Task
    batch: _Batch


def _batches(
    job: _Job, record: LatentRecord, task: Task, n_settled: dict[_Key, int]
) -> Iterator[_Batch]:
    settled = _settled_examples(job, task) if n_settled.get(_key(task)) else set()
    items = _items(job, record, task.scorer)
    for batch in batches(items, job.settings.num_examples_per_scorer_prompt):
        missing = [(item.example, item.variant) not in settled for item in batch]
        if any(missing):
            yield _Batch(batch, missing)


def _items(job: _Job, record: LatentRecord, scorer: Scorer) -> list[Item]:
    if scorer == "detection":
        return detection.items(record, job.seed(record.latent))
    return fuzz.items(record, job.profile.explain.threshold, job.seed(record.latent))


def _settled_examples(job: _Job, task: Task) -> set[tuple[int, str]]:
    rows = job.query(
        "settled_examples",
        model=job.settings.scorer_model,
        retryable=list(failures.RETRYABLE),
        explanation_id=task.explained.explanation_id,
        latent=task.latent,
        scorer=task.scorer,
        control=task.control,
    )
    return {(_int(row["example"]), str(row["variant"])) for row in rows}


def _judge_lexically(job: _Job, pending: Sequence[Task], n_settled: dict[_Key, int]) -> int:
    written, by_latent = 0, _by_latent(pending)
    with _progress(job, by_latent) as bar:
        for works in batches(_work(job, by_latent), CHUNK):
            rows = [
                row
                for work in works
                for task in work.tasks
                for batch in _batches(job, work.record, task, n_settled)
                for row in _rows(job, task, batch, _lexical_answers(task, batch.items), None)
            ]
            job.lake.append(PREDICTIONS, job.keys, PREDICTIONS.from_rows(rows))
            written += len(rows)
            bar.update(len(works))
    return written


def _lexical_answers(task: Task, items: Sequence[Item]) -> answers.Answers:
    text = task.explained.explanation
    probabilities = tuple(
        lexical.judge_detection(text, item.str_tokens)
        if item.marked is None
        else lexical.judge_fuzz(text, item.str_tokens, item.marked)
        for item in items
    )
    return answers.Answers(tuple(p >= 0.5 for p in probabilities), probabilities, None)


async def _judge_with_llm(
    job: _Job, pending: Sequence[Task], n_settled: dict[_Key, int]
) -> tuple[int, dict[str, Fact]]:
    if not pending:
        return 0, Usage().facts()
    llm, written, by_latent = job.profile.llm, 0, _by_latent(pending)
    model, seed = job.settings.scorer_model, job.profile.run.seed
    with _progress(job, by_latent) as bar:
        async with (
            row_writer(job.lake, PREDICTIONS, job.keys) as writer,
            Client(llm, model, job.lake, job.run, seed) as client,
        ):

            async def judge(question: _Question) -> None:
                nonlocal written
                completion = await client.complete(_request(job, question))
                parsed = answers.parse(completion, len(question.batch.items))
                rows = _rows(job, question.task, question.batch, parsed, completion)
                added = await writer.submit(rows)
                written += added

            def questions() -> Iterator[_Question]:
                for work in _work(job, by_latent):
                    for task in work.tasks:
                        for batch in _batches(job, work.record, task, n_settled):
                            yield _Question(task, batch)
                    bar.update()

            await loop.for_each(questions(), judge, 2 * llm.max_concurrent)
    return written, client.usage.facts()


def _request(job: _Job, question: _Question) -> Request:
    llm, task, items = job.profile.llm, question.task, question.batch.items
    return Request(
        role=task.scorer,
        model=job.settings.scorer_model,
        messages=judging.messages(task.scorer, task.explained.explanation, items),
        temperature=llm.temperature,
        max_tokens=llm.max_tokens,
        logprobs=job.settings.log_prob,
        schema=judging.schema(len(items)) if llm.json_schema else None,
    )


def _rows(
    job: _Job,
    task: Task,
    batch: _Batch,
    parsed: answers.Answers,
    completion: Completion | None,
) -> list[Row]:
    """Rows of the batch's items that need one; a failed batch is a failure of each of its items."""
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
