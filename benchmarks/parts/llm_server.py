"""A chat-completions server that answers every request alike, after a fixed time.

    python -m benchmarks.parts.llm_server SECONDS

Prints its port. A process of its own, so that it takes no time from the client it measures; it
reads no more of a request than where it ends, so that it is not what limits the client.
"""

import asyncio
import json
import sys

ANSWER = json.dumps(
    {
        "id": "same",
        "object": "chat.completion",
        "created": 0,
        "model": "same",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": '{"answers": [1, 0, 1, 0, 1]}'},
            }
        ],
        "usage": {"prompt_tokens": 1700, "completion_tokens": 12, "total_tokens": 1712},
    }
).encode()
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(ANSWER),
    ANSWER,
)


class Connection(asyncio.Protocol):
    """One connection; a request on it is sent when the one before it is answered."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._received = seconds, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what the replies are written to."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer later, once the whole request is here."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) >= int(length):
            self._received.clear()
            asyncio.get_running_loop().call_later(self._seconds, self._transport.write, REPLY)


async def serve(seconds: float) -> None:
    """Answer until the process is ended."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(seconds), "127.0.0.1", 0, backlog=512
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
