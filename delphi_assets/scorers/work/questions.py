"""Questions: items of a task that are put to its judge together.

In: the tasks that have work left. Out: questions, latent by latent, each with at least one item
that needs a row. Questions to an LLM are cut from all items of a task, so that a resumed run asks
the very questions that the interrupted one asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from delphi_assets.ground.batches import batches
from delphi_assets.latent_ranges import Latents
from delphi_assets.llm.calls.requests import Request
from delphi_assets.reading.records import LatentRecord
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Asked
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.scorers.work.settled import Settled, missing
from delphi_assets.scorers.work.tasks import Task


@dataclass(frozen=True)
class Question:
    """Items put to the judge together."""

    task: Task
    items: Sequence[Item]
    missing: Sequence[bool]
    """Which of the items still need a row."""
    request: Request | None
    """The question to an LLM; None for a judge that answers here."""


@dataclass(frozen=True)
class Work:
    """A latent's record and what is to be judged on it."""

    record: LatentRecord
    tasks: Sequence[Task]


def by_latent(tasks: Sequence[Task]) -> dict[int, list[Task]]:
    """The same tasks, by the latent they are about."""
    grouped: dict[int, list[Task]] = {}
    for task in tasks:
        grouped.setdefault(task.latent, []).append(task)
    return grouped


def read_work(scoring: Scoring, tasks: dict[int, list[Task]]) -> Iterator[Work]:
    """The latents' records, in order of latent, a bucket of them in memory at a time."""
    if not tasks:
        return
    span = Latents(((min(tasks), max(tasks) + 1),))
    for record in scoring.examples.records(span):
        if record.latent in tasks:
            yield Work(record, tasks[record.latent])


def questions(work: Work, settled: Settled) -> Iterator[Question]:
    """What is still to be asked about a latent."""
    for task in work.tasks:
        done, judge = settled.of(task), task.scorer.judge
        items = task.scorer.items(work.record, task.explained)
        size = judge.batch_size if isinstance(judge, Asked) else max(1, len(items))
        for batch in batches(items, size):
            asked = judge.request(task.explained, batch) if isinstance(judge, Asked) else None
            open_items = missing(done, batch, asked.hash if asked else None)
            if any(open_items):
                yield Question(task, batch, open_items, asked)
