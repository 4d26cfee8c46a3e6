"""Why an LLM gave no usable result: a short code for tables, and what may be tried again.

A code is the same word in `completions.error` (before the colon), `explanations.failure` and
`predictions.failure`, so failures can be counted by reason.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from delphi_assets.errors import SettingError
from delphi_assets.lake.growing_tables import UNSTORABLE

TIMEOUT, CONNECTION, RATE_LIMIT, SERVER = "timeout", "connection", "rate_limit", "server_error"
REJECTED, CONTENT_FILTER, REFUSAL = "rejected", "content_filter", "refusal"
EMPTY, TRUNCATED, UNPARSEABLE, WRONG_COUNT = "empty", "truncated", "unparseable", "wrong_count"
NO_TEXT = "no_text"
"""An explainer that asks nobody has no text for the latent."""
NO_LOGPROBS, NO_CHOICE = "no_logprobs", "no_choice"
"""The first token was to be the answer: the server told no log-probabilities, or neither of the two
answers is among the likeliest tokens."""
MISALIGNED, CONTRADICTORY = "misaligned", "contradictory"
LOST, LOST_AGAIN = "lost", "lost_again"
"""A batch completed the question, the provider says, but gives no answer: it may be paid for."""
TOO_LARGE, UNREADABLE = "too_large", "unreadable"
"""A reply came, and is paid for, but is larger than `llm.max_reply_mib` or makes no sense."""
PAID = (TOO_LARGE, UNREADABLE, UNSTORABLE)
"""Failures after an answer came: the question is not asked again, as one with an answer is not."""

RETRYABLE = (TIMEOUT, CONNECTION, RATE_LIMIT, SERVER)
"""Failures of the way to the model: asked again, within a run and by the next one."""
OPEN = (*RETRYABLE, REJECTED, LOST)
"""Failures that the next run asks about again. A rejected request cost nothing, and the reason may
be how the server was started. A lost answer is asked for once more; lost again, it is not any more.
The others are what the model says to this request, and final."""

REPAIRABLE = (UNPARSEABLE, WRONG_COUNT, MISALIGNED, CONTRADICTORY, TRUNCATED, EMPTY)
"""Answers that a model may give better when it is told what was wrong."""


_MODERATED = re.compile(r"moderat|flagged|content[ _-]?policy", re.IGNORECASE)
_NO_MONEY = re.compile(r"insufficient_quota|credit balance is too low", re.IGNORECASE)
"""OpenAI says so with 429, Anthropic with 400. Others speak of a quota that the next minute
restores, so that word alone says nothing."""
_REFUSALS = re.compile(
    r"^\W*(i['’]?m sorry|i am sorry|sorry[,.]|i (can['’]?t|cannot|can not|won['’]?t)\b"
    r"|i['’]?m (unable|not able)|i am (unable|not able)|as an ai\b)",
    re.IGNORECASE,
)


_SENSELESS = re.compile(r"Invalid response object|maximum recursion depth exceeded")
"""What LiteLLM says of a whole reply that it cannot make an answer of."""


def is_refusal(answer: str) -> bool:
    """Whether an answer that holds no result begins like a refusal."""
    return _REFUSALS.match(answer) is not None


class Diagnosis(NamedTuple):
    """What an exception of a call means."""

    code: str
    retryable: bool
    fatal: bool
    """Every other call would fail in the same way: stop the stage."""
    retry_after: float | None
    """Seconds that the server asked to wait."""
    unreachable: str | None = None
    """Where no connection could be made and why, perhaps with secrets; None when there was one."""


class ReplyError(Exception):
    """A reply that came and is not used, with its code; asking again would be paying again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DiagnosedError(Exception):
    """An error that was diagnosed where it came up; `told` is its text."""

    def __init__(self, told: str, diagnosis: Diagnosis) -> None:
        super().__init__(told, diagnosis)
        self.told, self.diagnosis = told, diagnosis


_OF_CALLS = (*RETRYABLE, REJECTED, CONTENT_FILTER, TOO_LARGE, UNREADABLE)


