"""One kept-alive connection to an engine, and one reply on it, parsed as it arrives (RFC 9112).

What the parser finds goes straight from ``data_received`` to the caller's function: no task, queue or future a chunk.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

HEAD_BYTES = 64 * 1024
"""The most that may come without any of it being body: a head with its 1xx replies, or a body's trailers."""
UNASKED_BYTES = 256 * 1024
"""How much of a body is kept for a caller that has not asked for it; reading stops above that."""
# A peer that vanished without a word (a lost node) is found after a minute, however long a stream is quiet.
_PROBES = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class EngineError(Exception):
    """An engine that gave no whole reply; the message holds nothing of the request or the reply."""


class EngineUnreachable(EngineError):
    """No connection: refused, no route, no such host, or not within the time."""


class EngineDisconnected(EngineError):
    """The connection closed before a byte of the reply."""


class EngineBroken(EngineError):
    """The connection closed in mid-reply, or what came is not HTTP."""


class EngineReplyTooLarge(EngineError):
    """The body is longer than its reader's limit."""


class EngineConnection(asyncio.Protocol):
    """A connection that is idle in its pool or carries one exchange; the pool is told at once when that ends."""

    def __init__(
        self,
        address: str,
        on_free: Callable[["EngineConnection", bool], None],  # the exchange is over; whether another may follow
        on_idle_lost: Callable[["EngineConnection"], None],
    ) -> None:
        self.address, self._on_free, self._on_idle_lost = address, on_free, on_idle_lost
        self.loop = asyncio.get_running_loop()  # asking for it is a system call
        self.idle_since = 0.0  # by the loop's clock
        self._reply: EngineReply | None = None
        self._parsed: EngineReply  # also when it is closed: the last one
        self._headers: list[tuple[bytes, bytes]] = []
        self.parser = HttpResponseParser(self)  # one for all replies: to make it costs as much as to parse with it
        # Transfer-Encoding overrides Content-Length (RFC 9112, 6.3); such a connection is not used again.
        self.parser.set_dangerous_leniencies(lenient_chunked_length=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        connected: socket.socket = transport.get_extra_info("socket")  # the loop has set TCP_NODELAY
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PROBES.items():
            if (option := getattr(socket, name, None)) is not None:  # not every platform has them
                connected.setsockopt(socket.IPPROTO_TCP, option, value)

    async def exchange(self, head: bytes, body: bytes) -> "EngineReply":
        """Send a request; its reply once the head is there. Raises EngineDisconnected, EngineBroken.

        What the engine has not taken yet is sent meanwhile by the loop, so that one that refuses a body early is heard.
        """
        self._reply = self._parsed = reply = EngineReply(self, head.startswith(b"HEAD "))
        try:
            self.transport.writelines((head, body))
            await reply.arrived
        except BaseException:
            reply.close()
            raise
        return reply

    def free(self, reusable: bool) -> None:
        """End the exchange; with bytes of it still under way, or not wanted any more, the connection ends too."""
        self._reply = None
        self._on_free(self, reusable and not self.transport.get_write_buffer_size())

    def data_received(self, data: bytes) -> None:
        if self._reply is not None:
            self._reply.feed(data)
        else:
            self.eof_received()  # nobody asked: a late 408, or the tail of something

    def eof_received(self) -> None:
        self.connection_lost(None)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reply is not None:
            self._reply.lost(exc)
        else:
            self._on_idle_lost(self)

    # The parser's callbacks. It goes on after the end of a reply, or its closing, and so finds what comes after it.

    def on_message_begin(self) -> None:
        self._headers = []
        self._parsed.begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, []  # what follows are trailers
        self._parsed.take_head(self.parser.get_status_code(), headers, self.parser.should_keep_alive())

    def on_body(self, data: bytes) -> None:
        self._parsed.take_body(data)

    def on_message_complete(self) -> None:
        self._parsed.complete()


class EngineReply:
    """The reply to one request. Whoever got it must close it; ``stream`` or ``read`` gives its body, once."""

    def __init__(self, connection: EngineConnection, without_body: bool) -> None:
        self.status = self._unasked_bytes = 0
        self.headers: list[tuple[bytes, bytes]] = []  # names in lower case
        self.fields: dict[bytes, bytes] = {}  # the headers by name
        self.delimited = False
        """Whether HTTP itself tells a whole body from a cut one; if not, the body's end is the connection's."""
        self.arrived: asyncio.Future[None] = connection.loop.create_future()
        self._connection: EngineConnection | None = connection
        self._without_body = without_body
        self._in_head = True
        self._room = HEAD_BYTES
        self._reusable = self._ended = self._given = False
        self._error: Exception | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._streamed: asyncio.Future[None] | None = None
        self._unasked: list[bytes] = []

    def stream(self, on_data: Callable[[bytes], None]) -> asyncio.Future[None]:
        """Give the body to ``on_data`` piece by piece, what is already there at once.

        The future ends with the body, or with EngineBroken, or with what ``on_data`` raised; ``close`` cancels it.
        ``on_data`` runs in the context of the connection, whose ``ContextVar`` values are those of another request.
        """
        if self._given or self._connection is None:
            raise RuntimeError("the body of an engine's reply is given once, before the reply is closed")
        self._given = True
        self._streamed = streamed = self._connection.loop.create_future()
        self._on_data = on_data
        self.resume()
        unasked, self._unasked = self._unasked, []
        try:
            for piece in unasked:
                if self._connection is not None:  # not closed by on_data
                    on_data(piece)
        except Exception as error:
            self._end(error)
            _settle(streamed, error)
        if self._ended:
            _settle(streamed, self._error)
        return streamed

    def whole(self, limit: int) -> bytes | None:
        """The whole body if it has come with its head, and has no more than ``limit`` bytes."""
        ended = self._ended and self._error is None and self._connection is not None
        if not ended or self._given or self._unasked_bytes > limit:
            return None
        self._given = True
        return b"".join(self._unasked)

    async def read(self, limit: int) -> bytes:
        """The whole body; raises EngineBroken, or EngineReplyTooLarge if it has more than ``limit`` bytes."""
        if (whole := self.whole(limit)) is not None:
            return whole
        pieces: list[bytes] = []
        room = limit

        def keep(piece: bytes) -> None:
            nonlocal room
            room -= len(piece)
            if room < 0:
                raise EngineReplyTooLarge(f"the engine's reply is longer than {limit} bytes")
            pieces.append(piece)

        try:
            await self.stream(keep)
        except BaseException:
            self.close()
            raise
        return b"".join(pieces)

    def pause(self) -> None:
        """Read no more from the engine; what one read of the loop has already brought still comes."""
        if self._connection is not None:
            self._connection.transport.pause_reading()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.transport.resume_reading()

    def close(self) -> None:
        """Give the connection back if the body has ended, else end it at once, so that the engine stops working."""
        if (connection := self._connection) is None:
            return
        if not connection.transport.is_reading():
            self.resume()  # an idle connection must hear that its engine closes it
        reusable = self._ended and self._reusable
        self._ended = True
        self._connection = self._on_data = None
        self._unasked = []
        if self._streamed is not None:
            self._streamed.cancel()
        connection.free(reusable)

    def feed(self, data: bytes) -> None:
        """Bytes from the connection."""
        room = self._room
        if self._in_head and len(data) > room:  # the limit holds wherever reads cut the head
            self.feed(data[:room])
            if self._in_head:
                self._end(EngineBroken(f"the head of the engine's reply is longer than {HEAD_BYTES} bytes"))
            else:
                self.feed(data[room:])
            return
        self._room = room - len(data)
        if self._ended or self._connection is None:
            self._reusable = False
            return
        try:
            self._connection.parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._end(EngineBroken(f"the engine's reply is not HTTP: {error}"))
        if self._room < 0:
            self._end(EngineBroken(f"the engine sent {HEAD_BYTES} bytes and no body among them"))

    def lost(self, error: Exception | None) -> None:
        """The connection's end, by an error or in order."""
        if self._in_head and self._room == HEAD_BYTES:
            self._end(EngineDisconnected("the engine closed the connection before it replied"))
        elif self._in_head or self.delimited or error is not None:
            self._end(EngineBroken("the engine closed the connection before its reply was complete"))
        else:
            self._end()

    # From the parser, by way of the connection.

    def begin(self) -> None:
        self._reusable = self._reusable and not self._ended

    def take_head(self, status: int, headers: list[tuple[bytes, bytes]], keep_alive: bool) -> None:
        if self._ended or status < 200:  # an interim reply, after which the parser goes on with the next
            return
        self.status, self.headers = status, headers
        self.fields = fields = dict(headers)
        self._in_head = False
        encoding = fields.get(b"transfer-encoding")
        has_length = b"content-length" in fields
        if encoding is None:
            self.delimited = has_length or status in (204, 304) or self._without_body
        else:
            self.delimited = encoding.lower().rpartition(b",")[2].strip() == b"chunked"
        self._reusable = keep_alive and (encoding is None or not has_length)
        _settle(self.arrived, None)
        if self._without_body:
            self._reusable = False  # the parser waits for the body that the head promises
            self._end()

    def take_body(self, data: bytes) -> None:
        self._room = HEAD_BYTES
        if self._ended:
            return
        if self._on_data is None:
            self._unasked.append(data)
            self._unasked_bytes += len(data)
            if self._unasked_bytes > UNASKED_BYTES:
                self.pause()
            return
        try:
            self._on_data(data)
        except Exception as error:
            self._end(error)

    def complete(self) -> None:
        if not self._in_head:
            self._end()

    def _end(self, error: Exception | None = None) -> None:
        """The reply is over. Over once more, the connection has brought too much or is gone."""
        if self._ended:
            self._reusable = False
            return
        self._ended = True
        self._error = error
        if error is not None:
            self._reusable = False
            if self._connection is not None:
                self._connection.transport.abort()
            _settle(self.arrived, error)
        if self._streamed is not None:
            _settle(self._streamed, error)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if error is None and not future.done():
        future.set_result(None)
    elif error is not None and not future.done():
        future.set_exception(error)
        future.exception()  # asked for, or asyncio would log it when the caller has left meanwhile
