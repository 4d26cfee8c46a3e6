"""A provider's batch endpoint, through LiteLLM.

In: the questions of a batch. Out: the provider's id; later the completions.

1. The questions are uploaded as one JSON object a line, in the form of OpenAI's batch interface,
   each under its hash; then the batch is created, with its name in the metadata.
2. A batch that has ended has a file of answers, a file of errors, or both, in any order. A question
   that is in neither was not dealt with in time and may be asked again, unless the batch says that
   it completed more questions than have answers: then each without a line may be one of those, and
   paid for (`failures.LOST`).
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Any

from delphi_assets.errors import ServerError, SettingError
from delphi_assets.ground.foreign_json import parse_json
from delphi_assets.ground.secrets import Endpoint, Scrubber
from delphi_assets.llm.batch.store import Pending
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.attempts import Attempts
from delphi_assets.llm.calls.completions import Completion, failed
from delphi_assets.llm.calls.counts import mended
from delphi_assets.llm.calls.litellm_calls import (
    address,
    import_litellm,
    messages,
    sampling,
    served,
)
from delphi_assets.llm.calls.litellm_replies import reply_of
from delphi_assets.llm.calls.replies import bounded
from delphi_assets.llm.calls.requests import Request
from delphi_assets.llm.calls.responses import read_reply
from delphi_assets.llm.calls.tokens import price
from delphi_assets.settings import LLMSettings

PROVIDERS = ("openai", "azure", "hosted_vllm", "litellm_proxy")
"""Providers whose batches LiteLLM takes in OpenAI's form, without a bucket to store them in."""
ENDED = ("completed", "failed", "expired", "cancelled")
NAME = "delphi_assets"
"""Key of the metadata that holds the name of a batch."""
PAGE = 100
MOST_REPLIES = 64
"""A file of answers may be as large as so many replies may be: they are mostly much smaller."""
LONGEST = 30 * 24 * 3600.0
"""Seconds that a batch may take; what says otherwise is no time."""


class BatchServer:
    """Raises `SettingError` for a provider without a batch endpoint."""

    def __init__(
        self,
        settings: LLMSettings,
        model: str,
        endpoint: Endpoint,
        attempts: Attempts,
        scrub: Scrubber,
    ) -> None:
        self._litellm, self._attempts, self._scrub = import_litellm(), attempts, scrub
        check_provider(model)
        self._name, provider = served(model)
        self._to = {
            "custom_llm_provider": provider,
            **address(provider, endpoint, settings.timeout),
        }
        self._provider, self._most = provider, settings.max_reply_bytes
        self._price = price(model, batch=True)

    async def submit(self, pending: Pending) -> str:
        """The id of a batch of these questions."""
        lines = "\n".join(json.dumps(self._line(one)) for one in pending.requests)
        uploaded = await self._call(
            f"upload|{pending.name}",
            lambda: self._send(
                "create_file", file=("questions.jsonl", lines.encode()), purpose="batch"
            ),
        )
        tried = False

        async def create() -> str:
            nonlocal tried
            # An attempt whose answer was lost may have created it.
            if tried and (found := await self._look_for(pending.name)) is not None:
                return found
            tried = True
            created = await self._send(
                "create_batch",
                completion_window="24h",
                endpoint="/v1/chat/completions",
                input_file_id=uploaded.id,
                metadata={NAME: pending.name},
            )
            return str(created.id)

        batch: str = await self._call(f"create|{pending.name}", create)
        return batch

    async def find(self, pending: Pending) -> str | None:
        """The id of the batch if it was submitted."""
        found: str | None = await self._call(
            f"find|{pending.name}", lambda: self._look_for(pending.name)
        )
        return found

    async def _look_for(self, name: str) -> str | None:
        after = None
        while True:
            page = await self._send("list_batches", after=after, limit=PAGE)
            for batch in page.data:
                if (batch.metadata or {}).get(NAME) == name:
                    return str(batch.id)
            if not getattr(page, "has_more", False) or not page.data:
                return None
            after = page.data[-1].id

    async def ended(self, batch: str) -> Any | None:
        """The batch, if it has ended; raises `GoneError` when the provider has none of this id."""
        found = await self._call(
            f"look|{batch}", lambda: self._send("retrieve_batch", batch_id=batch)
        )
        return found if found.status in ENDED else None

    async def completions(self, pending: Pending, ended: Any) -> list[Completion]:
        """A completion a question; raises `GoneError` when the provider has not kept them."""
        seconds = _seconds_since(ended.created_at)
        lines: dict[str, dict[str, Any]] = {}
        for file in (ended.error_file_id, ended.output_file_id):
            if file:
                read = await self._read(file, len(pending.requests))
                lines |= {line["custom_id"]: line for line in read if _names_its_question(line)}
        reason = self._reason(ended, len(pending.requests), lines.values())
        return [
            self._completion(one, lines.get(one.hash), seconds, reason) for one in pending.requests
        ]

    def _reason(self, ended: Any, asked: int, lines: Collection[dict[str, Any]]) -> tuple[str, str]:
        """Code and message for questions that the batch says nothing about."""
        errors = getattr(ended.errors, "data", None) or []
        told = "; ".join(str(error.message) for error in errors)
        without = f"batch {ended.id} has {ended.status} without an answer. {told}"
        code = failures.REJECTED if ended.status == "failed" else failures.TIMEOUT
        answered = sum(_status(line) == 200 for line in lines)
        completed = _completed(ended, asked, len(lines))
        if completed > answered:
            code = failures.LOST
            without = (
                f"batch {ended.id} completed {completed} questions, the provider says, and holds "
                f"{answered} answers: this one may be paid for. {told}"
            )
        return code, self._scrub(without)

    def _completion(
        self,
        request: Request,
        line: dict[str, Any] | None,
        seconds: float,
        reason: tuple[str, str],
    ) -> Completion:
        if line is None:
            return failed(request, *reason, seconds, 1)
        response = _response(line)
        if _status(line) == 200:
            return self._answered(request, response.get("body"), seconds)
        error = BatchedError(line, response)
        return failed(request, failures.diagnose(error).code, self._scrub(str(error)), seconds, 1)

    def _answered(self, request: Request, body: Any, seconds: float) -> Completion:
        try:
            answer = self._litellm.ModelResponse(**mended(body))
            reading = read_reply(reply_of(answer), self._scrub)
        # One that cannot be read must not keep back the others.
        except Exception as error:  # noqa: BLE001 - what LiteLLM's parts raise is in no document
            told = self._scrub(f"{type(error).__name__}: {error}")
            unread = failed(request, failures.UNREADABLE, told, seconds, 1)
            return unread.costing(self._price)
        return reading.row(request, seconds, 1).costing(self._price)

    def _line(self, request: Request) -> dict[str, Any]:
        asked = self._litellm.utils.get_optional_params(
            model=self._name, custom_llm_provider=self._provider, **sampling(request)
        )
        asked.pop("extra_body", None)
        asked.pop("stream", None)
        body = {"model": self._name, "messages": messages(request, self._provider), **asked}
        return {
            "custom_id": request.hash,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": body,
        }

    async def _read(self, file: str, questions: int) -> Sequence[dict[str, Any]]:
        """Raises `ServerError` for a file larger than so many questions may have answers."""
        replies = min(questions, MOST_REPLIES)
        content = await self._call(
            f"read|{file}", lambda: self._send("file_content", replies=replies, file_id=file)
        )
        return list(_objects(content.content))

    async def _send(self, function: str, replies: int = 1, **arguments: Any) -> Any:
        import openai

        # LiteLLM's asynchronous functions leave a client open for each call.
        send = getattr(self._litellm, function)
        try:
            with bounded(replies * self._most):
                return await asyncio.to_thread(send, **arguments, **self._to)
        except openai.NotFoundError as error:
            message = self._scrub(str(error))[:500]
        if function in {"retrieve_batch", "file_content"}:
            raise GoneError(f"{next(iter(arguments.values()))!r}: {message}")
        raise SettingError(
            f"there is no batch endpoint where llm.api_base or the provider of the model leads "
            f"({function}: {message}); mend the address, or set llm.batch = false."
        )

    async def _call(self, jitter: str, call: Callable[[], Awaitable[Any]]) -> Any:
        attempted = await self._attempts.make(call, random.Random(jitter))
        if attempted.failure is not None:
            raise ServerError(
                f"the batch endpoint failed with {attempted.failure.code}: "
                f"{attempted.failure.message[:500]} - what was submitted is stored; start again to "
                "continue."
            )
        return attempted.result


