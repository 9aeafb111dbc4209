"""An engine that does on a real connection exactly what a test tells it, breaking HTTP included."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request as it reached the engine; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Connection:
    """The engine's side of the connection that a request came on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """A chunk of a chunked body; an empty one ends it."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def reset(self) -> None:
        """End the connection without a word."""
        self.writer.transport.abort()

    async def peer_left(self) -> None:
        """Returns once the gateway has closed the connection."""
        with suppress(ConnectionError):
            await self.reader.read()


Script = Callable[[Received, Connection], Awaitable[None]]
"""Answers one request; the connection is then read for the next one."""


@dataclass
class ScriptedEngine:
    """A running engine; ``script`` may be changed between requests."""

    script: Script
    address: str = ""
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.transport.is_closing():
                request = await _read_request(reader)
                self.received.append(request)
                await self.script(request, Connection(reader, writer))
        writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(first.split()[1], headers, body)


@asynccontextmanager
async def running_engine(script: Script, *, host: str = "127.0.0.1") -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine(script)
    server = await asyncio.start_server(engine.serve, host, 0)
    host, port = server.sockets[0].getsockname()
    engine.address = f"{host}:{port}"
    try:
        yield engine
    finally:
        server.close()


def answer(document: Any, *, status: int = 200, headers: str = "") -> Script:
    """A whole reply in JSON, or in bytes as they are; ``headers`` are lines that end with CRLF."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def script(_: Received, connection: Connection) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        await connection.send(head.encode() + body)

    return script


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"


def stream(*chunks: bytes, end: bool = True) -> Script:
    """A streamed reply, one HTTP chunk each; without ``end`` the connection is reset in its place."""

    async def script(_: Received, connection: Connection) -> None:
        await connection.send(STREAM_HEAD)
        for chunk in chunks:
            await connection.chunk(chunk)
            await asyncio.sleep(0)
        if end:
            await connection.chunk(b"")
        else:
            connection.reset()

    return script


def unused_address() -> str:
    """Where nobody listens: port 1 is reserved."""
    return "127.0.0.1:1"
