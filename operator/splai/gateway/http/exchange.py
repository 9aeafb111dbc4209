"""One request and its reply, as a handler sees them.

::

    body() | receive() ─▶ reply(...)                                  head and body in one write
                       └▶ start(...) ─▶ write(...)* ─▶ finish(...)    streamed, with drain() or on_writable
                       └▶ abort()                                     a cut reply shows as one
"""

import random
import time
from collections.abc import Callable, Collection, Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from splai.gateway.http.headers import header_lines
from splai.gateway.http.request_head import RequestLine

if TYPE_CHECKING:
    from splai.gateway.http.server_connection import ServerConnection

Handler = Callable[["Exchange"], Coroutine[Any, Any, None]]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_ID_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"
_MAX_ID_LENGTH = 128


class Exchange:
    """A request whose head is complete; its body may still be on the way. Names of headers are lower-case."""

    def __init__(
        self,
        connection: "ServerConnection",
        line: RequestLine,
        headers: list[tuple[bytes, bytes]],
        fields: dict[bytes, bytes],
        keep_alive: bool,
    ) -> None:
        self._connection = connection
        self.method, self.raw_path, self.path, self.query_string, self.http_1_0 = line
        self.headers = headers
        self._fields = fields
        self._keep_alive = keep_alive
        self.request_id = _request_id(fields.get(b"x-request-id"))
        self.started = time.perf_counter()
        self._bodiless = self.method == "HEAD"
        self._chunked = False
        self._left: int | None = None
        self.persistent = keep_alive
        """Whether the reply said, or let it be understood, that another request may follow on the connection."""
        self.reply_started = False
        self.ended = False
        """The reply is complete or was aborted: nothing may follow, and the caller's leaving no longer matters."""
        self.on_writable: Callable[[bool], None] | None = None
        """Told of changes: the transport's buffer is full (False), it has emptied (True)."""

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        return self._fields.get(name)

    @property
    def caller(self) -> tuple[str, int] | None:
        """Address and port of the other end."""
        return self._connection.caller()

    @property
    def disconnected(self) -> bool:
        return self._connection.lost

    # the request's body

    def whole_body(self) -> bytes | None:
        """All of it, if it has arrived and was not received yet."""
        body = self._connection.body
        return body.take() if body.complete else None

    def body(self) -> Coroutine[Any, Any, bytes]:
        """All of it; raises RequestRefused if it is too large, too slow or malformed."""
        return self._connection.body.all()

    def receive(self) -> Coroutine[Any, Any, bytes]:
        """The next piece, ``b""`` at the end; raises as ``body`` does."""
        return self._connection.body.piece()

    @property
    def body_complete(self) -> bool:
        """Whether all of it has arrived, if not yet been received."""
        return self._connection.body.complete

    # the reply

    def reply(self, status: int, headers: Collection[tuple[bytes, bytes]], body: bytes) -> None:
        """Head and body in one write. Length, coding and connection headers are ours: ``headers`` has none of them."""
        framing = b"" if status in (204, 304) else b"content-length: %d\r\n" % len(body)
        head = self._head(status, headers, framing)
        self.ended = True
        self._connection.write(head if self._bodiless else head + body)

    def start(self, status: int, headers: Collection[tuple[bytes, bytes]], *, length: int | None = None) -> None:
        """The head of a reply whose body follows; without a length it is chunked (1.1) or ends with the connection."""
        if length is not None:
            framing = b"content-length: %d\r\n" % length
        elif self.http_1_0:
            framing = b""
            self._keep_alive = False
        else:
            framing = b"transfer-encoding: chunked\r\n"
            self._chunked = True
        head = self._head(status, headers, b"" if status in (204, 304) else framing)
        self._left = length
        self._connection.write(head)

    def write(self, data: bytes) -> None:
        """One chunk in one write; raises ValueError for more than the length given to ``start``."""
        if framed := self._framed(data):
            self._connection.write(framed)

    def finish(self, data: bytes = b"") -> None:
        """Last data and the end in one write; a reply that is shorter than it said is aborted."""
        framed = self._framed(data)
        if self._left and not self._bodiless:
            self.abort()
            return
        self.ended = True
        if self._chunked and not self._bodiless:
            framed += b"0\r\n\r\n"
        if framed:
            self._connection.write(framed)

    def abort(self) -> None:
        """End the connection so that the caller sees the reply as cut; the handler itself runs on."""
        self.ended = True
        self.persistent = False
        self._connection.cut(reset=not self._chunked and self._left is None)

    async def drain(self) -> None:
        """Return when the caller takes more."""
        await self._connection.drain()

    def _framed(self, data: bytes) -> bytes:
        if not self.reply_started or self.ended:
            raise ValueError("a reply's data comes between its start and its end")
        if self._bodiless or not data:
            return b""
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise ValueError("more data than the reply's length")
        return data

    def _head(self, status: int, headers: Collection[tuple[bytes, bytes]], framing: bytes) -> bytes:
        """Raises ValueError for a second reply, and for a header that would be more than one line (RFC 9110 §5.5)."""
        if self.reply_started:
            raise ValueError("the reply has started already")
        block = header_lines(headers)
        if not block.count(b"\r") == block.count(b"\n") == len(headers) or block.find(b"\0") >= 0:
            raise ValueError("a reply's header holds CR, LF or NUL")
        self.reply_started = True
        if status in (204, 304):
            self._bodiless = True
        self.persistent = self._keep_alive and self._connection.may_persist()
        return b"".join(
            (
                _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status,
                block,
                self._connection.service.lines,
                b"x-request-id: ",
                self.request_id.encode(),
                b"\r\nopenai-processing-ms: %d\r\n" % (1000 * (time.perf_counter() - self.started)),
                framing,
                self._connection_line(),
                b"\r\n",
            )
        )

    def _connection_line(self) -> bytes:
        if not self.persistent:
            return b"connection: close\r\n"
        return b"connection: keep-alive\r\n" if self.http_1_0 or self._chunked else b""


def _request_id(asked: bytes | None) -> str:
    """The caller's, if it is fit for logs and headers, else a fresh one."""
    if asked and len(asked) <= _MAX_ID_LENGTH and not asked.translate(None, _ID_CHARACTERS):
        return asked.decode("ascii")
    return random.getrandbits(128).to_bytes(16, "little").hex()
