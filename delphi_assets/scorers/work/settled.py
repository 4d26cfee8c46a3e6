"""What has been judged already: which tasks have work left, and which of their items.

An answer settles its item; so does a failure, unless it is open (`llm.calls.failures`) or another
question would be asked now (say, with more `max_tokens`). Answers to a judge that was asked in
another way (another `judge_hash`) do not count; they stay beside the new ones.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from delphi_assets.latent_ranges import Latents
from delphi_assets.llm.calls import failures
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import SHUFFLED, Windows
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.scorers.work.tasks import Task

CHUNK = 128
"""Latents whose settled items are in memory at a time."""

Items = dict[tuple[int, str], str | None]
"""By example and variant: None for an answer, else the request that failed for good."""


class TaskKey(NamedTuple):
    """What identifies a task's predictions."""

    explanation_id: str
    latent: int
    scorer: str
    judge: str
    judge_hash: str
    control: str


def key_of(task: Task) -> TaskKey:
    """What identifies the task's predictions."""
    scorer = task.scorer
    return TaskKey(
        task.explained.explanation_id,
        task.latent,
        scorer.name,
        scorer.judge.model,
        scorer.hash_for(task.explained),
        task.control,
    )


class Settled:
    """The answers there were when it was made.

    Which items of a task they settle is read for `CHUNK` latents at a time, in order of latent.
    """

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._counts = {
            _key(row): int(str(row["n_settled"])) for row in scoring.query("predictions/settled")
        }
        self._begun = sorted({key.latent for key in self._counts})
        self._read: range = range(0)
        self._items: dict[TaskKey, Items] = {}

    def pending(self, tasks: Iterable[Task], windows: Mapping[int, Windows]) -> list[Task]:
        """Tasks that may have work left: with fewer answers than their scorer makes items."""
        found = [
            task
            for task in tasks
            if self._counts.get(key_of(task), 0) < task.scorer.n_items(windows[task.latent])
        ]
        left = {task.latent for task in found}
        self._begun = [latent for latent in self._begun if latent in left]
        return found

    def has_answers(self, tasks: Iterable[Task]) -> bool:
        """Whether there is an answer to any of the tasks."""
        return any(self._counts.get(key_of(task)) for task in tasks)

    def begun_before(
        self, planned: Sequence[Task], stored: Iterable[Explained], latents: Collection[int]
    ) -> Iterator[Task]:
        """Tasks of `shuffled` that were begun, and are `planned` with another explanation by now.

        Which explanation is drawn changes as explanations are added. Failures can be mended only
        with the one that was drawn when they were asked about.
        """
        scorers = {task.scorer.name: task.scorer for task in planned if task.control == SHUFFLED}
        known, texts = set(map(key_of, planned)), {one.explanation_id: one for one in stored}
        for key in self._counts:
            scorer, drawn = scorers.get(key.scorer), texts.get(key.explanation_id)
            if key.control != SHUFFLED or key.latent not in latents or not (scorer and drawn):
                continue
            task = Task(key.latent, drawn, scorer, SHUFFLED)
            if key not in known and key_of(task) == key:
                yield task

    def wanted(self, pending: Sequence[Task], latents: Latents) -> list[Task]:
        """Of the tasks with work left those that `latents` picks by what is stored."""
        if latents.failed:
            return [task for task in pending if key_of(task) in self._counts]
        if latents.next is not None:
            untried = [task for task in pending if key_of(task) not in self._counts]
            first = set(sorted({task.latent for task in untried})[: latents.next])
            return [task for task in untried if task.latent in first]
        return list(pending)

    def of(self, task: Task) -> Items:
        """What is settled of a task."""
        key = key_of(task)
        if key not in self._counts:
            return {}
        if key.latent not in self._read:
            self._read_from(key.latent)
        return self._items.get(key, {})

    def _read_from(self, latent: int) -> None:
        """Read about this latent and the next ones that something has been asked about."""
        place = bisect_left(self._begun, latent)
        latents = self._begun[place : place + CHUNK] or [latent]
        rows = self._scoring.query(
            "predictions/settled_examples", latents=latents, open=list(failures.OPEN)
        )
        self._read, self._items = range(latent, latents[-1] + 1), {}
        for row in rows:
            settled = self._items.setdefault(_key(row), {})
            settled[row["example"], row["variant"]] = row["failed_request"]  # type: ignore[index, assignment]


def _key(row: dict[str, object]) -> TaskKey:
    return TaskKey(**{name: row[name] for name in TaskKey._fields})  # type: ignore[arg-type]


def missing(settled: Items, items: Sequence[Item], request: str | None) -> list[bool]:
    """Which of the items still need a row, when `request` would be asked about them now."""
    enough = (None, request)
    return [settled.get((item.example, item.variant), "") not in enough for item in items]
