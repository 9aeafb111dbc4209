"""Callers that hold on to a gateway: each does so until it is closed, and comes back.

The process prints a line once all of them had time to come, and, after SIGTERM, what became of them, as JSON.
"""

import argparse
import asyncio
import json
import random
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.abused_gateway import FLOODING, LIMITS

LATE_SECONDS = 3.0
"""Beyond its deadline: the gateway looks at the clock once a second, and this process may be late itself."""
DRIP_SECONDS = 0.5
PAUSE_SECONDS = 1.0
"""At most, from being closed to coming back."""
PIECE_SECONDS = 1 / 32
PIECE_EVENTS = 4
EVENT_BYTES = 16 * 1024
"""Two megabytes a second go into a stream that nobody reads, much more than a model says: buffers must get full."""
FILL_SECONDS = 5.0
"""Until the buffers of both kernels and of the gateway, some seven megabytes, are."""
CHANCE = random.Random(1)  # noqa: S311 - repeatable on purpose

_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: abuse\r\n"
_TCP_CLOSED = 7  # in the first byte of struct tcp_info, see linux/tcp.h and net/tcp_states.h


class Connection:
    """A socket of an abuser; what it sends is not waited for."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)

    async def drip(self) -> None:
        """Send bytes one by one for ever."""
        while True:
            await self.send(b"x")
            await asyncio.sleep(DRIP_SECONDS)

    async def until_closed(self) -> None:
        """Read until the other side closes."""
        while await self._loop.sock_recv(self._socket, 65536):
            pass

    async def reply(self) -> None:
        await self._loop.sock_recv(self._socket, 65536)

    async def until_reset(self) -> None:
        """Read nothing until the other side has ended the connection."""
        while self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _TCP_CLOSED:  # noqa: ASYNC110
            await asyncio.sleep(DRIP_SECONDS)


async def say_nothing(connection: Connection) -> None:
    await connection.until_closed()


async def idle(connection: Connection) -> None:
    """After one good request."""
    await connection.send(b"GET /healthz HTTP/1.1\r\nHost: abuse\r\n\r\n")
    await connection.until_closed()


async def send_slowly(connection: Connection, begun: bytes) -> None:
    await connection.send(begun)
    dripping = asyncio.ensure_future(connection.drip())
    try:
        await connection.until_closed()
    finally:
        dripping.cancel()
        await asyncio.wait([dripping])
        dripping.cancelled() or dripping.exception()


async def send_head_slowly(connection: Connection) -> None:
    await send_slowly(connection, _HEAD + b"X: ")


async def send_body_slowly(connection: Connection) -> None:
    await send_slowly(connection, _HEAD + b"Content-Length: 1000000\r\n\r\n")


async def send_oversized_head(connection: Connection) -> None:
    await connection.send(_HEAD + b"X: " + b"x" * LIMITS.header_bytes)
    await connection.until_closed()


async def send_oversized_body(connection: Connection) -> None:
    await connection.send(_HEAD + b"Content-Length: %d\r\n\r\n" % (LIMITS.body_bytes + 1) + b"x" * 100_000)
    await connection.until_closed()


async def read_nothing(connection: Connection) -> None:
    body = json.dumps({"model": FLOODING, "messages": [], "stream": True}).encode()
    await connection.send(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await connection.until_reset()


@dataclass
class Kind:
    """A way to abuse a gateway, how many do it, and how long each may at most."""

    abuse: Callable[[Connection], Awaitable[None]]
    callers: int
    seconds: float
    closed: list[float] = field(default_factory=list)
    """Seconds that each one lasted."""
    open: dict[int, float] = field(default_factory=dict)
    """Since when those are there that are, by caller."""

    async def come_and_come_again(self, caller: int, port: int) -> None:
        await asyncio.sleep(CHANCE.uniform(0, self.seconds))  # else they are all closed in one moment
        while True:
            with socket.socket() as sock:
                sock.setblocking(False)
                if self.abuse is read_nothing:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
                self.open[caller] = time.monotonic()
                with suppress(ConnectionError):  # a reset is an end like another
                    await self.abuse(Connection(sock))
                self.closed.append(time.monotonic() - self.open.pop(caller))
            await asyncio.sleep(CHANCE.uniform(0, PAUSE_SECONDS))

    def report(self) -> dict[str, float]:
        now = time.monotonic()
        latest = self.seconds + LATE_SECONDS
        overdue = sum(now - since > latest for since in self.open.values())
        return {
            "open": len(self.open),
            "closed": len(self.closed),
            "late": sum(seconds > latest for seconds in self.closed) + overdue,
            "longest": max(self.closed, default=0.0),
        }


def kinds() -> dict[str, Kind]:
    return {
        "idle": Kind(idle, 525, LIMITS.idle_seconds),  # 500 of them at any time
        "silent": Kind(say_nothing, 50, LIMITS.header_seconds),
        "slow head": Kind(send_head_slowly, 50, LIMITS.header_seconds),
        "slow body": Kind(send_body_slowly, 50, LIMITS.body_stall_seconds),
        "slow reader": Kind(read_nothing, 50, FILL_SECONDS + LIMITS.write_stall_seconds),
        "oversized head": Kind(send_oversized_head, 5, 1.0),
        "oversized body": Kind(send_oversized_body, 5, 1.0),
    }


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The engine of those who read nothing: a stream that does not end before this process does."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "x" * EVENT_BYTES}}]}
    piece = b"data: %b\n\n" % json.dumps(chunk).encode() * PIECE_EVENTS
    with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(PIECE_SECONDS)
    writer.close()


async def run(port: int, engine_port: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    engine = await asyncio.start_server(flood, "127.0.0.1", engine_port)
    all_kinds = kinds()
    callers = [
        asyncio.create_task(kind.come_and_come_again(number, port))
        for kind in all_kinds.values()
        for number in range(kind.callers)
    ]
    await asyncio.sleep(max(kind.seconds for kind in all_kinds.values()))
    print("all are there", flush=True)
    await stop.wait()
    print(json.dumps({name: kind.report() for name, kind in all_kinds.items()}), flush=True)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="of the gateway")
    parser.add_argument("--engine-port", type=int, required=True, help="for the engine whose answers do not end")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.port, arguments.engine_port))


if __name__ == "__main__":
    main()
