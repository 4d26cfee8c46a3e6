"""Keep keys and passwords out of tables, logs and errors.

In: any text that came from outside (an error of a server, an answer, a log line, a URL).
Out: the same text, fit to be stored (`foreign_text`), with every secret replaced by `[secret]`:

1. values of environment variables named ...KEY, ...TOKEN, ...SECRET or ...PASSWORD, also where
   they appear escaped for a URL or for JSON, or in base64 after a user name;
2. what looks like one: `Authorization` headers, `Bearer ...`, `sk-...`, `?api_key=...`;
3. user and password in a URL.

An answer is a result, and `basic arithmetic` no header: of these three only the first is taken out
of it, and of that only what cannot be a word or a number, as `postgres` or `123456` could.
"""

import base64
import json
import logging
import os
import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from delphi_assets.ground.foreign_text import clean_text

MASK = "[secret]"

_VARIABLE = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_SHORTEST = 6
_LIKE_A_WORD = re.compile(r"[A-Za-z]{1,15}|[0-9]{1,15}|\W*")
"""Values that an answer may hold by chance."""

_PATTERNS = (
    (re.compile(r"(\w://)[^\s/'\"]*@"), rf"\1{MASK}@"),
    (
        re.compile(
            r"((?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?)(?:(?:bearer|basic)\s+)?[^\s'\",}]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\bsk-[A-Za-z0-9_*.-]{4,}"), MASK),
    (
        re.compile(r"([?&](?:api[-_]?key|key|token|secret|password)=)[^&\s'\"]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
)


class Endpoint(NamedTuple):
    """A base URL without credentials, and what stood in for them."""

    url: str | None
    authorization: str | None
    """Value of an Authorization header for the user and password of the URL."""
    secrets: tuple[str, ...]
    key: str | None = None
    """Of a server that this library started; else it is in the environment, or there is none."""


def endpoint(api_base: str | None) -> Endpoint:
    """`api_base` with user:password@ taken out, so that no library can print them."""
    if api_base is None:
        return Endpoint(None, None, ())
    parts = urlsplit(api_base)
    if "@" not in parts.netloc:
        return Endpoint(api_base, None, ())
    given, host = parts.netloc.rsplit("@", 1)
    user, _, password = given.partition(":")
    token = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    secrets = (given, unquote(given), token, *filter(None, (password, unquote(password))))
    return Endpoint(urlunsplit(parts._replace(netloc=host)), f"Basic {token}", secrets)


class Scrubber:
    """Replaces secrets in texts; knows the environment and what it was told besides."""

    def __init__(self, also: tuple[str, ...] = ()) -> None:
        self._also = also

    def __call__(self, text: str) -> str:
        """`text` without secrets, and without what looks like one."""
        text = clean_text(text)
        for secret in self._known():
            text = text.replace(secret, MASK)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def answer(self, text: str) -> str:
        """What a model said, without the secrets that are known."""
        text = clean_text(text)
        for secret in self._known():
            if not _LIKE_A_WORD.fullmatch(secret):
                text = text.replace(secret, MASK)
        return text

    def _known(self) -> list[str]:
        """Secrets in every spelling, longest first so that none leaves a rest of another."""
        values = [
            value
            for name, value in os.environ.items()
            if _VARIABLE.search(name) and len(value) >= _SHORTEST
        ]
        spelled = {
            spelling
            for value in (*values, *self._also)
            for spelling in (
                value,
                quote(value, safe=""),
                json.dumps(value)[1:-1],
                json.dumps(value, ensure_ascii=False)[1:-1],
                repr(value)[1:-1],
            )
        }
        return sorted(spelled, key=len, reverse=True)


class ScrubbedLogs:
    """While open, what the HTTP and LLM libraries log is scrubbed, and their debug output is off.

    Their debug lines hold whole headers and prompts, in forms that no pattern can promise to find.
    """

    NAMES = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "httpcore", "openai", "aiohttp")

    def __init__(self, scrub: Scrubber) -> None:
        self._scrub = scrub
        self._levels: dict[str, int] = {}

    def __enter__(self) -> "ScrubbedLogs":
        for name in self.NAMES:
            logger = logging.getLogger(name)
            self._levels[name] = logger.level
            logger.setLevel(max(logger.level, logging.WARNING))
            logger.addFilter(self.filter)
        return self

    def __exit__(self, *exception: object) -> None:
        for name, level in self._levels.items():
            logger = logging.getLogger(name)
            logger.removeFilter(self.filter)
            logger.setLevel(level)

    def filter(self, record: logging.LogRecord) -> bool:
        """Scrub the record in place, its traceback too."""
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
        record.msg, record.args = self._scrub(text), None
        record.exc_info = record.exc_text = None
        return True
