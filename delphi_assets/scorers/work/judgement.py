"""Tasks put to their judges, and the answers written.

In: the tasks that may have work left. Out: rows of the table predictions.

1. Judges that answer here come first. Their rows are written `CHUNK` latents at a time, or earlier
   when that takes long; whatever ends the stage, rows that are there are written.
2. Then come LLMs, with up to `llm.max_concurrent` questions open; rows are written as answers
   arrive.
"""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from delphi_assets.ground.progress import Bar
from delphi_assets.ground.stage import Fact
from delphi_assets.lake.growing_tables import Row, RowWriter, fitted
from delphi_assets.lake.schema import PREDICTIONS
from delphi_assets.llm.asking import loop, repair
from delphi_assets.llm.asking.client import Client, Usage
from delphi_assets.llm.asking.tally import Tally
from delphi_assets.scorers.work.questions import Question, by_latent, questions, read_work
from delphi_assets.scorers.work.rows import rows_of
from delphi_assets.scorers.work.scorer import Answer, Asked, Computed
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.scorers.work.settled import Settled, TaskKey, key_of
from delphi_assets.scorers.work.tasks import Task

CHUNK = 64
"""Most latents whose computed predictions share a file."""
LONGEST_UNWRITTEN = 10.0
"""Seconds after which computed predictions are written, however few latents they are of."""


class Done(NamedTuple):
    """What the judges did."""

    new_rows: int
    tasks: int
    """Tasks with at least one question."""
    usage: dict[str, Fact]
    """What the calls of an LLM came to."""


def judge(scoring: Scoring, pending: Sequence[Task], settled: Settled, has_answers: bool) -> Done:
    """Put every task to its judge; `has_answers` says that an LLM's are stored to others.

    Raises `SettingError` when an LLM's key or name is refused, `NoAnswerError` when there is no
    answer of one that can be used.
    """
    asked = [task for task in pending if isinstance(task.scorer.judge, Asked)]
    here = [task for task in pending if isinstance(task.scorer.judge, Computed)]
    computed = _compute(scoring, here, settled)
    answered = loop.run(_ask(scoring, asked, settled, has_answers))
    return Done(
        computed.new_rows + answered.new_rows, computed.tasks + answered.tasks, answered.usage
    )


class _Unwritten:
    """Rows on their way to the lake; leaving it writes what is left."""

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._rows: list[Row] = []
        self._latents, self._since = 0, time.monotonic()
        self.n_written = 0

    def __enter__(self) -> "_Unwritten":
        return self

    def __exit__(self, *error: object) -> None:
        self._write()

    def add(self, rows: list[Row]) -> None:
        """The rows of a latent."""
        self._rows += rows
        self._latents += 1
        if self._latents >= CHUNK or time.monotonic() - self._since > LONGEST_UNWRITTEN:
            self._write()

    def _write(self) -> None:
        fitting = fitted(PREDICTIONS, self._rows).arrow
        self._scoring.lake.append(PREDICTIONS, self._scoring.keys, fitting)
        self.n_written += len(self._rows)
        self._rows, self._latents, self._since = [], 0, time.monotonic()


def _compute(scoring: Scoring, pending: Sequence[Task], settled: Settled) -> Done:
    worked, grouped = set[TaskKey](), by_latent(pending)
    with _progress(scoring, grouped, "score") as bar, _Unwritten(scoring) as unwritten:
        for work in read_work(scoring, grouped):
            rows: list[Row] = []
            for question in questions(work, settled):
                worked.add(key_of(question.task))
                rows += _computed(scoring, question)
            unwritten.add(rows)
            bar.fail(sum(row["failure"] is not None for row in rows))
            bar.update()
    return Done(unwritten.n_written, len(worked), {})


def _computed(scoring: Scoring, question: Question) -> list[Row]:
    answering = question.task.scorer.judge
    assert isinstance(answering, Computed)
    answers = answering.answer(question.task.explained, question.items)
    return rows_of(question, answers, scoring.selection)


async def _ask(
    scoring: Scoring, pending: Sequence[Task], settled: Settled, has_answers: bool
) -> Done:
    if not pending:
        return Done(0, 0, Usage().facts() if scoring.settings.asks_llm else {})
    llm, written, worked, grouped = scoring.profile.llm, 0, set[TaskKey](), by_latent(pending)
    model, seed = scoring.settings.scorer_model, scoring.profile.run.seed
    owner = f"predictions {scoring.hookpoint}"
    tally = Tally(model, f"{scoring.hookpoint!r}", has_answers)
    with _progress(scoring, grouped, "ask about") as bar:

        def left() -> str:
            return f"questions about {len(grouped) - bar.n} of {len(grouped)} latents"

        async with (
            RowWriter(scoring.lake, PREDICTIONS, scoring.keys) as writer,
            Client(llm, model, scoring.lake, scoring.run, seed, left, owner) as client,
        ):

            async def ask(question: Question) -> None:
                nonlocal written
                asked = question.task.scorer.judge
                assert isinstance(asked, Asked)
                assert question.request is not None
                worked.add(key_of(question.task))
                reply = await repair.ask(
                    client,
                    question.request,
                    lambda completion: asked.read(completion, question.items),
                    _failure,
                    question.task.scorer.prompts or scoring.prompts,
                )
                tally.count(_failure_of_all(reply.result), reply.completion)
                bar.fail(sum(answer.failure is not None for answer in reply.result))
                rows = rows_of(question, reply.result, scoring.selection, reply.completion.request)
                added = await writer.submit(rows)
                written += added

            def asking() -> Iterator[Question]:
                for work in read_work(scoring, grouped):
                    yield from questions(work, settled)
                    bar.update()

            await loop.for_each(asking(), ask, client.workers)
    tally.check()
    return Done(written, len(worked), client.usage.facts())


def _failure(answers: Sequence[Answer]) -> str | None:
    """What a second try may mend."""
    return next((answer.failure for answer in answers if answer.failure is not None), None)


def _failure_of_all(answers: Sequence[Answer]) -> str | None:
    """Why none of them can be used."""
    return _failure(answers) if all(answer.failure is not None for answer in answers) else None


def _progress(scoring: Scoring, latents: dict[int, list[Task]], doing: str) -> Bar:
    hidden = not latents
    return Bar(
        total=len(latents), desc=f"{doing} {scoring.hookpoint}", unit="latent", disable=hidden
    )
