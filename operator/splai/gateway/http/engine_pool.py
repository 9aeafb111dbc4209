"""Connections to engines, kept from one request to the next."""

import asyncio

from splai.gateway.http.engine_connection import EngineBroken as EngineBroken
from splai.gateway.http.engine_connection import EngineConnection
from splai.gateway.http.engine_connection import EngineDisconnected as EngineDisconnected
from splai.gateway.http.engine_connection import EngineError as EngineError
from splai.gateway.http.engine_connection import EngineReply as EngineReply
from splai.gateway.http.engine_connection import EngineReplyTooLarge as EngineReplyTooLarge
from splai.gateway.http.engine_connection import EngineUnreachable as EngineUnreachable

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 4.0
"""Engines close after 5 s (uvicorn, cpp-httplib), and what is sent into a closing connection is lost."""
SWEEP_SECONDS = 1.0
IDLE_PER_ADDRESS = 256


class EnginePool:
    """Kept-alive connections per address; the one used last is used next, so that the others can age and go."""

    def __init__(self) -> None:
        # Connections with an exchange on them: until its reply is closed, or it has failed.
        self.in_use = 0
        # A dict as a stack: its last key is taken in O(1), and one that its engine closes leaves in O(1) too.
        self._idle: dict[str, dict[EngineConnection, None]] = {}
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def idle(self) -> int:
        """Connections that wait for a request."""
        return sum(map(len, self._idle.values()))

    async def send(self, address: str, head: bytes, body: bytes, *, once: bool = False) -> EngineReply:
        """Send a request to ``host:port`` or ``[v6]:port``; its reply once the head is there.

        ``head`` is complete, blank line included. A kept connection that proves closed is made good by a fresh one,
        once; what must be sent ``once`` only gets a fresh one at the start. No deadline but that of connecting: the
        caller sets one. Raises EngineUnreachable, by which nothing was sent, EngineDisconnected, EngineBroken.
        """
        kept = None if once else self._take(address)
        if kept is not None:
            try:
                return await kept.exchange(head, body)
            except EngineDisconnected:
                pass  # closed by the engine while the request was on its way
        connection = await self._connect(address)
        return await connection.exchange(head, body)

    def close(self) -> None:
        """Close what is idle; a connection in use closes with its exchange."""
        self._closed = True
        for connection in [connection for idle in self._idle.values() for connection in idle]:
            self._drop(connection)
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()

    def _take(self, address: str) -> EngineConnection | None:
        idle = self._idle.get(address)
        while idle:
            connection, _ = idle.popitem()
            if not connection.transport.is_closing():
                self.in_use += 1
                return connection
        return None

    async def _connect(self, address: str) -> EngineConnection:
        host, _, port = address.rpartition(":")
        connect = asyncio.get_running_loop().create_connection
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await connect(
                    lambda: EngineConnection(address, self._freed, self._forget), host.strip("[]"), int(port)
                )
        except (OSError, ValueError, OverflowError) as error:  # the latter two: it is not an address
            reason = str(error) or f"none within {CONNECT_SECONDS:g} seconds"
            raise EngineUnreachable(f"no connection to {address}: {reason}") from error
        self.in_use += 1
        return connection

    def _freed(self, connection: EngineConnection, reusable: bool) -> None:
        self.in_use -= 1
        idle = self._idle.get(connection.address)
        if idle is None:
            idle = self._idle[connection.address] = {}
        if self._closed or not reusable or connection.transport.is_closing() or len(idle) >= IDLE_PER_ADDRESS:
            connection.transport.abort()
            return
        idle[connection] = None
        connection.idle_since = connection.loop.time()
        if self._sweep_timer is None:
            self._sweep_timer = connection.loop.call_later(SWEEP_SECONDS, self._sweep)

    def _forget(self, connection: EngineConnection) -> None:
        idle = self._idle.get(connection.address)
        if idle is not None:
            idle.pop(connection, None)

    def _drop(self, connection: EngineConnection) -> None:
        self._forget(connection)
        connection.transport.abort()

    def _sweep(self) -> None:
        """Close what would be too old at the next sweep; the oldest come first."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() + SWEEP_SECONDS - IDLE_SECONDS
        for address, idle in list(self._idle.items()):
            for connection in list(idle):
                if connection.idle_since > oldest:
                    break
                self._drop(connection)
            if not idle:
                del self._idle[address]
        self._sweep_timer = loop.call_later(SWEEP_SECONDS, self._sweep) if self._idle else None
