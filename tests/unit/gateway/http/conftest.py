"""A running server with a handler of the test's own, and callers that write bytes to its socket."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import h11
import pytest

from splai.gateway.http.exchange import Exchange, Handler
from splai.gateway.http.limits import Limits
from splai.gateway.http.server import Server, http_server

PATIENCE = 10.0
"""Seconds after which a test that waits in vain has failed."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


@dataclass
class Caller:
    """One connection to the server; what it gets is understood by h11."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    unread: bytes = field(default=b"", init=False)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self, method: str = "GET") -> Reply:
        """The next reply; raises h11.RemoteProtocolError if it is cut."""
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("host", "test")]))
        client.send(h11.EndOfMessage())
        if self.unread:
            client.receive_data(self.unread)
        head, body = None, bytearray()
        async with asyncio.timeout(PATIENCE):
            while not isinstance(event := client.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    client.receive_data(await self.reader.read(65536))
                elif isinstance(event, h11.Response):
                    head = event
                elif isinstance(event, h11.Data):
                    body += event.data
        self.unread = client.trailing_data[0]
        assert head is not None
        return Reply(head.status_code, [(name, value) for name, value in head.headers], bytes(body))

    async def ask(self, data: bytes, method: str = "GET") -> Reply:
        self.send(data)
        return await self.reply(method)

    async def read_until(self, end: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(end)

    def reset(self) -> None:
        """Leave as a process does that is killed: with RST in place of FIN."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(PATIENCE):
            return self.unread + await self.reader.read()


@dataclass
class Running:
    server: Server
    stack: AsyncExitStack

    async def caller(self) -> Caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        self.stack.callback(writer.close)
        return Caller(reader, writer)


def error_body(status: int, message: str) -> bytes:
    return f"{status}: {message}".encode()


@asynccontextmanager
async def running(
    handler: Handler, *, limits: Limits | None = None, common_headers: bytes = b"", drain_seconds: float = 0.0
) -> AsyncIterator[Running]:
    async with (
        AsyncExitStack() as stack,
        http_server(
            handler,
            host="127.0.0.1",
            error_body=error_body,
            limits=limits,
            common_headers=common_headers,
            drain_seconds=drain_seconds,
        ) as server,
    ):
        yield Running(server, stack)


Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def serving() -> Start:
    """The context manager of a running server: its handler first, then limits, common_headers, drain_seconds."""
    return running


async def echo(exchange: Exchange) -> None:
    """Method, path, query and body, a space between them."""
    body = await exchange.body()
    said = b" ".join((exchange.method.encode(), exchange.path.encode(), exchange.query_string, body))
    exchange.reply(200, [(b"content-type", b"text/plain")], said)


@pytest.fixture
def echoing() -> Handler:
    return echo


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the condition is the server's, which tells nobody
            await asyncio.sleep(0.001)


class MemoryTransport(asyncio.Transport):
    """Gives what is written to a list; a close is told at the loop's next turn."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._closing = False
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def write_eof(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0
