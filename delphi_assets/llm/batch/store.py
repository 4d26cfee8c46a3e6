"""Batches on their way, in the lake, so that a run that is killed neither loses nor repeats one.

    batches/run=<run>/<name>.json            the questions, written before they are submitted
    batches/run=<run>/<name>.submitted.json  the provider's id of the batch, once it is known

Both are removed when every answer is in the table completions. Questions without an id may have
been submitted or not: `name` is in the batch's metadata, so that the provider can be asked. While a
process submits, it holds a lock, so that another one that finds the questions waits for it; a lake
at a URL has no locks, so only one process at a time should work on a run there.
"""

import json
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import NamedTuple

from delphi_assets.lake.lake import Lake
from delphi_assets.lake.locks import alone
from delphi_assets.lake.manifests import folder_of
from delphi_assets.llm.calls.requests import Message, Request


class Pending(NamedTuple):
    """A batch whose answers are not stored yet."""

    name: str
    requests: tuple[Request, ...]
    batch: str | None
    """The provider's id; None when it is not known whether the batch was submitted."""


class BatchStore:
    """Batches of one run and model; `owner` is who asks, and follows no batch of another."""

    def __init__(self, lake: Lake, run: str, model: str, owner: str | None = None) -> None:
        self._lake, self._model, self._owner = lake, model, owner
        self._folder = folder_of("batches", {"run": run})

    def read(self, of_others: bool = False) -> list[Pending]:
        """Batches of this owner and model that are on their way, by name.

        `of_others`: all of the run.
        """
        found = []
        for name in sorted(self._lake.names(self._folder)):
            if not name.endswith(".json") or name.endswith(".submitted.json"):
                continue
            stored = self._lake.read_json(f"{self._folder}/{name}")
            if stored is None:
                continue
            own = stored["model"] == self._model and self._is_own(stored.get("owner"))
            if of_others or own:
                requests = tuple(_request(one) for one in stored["requests"])
                found.append(self.with_id(Pending(name.removesuffix(".json"), requests, None)))
        return found

    def _is_own(self, owner: str | None) -> bool:
        """A batch without an owner is everybody's, and who is nobody owns them all."""
        return owner is None or self._owner is None or owner == self._owner

    def with_id(self, pending: Pending) -> Pending:
        """The same with the provider's id, if it is stored by now."""
        stored = self._lake.read_json(self._id_path(pending.name))
        return pending if stored is None else pending._replace(batch=str(stored["batch"]))

    def submitting(self, pending: Pending) -> AbstractContextManager[bool]:
        """Whether nobody else submits the batch; nobody does while the block is open."""
        return alone(self._lake, self._lock_path(pending.name))

    def draft(self, requests: Sequence[Request]) -> Pending:
        """A batch of these questions, with a name of its own, not stored yet."""
        return Pending(uuid.uuid4().hex, tuple(requests), None)

    def write(self, pending: Pending) -> None:
        """Store questions that are about to be submitted."""
        requests = [asdict(request) for request in pending.requests]
        stored = {"model": self._model, "owner": self._owner, "requests": requests}
        self._lake.write_text(self._path(pending.name), json.dumps(stored, ensure_ascii=False))

    def submitted(self, pending: Pending, batch: str) -> Pending:
        """Store the provider's id."""
        self._lake.write_text(self._id_path(pending.name), json.dumps({"batch": batch}))
        return pending._replace(batch=batch)

    def remove(self, pending: Pending) -> None:
        """Forget a batch whose answers are stored."""
        self._lake.discard(self._path(pending.name))
        self._lake.discard(self._id_path(pending.name))
        self._lake.discard(self._lock_path(pending.name))

    def location(self, pending: Pending) -> str:
        """Where the questions are; without that file, the batch is forgotten."""
        return self._lake.location(self._path(pending.name))

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}.json"

    def _id_path(self, name: str) -> str:
        return f"{self._folder}/{name}.submitted.json"

    def _lock_path(self, name: str) -> str:
        return f"{self._folder}/{name}.lock"


def _request(stored: dict[str, object]) -> Request:
    messages = stored.pop("messages")
    assert isinstance(messages, list)
    turns = tuple(Message(*turn) for turn in messages)
    return Request(messages=turns, **stored)  # type: ignore[arg-type]
