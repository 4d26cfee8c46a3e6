"""What a server sends is read within bounds, and mended, before a library makes objects of it.

In: the replies to all requests that are sent in a `bounded` block, whatever provider LiteLLM sends
them to: it sends through HTTPX. Out: the same replies, read whole, or a `ReplyError`.

1. The request asks for gzip or no compression. A reply that is compressed in another way, or larger
   than the block allows, as sent or unpacked, is read no further: a few hundred kilobytes can
   unpack to gigabytes.
2. Counts of tokens that are none (negative, a fraction, no number, more than any model reads) are
   taken out of the reply's `usage`. LiteLLM would refuse the whole answer, which is paid for, or
   pass them on; where there is no count, one is estimated (`llm.calls.responses`).
"""

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.counts import mended
from delphi_assets.llm.calls.failures import ReplyError

if TYPE_CHECKING:
    import httpx

_MOST: ContextVar[int | None] = ContextVar("most bytes of a reply", default=None)


@contextmanager
def bounded(most: int) -> Iterator[None]:
    """Replies to what is sent in this block are read up to `most` bytes, sent and unpacked."""
    token = _MOST.set(most)
    try:
        yield
    finally:
        _MOST.reset(token)


def install() -> None:
    """Make HTTPX's clients read replies so; outside of `bounded` blocks they are as they were."""
    import httpx

    if getattr(httpx.AsyncClient.send, "bounds", False):
        return
    httpx.AsyncClient.send = _sending(httpx.AsyncClient.send, _read)  # type: ignore[method-assign]
    httpx.Client.send = _sending(httpx.Client.send, _read_now)  # type: ignore[method-assign]


def _sending(send: Any, hook: "Callable[[httpx.Response], Any]") -> Any:
    """`send`, with `hook` called for each response, those that redirect too, before it is read."""

    def bounding(
        client: "httpx.Client | httpx.AsyncClient", request: "httpx.Request", **given: Any
    ) -> Any:
        if _MOST.get() is not None:
            request.headers["Accept-Encoding"] = "gzip"
            hooks = client.event_hooks
            if hook not in hooks["response"]:
                client.event_hooks = {**hooks, "response": [hook, *hooks["response"]]}
        return send(client, request, **given)

    bounding.bounds = True  # type: ignore[attr-defined]
    return bounding


async def _read(response: "httpx.Response") -> None:
    if (most := _MOST.get()) is None:
        return
    stream = cast("httpx.AsyncByteStream", response.stream)
    try:
        content = _Content(response, most)
        async for chunk in stream:
            content.add(chunk)
        content.put(response)
    except ReplyError as error:
        _refuse(response, error)
    finally:
        await stream.aclose()


def _read_now(response: "httpx.Response") -> None:
    if (most := _MOST.get()) is None:
        return
    stream = cast("httpx.SyncByteStream", response.stream)
    try:
        content = _Content(response, most)
        for chunk in stream:
            content.add(chunk)
        content.put(response)
    except ReplyError as error:
        _refuse(response, error)
    finally:
        stream.close()


def _refuse(response: "httpx.Response", error: ReplyError) -> None:
    """Raise the error, unless it is of an error page: that is not paid for, its status says all."""
    import httpx

    if not response.is_error:
        raise error
    response.headers.pop("Content-Encoding", None)
    response.stream = httpx.ByteStream(b"")


class _Content:
    """What a response holds, unpacked as it comes."""

    def __init__(self, response: "httpx.Response", most: int) -> None:
        self._most, self._came, self._size = most, 0, 0
        self._parts: list[bytes] = []
        self._packed = zlib.decompressobj(wbits=47) if _is_packed(response) else None

    def add(self, chunk: bytes) -> None:
        """Raises `ReplyError` when it gets too large, without having it all in memory."""
        self._came += len(chunk)
        if self._packed is not None:
            try:
                # One more than there may be, so that being too much is seen.
                chunk = self._packed.decompress(chunk, self._most + 1 - self._size)
            except zlib.error as error:
                import httpx

                raise httpx.DecodingError(f"the compressed reply is damaged: {error}") from None
        self._size += len(chunk)
        if max(self._came, self._size) > self._most:
            raise ReplyError(
                failures.TOO_LARGE,
                f"the reply has more than {self._most} bytes; raise llm.max_reply_mib if it may",
            )
        self._parts.append(chunk)

    def put(self, response: "httpx.Response") -> None:
        """Let the response hold it, mended, as if it had come so."""
        import httpx

        if self._packed is not None and self._came and not self._packed.eof:
            raise httpx.DecodingError("the compressed reply was cut")
        response.headers.pop("Content-Encoding", None)
        content = b"".join(self._parts)
        response.stream = httpx.ByteStream(
            _mended_json(content) if response.is_success else content
        )


def _is_packed(response: "httpx.Response") -> bool:
    encoding: str = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise ReplyError(
            failures.UNREADABLE,
            f"the reply is compressed as {encoding[:50]!r}, though asked for as gzip or not at all",
        )
    return encoding != "identity"


def _mended_json(content: bytes) -> bytes:
    """JSON with its `usage` mended, in whole characters; whatever else as it is."""
    text = content.decode(errors="replace")
    try:
        body = json.loads(text)
    except json.JSONDecodeError:
        return content
    except (ValueError, RecursionError) as error:
        raise ReplyError(failures.UNREADABLE, f"the reply cannot be read: {error}") from None
    better = mended(body)
    return text.encode() if better == body else json.dumps(better).encode()