def check_provider(model: str) -> None:
    """Raises `SettingError` for a model of a provider without a batch endpoint."""
    if served(model).provider not in PROVIDERS:
        raise SettingError(
            f"llm.batch = true with model = {model!r}: expected a model of one of "
            f"{list(PROVIDERS)}, or llm.batch = false."
        )


class GoneError(ServerError):
    """The provider does not have a batch or a file; says which, and its words."""


class BatchedError(Exception):
    """A question of a batch that has no answer, with the status of its own response."""

    def __init__(self, line: dict[str, Any], response: dict[str, Any]) -> None:
        super().__init__(json.dumps(line.get("error") or response.get("body")))
        self.status_code = response.get("status_code")


def _response(line: dict[str, Any]) -> dict[str, Any]:
    response = line.get("response")
    return response if isinstance(response, dict) else {}


def _status(line: dict[str, Any]) -> object:
    return _response(line).get("status_code")


def _names_its_question(line: object) -> bool:
    return isinstance(line, dict) and isinstance(line.get("custom_id"), str)


def _seconds_since(created_at: object) -> float:
    """Seconds since a time that a provider gave; 0 where it cannot be one."""
    if isinstance(created_at, bool) or not isinstance(created_at, int | float):
        return 0.0
    now = time.time()
    # NaN compares as false.
    return now - created_at if now - LONGEST <= created_at <= now else 0.0


def _completed(ended: Any, asked: int, lines: int) -> int:
    """Questions that the batch completed, by its own count if it has one."""
    counts = getattr(ended, "request_counts", None)
    if counts is not None and counts.total:
        return int(counts.completed)
    return asked if ended.status == "completed" and lines < asked else 0


def _objects(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.splitlines():
        if line.strip():
            try:
                yield parse_json(line.decode(errors="replace"))
            except json.JSONDecodeError:
                # The file may have been cut on its way: the next run reads it again.
                raise
            except ValueError:
                # Nested too deep, or a number too long: such a line must not keep back the others.
                continue
