"""A chat-completions server on 127.0.0.1 that answers, and fails, as a test tells it to.

`FaultServer(answer)`: `answer(asked)` is called once a request, in a thread, with the request's
body and headers, and returns a `Reply`. The server counts what it was sent.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 2,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
}


@dataclass
class Asked:
    """One request as the server saw it."""

    body: dict[str, Any]
    headers: dict[str, str]
    number: int
    """How many requests came before it."""
    times_before: int
    """How often the same prompt came before."""

    @property
    def prompt(self) -> str:
        """The last message."""
        return str(self.body["messages"][-1]["content"])


@dataclass
class Reply:
    """What the server does with one request."""

    text: str | None = "ok"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    refusal: str | None = None
    logprobs: list[tuple[str, dict[str, float]]] | None = None
    delay: float = 0.0
    drop: bool = False
    cut: bool = False
    usage: object = None
    """In place of the usual one."""
    raw: bytes | None = None
    """The body, in place of JSON."""
    error: str = "planted failure"
    error_type: str = "planted"


class FaultServer:
    """Runs in threads while the `with` block is open."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.asked: list[Asked] = []
        self.most_open = 0
        self._times: Counter[str] = Counter()
        self._open = 0
        self._lock = threading.Lock()
        self._answer = answer
        self._server = _Server(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        """Base URL for `api_base`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, there: Callable[[], object], seconds: float = 300.0) -> None:
        """Wait until something is so, as long as processes may take to start on a busy machine."""
        end = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < end, f"still not so after {len(self.asked)} requests"
            time.sleep(0.02)

    def take(self, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        """Count a request and decide on its reply."""
        with self._lock:
            prompt = json.dumps(body["messages"])
            asked = Asked(body, headers, len(self.asked), self._times[prompt])
            self._times[prompt] += 1
            self.asked.append(asked)
            self._open += 1
            self.most_open = max(self.most_open, self._open)
        return self._answer(asked)

    def finished(self) -> None:
        """A request has been dealt with."""
        with self._lock:
            self._open -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of the tests."""


def _handler(owner: FaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = owner.take(body, dict(self.headers.items()))
            try:
                time.sleep(reply.delay)
            finally:
                owner.finished()
            if reply.drop:
                self.close_connection = True
                self.connection.close()
                return
            data = reply.raw or json.dumps(body_of(reply, body)).encode()
            if reply.cut:
                data = data[: len(data) // 2]
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


def body_of(reply: Reply, asked: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a reply."""
    if reply.status != 200:
        return {"error": {"message": reply.error, "type": reply.error_type, "code": reply.status}}
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": reply.finish_reason,
        "message": {"role": "assistant", "content": reply.text, "refusal": reply.refusal},
    }
    if reply.logprobs is not None:
        choice["logprobs"] = {
            "content": [
                {
                    "token": token,
                    "logprob": top[token],
                    "bytes": None,
                    "top_logprobs": [
                        {"token": other, "logprob": value, "bytes": None}
                        for other, value in top.items()
                    ],
                }
                for token, top in reply.logprobs
            ]
        }
    return {
        "id": "planted",
        "object": "chat.completion",
        "created": 0,
        "model": asked["model"],
        "choices": [choice],
        "usage": USAGE if reply.usage is None else reply.usage,
    }