class CallError(DiagnosedError):
    """A call that failed, as a transport says: raise it where the reason is known.

    `code` is one of this module, such as RATE_LIMIT; `retry_after` the seconds that the server
    asked to wait; `fatal` that every other call would fail in the same way; `unreachable` where no
    connection could be made and why. Raises `SettingError` for another code.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        fatal: bool = False,
        unreachable: str | None = None,
    ) -> None:
        if code not in _OF_CALLS:
            raise SettingError(
                f"a call failed with the code {code!r}; expected one of {list(_OF_CALLS)}."
            )
        diagnosis = Diagnosis(code, code in RETRYABLE, fatal, retry_after, unreachable)
        super().__init__(message, diagnosis)


def told(error: BaseException) -> str:
    """Name and text of an error, perhaps with secrets."""
    if isinstance(error, DiagnosedError):
        return error.told
    error = _reply_error(error) or error
    return f"{type(error).__name__}: {error}"


def diagnose(error: BaseException) -> Diagnosis:
    """What an exception raised by LiteLLM, the HTTP client or the event loop means."""
    if isinstance(error, DiagnosedError):
        return error.diagnosis
    if (reply := _reply_error(error)) is not None:
        return Diagnosis(reply.code, retryable=False, fatal=False, retry_after=None)
    status = _status(error)
    code = UNREADABLE if _SENSELESS.search(str(error)) else _code(error, status)
    unknown_model = status == 404 and type(error).__name__ == "NotFoundError"
    told = f"{error} {getattr(error, 'body', None)}"
    no_money = status in (400, 429) and _NO_MONEY.search(told) is not None
    refused = status in (401, 402, 403) or unknown_model or no_money or _cannot_call(error)
    fatal = code != CONTENT_FILTER and refused
    return Diagnosis(code, code in RETRYABLE, fatal, _retry_after(error), _unreachable(error))


def _reply_error(error: BaseException) -> ReplyError | None:
    """The `ReplyError` that libraries have wrapped in errors of their own, if it was one."""
    return next((cause for cause in _causes(error) if isinstance(cause, ReplyError)), None)


def _code(error: BaseException, status: int | None) -> str:
    named = type(error).__name__
    if "ContentPolicy" in named:
        return CONTENT_FILTER
    # Some providers answer 403 to a prompt that they will not show their model.
    if status in (400, 403) and _MODERATED.search(str(error)):
        return CONTENT_FILTER
    if isinstance(error, TimeoutError) or status == 408 or "Timeout" in named:
        return TIMEOUT
    if status == 429:
        return RATE_LIMIT
    # LiteLLM turns a lost connection into its InternalServerError.
    if "Connection" in named or "Connection error" in str(error) or _on_the_way(error):
        return CONNECTION
    return SERVER if status is None or status >= 500 else REJECTED


def _on_the_way(error: BaseException) -> bool:
    """Whether the connection failed, not the server; LiteLLM lets some such errors through."""
    import aiohttp
    import httpx

    return isinstance(error, OSError | httpx.TransportError | aiohttp.ClientConnectionError)


def _cannot_call(error: BaseException) -> bool:
    """Whether LiteLLM has no way to call the model's provider, or lacks a package for it."""
    if type(error).__name__ == "LiteLLMUnknownProvider":
        return True
    # Others may have been dealt with before the error came, and are among its causes all the same.
    lacking = [str(cause) for cause in _causes(error) if isinstance(cause, ImportError)]
    return any(told and told in str(error) for told in lacking)


def _unreachable(error: BaseException) -> str | None:
    """Where no connection could be made, and why: refused, no such name, no common TLS."""
    import aiohttp
    import httpx

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, aiohttp.ClientConnectorError):
            return f"{cause.host}:{cause.port}: {cause.os_error}"
    for cause in causes:
        if isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout):
            return str(causes[-1])
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that led to it."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    try:
        return int(getattr(error, "status_code", None))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _retry_after(error: BaseException) -> float | None:
    """Seconds in the Retry-After header, where the server sent one."""
    response = getattr(error, "response", None)
    for headers in (
        getattr(response, "headers", None),
        getattr(error, "litellm_response_headers", None),
        getattr(error, "headers", None),
    ):
        value = headers.get("retry-after") if headers is not None else None
        if value is not None and (seconds := seconds_until(str(value))) is not None:
            return seconds
    return None


def seconds_until(retry_after: str) -> float | None:
    """Seconds that a Retry-After header means, a number or a date (RFC 9110, 10.2.3).

    None for anything else.
    """
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    # A date without a zone is in UTC.
    aware = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
