"""An engine whose every byte is the test's: a script is given each connection, and HTTP is what it makes of it."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

ENOUGH_SECONDS = 10
"""For what has to happen; only a failing test waits that long."""


@dataclass
class Peer:
    """The engine's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    engine: "RawEngine"

    async def request(self) -> bytes:
        """A whole request; raises IncompleteReadError once the gateway has closed the connection."""
        head = await self.head()
        _, _, length = head.lower().partition(b"content-length: ")
        body = await self.reader.readexactly(int(length.split(b"\r\n")[0]) if length else 0)
        self.engine.requests.append(head + body)
        return head + body

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """A chunk of a chunked body; an empty one ends it."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def reset(self) -> None:
        """End the connection by an RST, which gives up what was sent and not yet taken."""
        peer = self.writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def left(self) -> None:
        """Returns once the gateway has closed the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(2**16):
                pass


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class RawEngine:
    """A running engine and what came to it."""

    address: str = ""
    connections: int = 0
    open: int = 0
    requests: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def raw_engine(script: Script, host: str = "127.0.0.1") -> AsyncIterator[RawEngine]:
    """Runs ``script`` once a connection, which ends with it; what a script raises fails the test."""
    engine = RawEngine()
    scripts: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine.connections += 1
        engine.open += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await script(Peer(reader, writer, engine))
        finally:
            engine.open -= 1
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scripts.append(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(connected, host, 0)
    port = server.sockets[0].getsockname()[1]
    engine.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        yield engine
    finally:
        server.close()
        failures = [script.exception() for script in scripts if script.done()]
        for running in scripts:
            running.cancel()
        await asyncio.gather(*scripts, return_exceptions=True)
    for failure in filter(None, failures):
        raise failure


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(ENOUGH_SECONDS):
        while not condition():  # noqa: ASYNC110 - anything that a test can see
            await asyncio.sleep(0.001)
