"""A chat-completions server that answers every request alike, after a fixed time.

    python -m benchmarks.llm_server SECONDS

Prints its port. A process of its own, so that it takes no time from the client it measures.
"""

import asyncio
import json
import sys
from contextlib import suppress

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
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"


async def serve(seconds: float) -> None:
    """Answer until the process is ended."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
                await asyncio.sleep(seconds)
                writer.write(HEAD.encode() + ANSWER)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
