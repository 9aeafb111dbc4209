"""Listening: from a handler to a server that ends without cutting what is under way.

::

    leaving the context ─▶ no new connections, idle ones closed ─▶ replies end, at most drain_seconds ─▶ the rest is cut
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from socket import socket

from splai.gateway.http.exchange import Handler
from splai.gateway.http.limits import Limits
from splai.gateway.http.server_connection import ServerConnection
from splai.gateway.http.service import Service

_BACKLOG = 1024
_CANCEL_SECONDS = 1.0


class Server:
    """A server that is listening; looks at its connections' deadlines, and at the clock for ``date``."""

    def __init__(self, service: Service, listeners: Sequence[asyncio.Server], common_headers: bytes) -> None:
        self._service = service
        self._listeners = listeners
        self._common_headers = common_headers
        self.port: int = listeners[0].sockets[0].getsockname()[1]
        """Of the first socket."""
        limits = service.limits
        shortest = min(
            limits.header_seconds, limits.body_stall_seconds, limits.idle_seconds, limits.write_stall_seconds
        )
        self._interval = min(1.0, shortest / 4)
        self._sweep()

    @property
    def connections(self) -> int:
        """How many are open, or have a handler that has not ended."""
        return len(self._service.connections)

    async def close(self, drain_seconds: float) -> None:
        """Let replies end, at most so long; then cut them, and wait for their handlers to be gone."""
        service = self._service
        service.draining = True
        for listener in self._listeners:
            listener.close()
        for connection in tuple(service.connections):
            connection.drain_out()
        await self._emptied(drain_seconds)
        tasks = [task for connection in tuple(service.connections) if (task := connection.abort()) is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)
        await self._emptied(_CANCEL_SECONDS)
        self._timer.cancel()

    async def _emptied(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while self._service.connections and (left := end - time.perf_counter()) > 0:
            self._service.changed.clear()
            try:
                await asyncio.wait_for(self._service.changed.wait(), left)
            except TimeoutError:
                return

    def _sweep(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._sweep)
        self._service.lines = self._common_headers + f"date: {formatdate(usegmt=True)}\r\n".encode()
        now = time.perf_counter()
        for connection in tuple(self._service.connections):
            connection.check(now)


@asynccontextmanager
async def http_server(
    handler: Handler,
    *,
    error_body: Callable[[int, str], bytes],
    host: str | None = None,
    port: int = 0,
    sockets: Sequence[socket] = (),
    limits: Limits | None = None,
    common_headers: bytes = b"",
    drain_seconds: float = 30.0,
) -> AsyncGenerator[Server]:
    """Serve on the bound ``sockets``, or on ``host`` and ``port`` (0 chooses one).

    ``common_headers`` are complete lines for every reply; ``error_body`` makes the JSON of errors that arise below the
    handler from status and message.
    """
    service = Service(handler, limits or Limits(), error_body)
    loop = asyncio.get_running_loop()

    def connection() -> ServerConnection:
        return ServerConnection(service)

    if sockets:
        listeners = [await loop.create_server(connection, sock=bound, backlog=_BACKLOG) for bound in sockets]
    else:
        listeners = [await loop.create_server(connection, host, port, backlog=_BACKLOG)]
    server = Server(service, listeners, common_headers)
    try:
        yield server
    finally:
        await server.close(drain_seconds)
