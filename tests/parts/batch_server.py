"""A batch endpoint on 127.0.0.1 in OpenAI's form: /v1/files and /v1/batches.

`BatchServer(answer)`: each line of a batch is answered by `answer(asked)`, as by a `FaultServer`. A
batch ends when it has been looked at `looks` times. Faults of the endpoint itself are planted by
`refuse(method, path)`, called before each request: a status other than 200, or 0 to drop the
connection after the work was done.
"""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.parts.fault_server import Asked, Reply, body_of

Answer = Callable[[Asked], Reply | None]


@dataclass
class Batch:
    """A batch as the server knows it."""

    id: str
    file: str
    metadata: dict[str, str]
    looks: int = 0
    counts: dict[str, int] | None = None
    files: dict[str, str] = field(default_factory=dict)


class BatchServer:
    """Runs in threads while the `with` block is open.

    `answer` gives None for a question that is not dealt with, and a reply with `drop` for one that
    is paid for, but whose line is lost.
    """

    def __init__(
        self,
        answer: Answer,
        looks: int = 2,
        ends: str = "completed",
        refuse: Callable[[str, str], int] = lambda method, path: 200,
    ) -> None:
        self.answer, self.looks, self.ends, self.refuse = answer, looks, ends, refuse
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Batch] = {}
        self.headers: list[dict[str, str]] = []
        self.seen: list[tuple[str, str]] = []
        """Method and path of every request."""
        self.counting = True
        """Whether a batch that has ended says how many questions it completed."""
        self.hanging = False
        """Whether batches do not end, however often they are looked at."""
        self.answered: Counter[str] = Counter()
        """How often each question was answered, by its hash."""
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

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

    def get(self, path: str, query: dict[str, list[str]]) -> bytes:
        """What a GET gives."""
        parts = path.strip("/").split("/")
        if parts[1] == "files":
            return self.files[parts[2]]
        if len(parts) == 2:
            return self._page(query)
        batch = self.batches[parts[2]]
        with self._lock:
            batch.looks += 1
            if batch.looks == self.looks and not self.hanging:
                self._work(batch)
        return json.dumps(self._shown(batch)).encode()

    def post(self, path: str, content: bytes) -> bytes:
        """What a POST gives."""
        with self._lock:
            number = next(self._numbers)
            if path.endswith("/files"):
                name = f"file-{number}"
                self.files[name] = next(
                    part.split(b"\r\n\r\n", 1)[1].rstrip(b"\r\n")
                    for part in content.split(content.split(b"\r\n", 1)[0])
                    if b"filename=" in part
                )
                return json.dumps(_file(name, len(self.files[name]))).encode()
            asked = json.loads(content)
            assert asked["endpoint"] == "/v1/chat/completions"
            assert asked["completion_window"] == "24h"
            batch = Batch(f"batch-{number}", asked["input_file_id"], asked["metadata"])
            self.batches[batch.id] = batch
            return json.dumps(self._shown(batch)).encode()

    def _page(self, query: dict[str, list[str]]) -> bytes:
        """The newest first, two a page whatever is asked for."""
        ids = list(self.batches)[::-1]
        start = ids.index(query["after"][0]) + 1 if "after" in query else 0
        page = [self._shown(self.batches[one]) for one in ids[start : start + 2]]
        more = start + 2 < len(ids)
        return json.dumps({"object": "list", "data": page, "has_more": more}).encode()

    def _shown(self, batch: Batch) -> dict[str, Any]:
        ended = batch.looks >= self.looks and not self.hanging
        failed = ended and self.ends == "failed"
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "created_at": int(time.time()) - 5,
            "input_file_id": batch.file,
            "metadata": batch.metadata,
            "status": self.ends if ended else "in_progress",
            "request_counts": batch.counts if self.counting else None,
            "errors": {"object": "list", "data": [{"message": "planted"}]} if failed else None,
            **batch.files,
        }

    def _work(self, batch: Batch) -> None:
        if self.ends == "failed":
            return
        good: list[str] = []
        bad: list[str] = []
        lines = self.files[batch.file].splitlines()
        batch.counts = {"total": len(lines), "completed": 0, "failed": 0}
        for number, line in enumerate(lines):
            asked = json.loads(line)
            reply = self.answer(Asked(asked["body"], {}, number, 0))
            if reply is None:
                continue
            self.answered[asked["custom_id"]] += reply.status == 200
            batch.counts["completed" if reply.status == 200 else "failed"] += 1
            if reply.drop:
                continue
            response = {"status_code": reply.status, "body": body_of(reply, asked["body"])}
            written = {"custom_id": asked["custom_id"], "response": response, "error": None}
            (good if reply.status == 200 else bad).insert(0, json.dumps(written))
        for kind, answered in (("output_file_id", good), ("error_file_id", bad)):
            if answered:
                name = f"{kind}-{batch.id}"
                self.files[name] = "\n".join(answered).encode()
                batch.files[kind] = name


def _file(name: str, size: int) -> dict[str, Any]:
    return {
        "id": name,
        "object": "file",
        "bytes": size,
        "created_at": 0,
        "filename": "questions.jsonl",
        "purpose": "batch",
        "status": "processed",
    }


def _handler(owner: BatchServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            self._reply("GET", lambda: owner.get(address.path, parse_qs(address.query)))

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self._reply("POST", lambda: owner.post(self.path, content))

        def _reply(self, method: str, work: Callable[[], bytes]) -> None:
            owner.headers.append({k.lower(): v for k, v in self.headers.items()})
            path = urlsplit(self.path).path
            owner.seen.append((method, path))
            status = owner.refuse(method, path)
            data = b'{"error": {"message": "planted failure"}}'
            if status in (0, 200):
                data = work()
            if status == 0:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
