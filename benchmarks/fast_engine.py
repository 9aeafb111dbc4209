"""An OpenAI-compatible engine that costs next to nothing: each answer comes after a fixed time, whatever is asked.

It speaks as much HTTP/1.1 as SPLAI's own client sends, straight on the event loop's transport, so that what is measured
beside it is the client. ``python -m benchmarks.fast_engine --delay 0.001`` prints its URL.
"""

import argparse
import asyncio
import json
import re
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER = {
    "id": "chatcmpl-0123456789abcdef0123456789abcdef",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "fast",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "The ticket is about billing; it can wait until tomorrow."},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 42,
        "completion_tokens": 12,
        "total_tokens": 54,
        "prompt_tokens_details": {"cached_tokens": 16},
    },
}


def _reply(body: object) -> bytes:
    content = json.dumps(body, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(content),
        content,
    )


CHAT = _reply(_ANSWER)
MODELS = _reply({"object": "list", "data": [{"id": "fast", "object": "model"}]})


class Connection(asyncio.Protocol):
    """One client; it waits for an answer before it sends the next request."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._missing = 0  # bytes of the body that are still to come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._buffer += data
            head, end, body = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            length = _LENGTH.search(head)
            self._missing = (int(length[1]) if length else 0) - len(body)
            self._answer = MODELS if head.startswith(b"GET") else CHAT
            self._buffer = b""
        if self._missing <= 0:
            self._missing = 0
            self._loop.call_later(self._delay, self._transport.write, self._answer)


async def serve(delay: float, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(delay), "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.001, help="seconds until an answer")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.delay, arguments.port))


if __name__ == "__main__":
    main()
