"""A caller's connection: bytes in, exchanges out, one at a time and in order.

::

    idle ─▶ head ─▶ handler runs, body arrives ─▶ reply ended, handler done ─▶ idle, or the next head
              │                                        └▶ closed
              └▶ refused ─▶ lingering: our side is shut, what still comes is dropped ─▶ closed

A caller that shuts down its writing side has left, as for nginx and for Go's server, because nothing tells it from one
that is gone; yet what is ready within HALF_CLOSED_SECONDS is still sent. And who asks ahead but does not read gets no
further reply before it has taken most of the last: they would pile up here.
"""

import asyncio
import logging
import socket
import struct
import time
from math import inf

import httptools

from splai.gateway.http.exchange import Exchange
from splai.gateway.http.request_body import RequestBody
from splai.gateway.http.request_head import (
    CHUNKED,
    NO_REQUEST,
    RequestRefused,
    body_length,
    check_head_size,
    expects_continue,
    header_fields,
    request_line,
)
from splai.gateway.http.service import Service
from splai.logs import origin

HALF_CLOSED_SECONDS = 0.5
LINGER_SECONDS = 5.0
"""For the caller to read a reply that came before all of its request was read (RFC 9112 §9.6)."""
PIPELINED_BYTES = 64 * 1024
"""Behind the request that is being served, before reading pauses."""

_JSON = ((b"content-type", b"application/json"),)
_RESET = struct.pack("ii", 1, 0)

_log = logging.getLogger(__name__)


class ServerConnection(asyncio.Protocol):
    """One a connection; its deadlines are on the clock of time.perf_counter, and ``check`` is called now and then."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._loop = asyncio.get_running_loop()
        self.body = RequestBody(self)
        self.lost = False
        self._read_deadline = self._write_deadline = inf
        self.on_body = self.body.on_body
        self.on_message_complete = self.body.on_message_complete
        self._parser = httptools.HttpRequestParser(self)
        self._keep_alive = False
        self._held = b""  # an incomplete head, or what came behind the request that is being served
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._head_begun = self._half_closed = self._lingering = self._paused = False
        self._writable: asyncio.Event | None = None  # there while the transport's buffer is full
        self._unsent = 0

    # from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a socket has this one
        service = self.service
        service.connections.add(self)
        if len(service.connections) > service.limits.max_connections:
            self._refuse(RequestRefused(503, "The server has as many connections as it may have"))
            transport.close()
        else:
            self._begin_head()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._writable is not None:
            self._writable.set()
        task, exchange = self._task, self._exchange
        if task is None:
            self.service.forget(self)
            return
        task.add_done_callback(lambda _: self.service.forget(self))  # also if it is cancelled before it has begun
        if exchange is not None and not exchange.ended:
            task.cancel()

    def eof_received(self) -> bool:
        if self._exchange is None or not self.body.complete:
            return False
        self._half_closed = True
        self._loop.call_later(HALF_CLOSED_SECONDS, self._leave)
        return True

    def _leave(self) -> None:
        if self._exchange is not None and not self._exchange.ended:
            self._transport.abort()

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()
        self._arm_write_deadline()
        self._tell_writable(False)

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
        self._writable = None
        if not self._transport.is_closing() and not self._lingering:
            self._write_deadline = inf
        self._tell_writable(True)
        if self._exchange is not None and self._task is None and not self._transport.is_closing():
            self._await_next(self._exchange)

    def _tell_writable(self, writable: bool) -> None:
        if self._exchange is not None and self._exchange.on_writable is not None:
            self._exchange.on_writable(writable)

    def _arm_write_deadline(self) -> None:
        self._unsent = self._transport.get_write_buffer_size()
        self._write_deadline = time.perf_counter() + self.service.limits.write_stall_seconds

    # requests

    def data_received(self, data: bytes) -> None:
        if self._lingering or self._transport.is_closing():
            return
        if self._exchange is None:
            self._read_head(data)
        elif self.body.complete:
            self._hold(data)
        elif rest := self.body.read(data):
            self._hold(rest)

    def _read_head(self, data: bytes) -> None:
        data = (self._held + data if self._held else data).lstrip(b"\r\n")  # RFC 9112 §2.2 on empty lines before it
        self._held = b""
        end = data.find(b"\r\n\r\n") + 4
        try:
            if end < 4:
                self._await_head(data)
                return
            exchange = self._exchange = self._parse_head(data[:end])
        except RequestRefused as refusal:
            self._refuse(refusal)
            return
        self._read_deadline = inf
        self._head_begun = False
        rest = data[end:]
        if not self.body.complete:
            rest = self.body.read(rest)
        if rest:
            self._hold(rest)
        self._task = asyncio.Task(self._serve(exchange), loop=self._loop, name="request")  # a number costs its text

    def _await_head(self, data: bytes) -> None:
        check_head_size(data, self.service.limits)
        if data and not (b"A" <= data[:1] <= b"Z" and data.count(b"\n") == data.count(b"\r\n")):
            raise RequestRefused(400, "The request's head is not that of HTTP/1.1")
        self._held = data
        if not self._head_begun:
            self._begin_head()

    def _begin_head(self) -> None:
        self._head_begun = True
        self._read_deadline = time.perf_counter() + self.service.limits.header_seconds

    def _parse_head(self, head: bytes) -> Exchange:
        limits = self.service.limits
        check_head_size(head, limits)
        first, *lines = head[:-4].split(b"\r\n")
        line = request_line(first)
        upgrade = self.parse(head)
        http_1_0 = line.http_1_0
        headers, fields = header_fields(lines, http_1_0)
        length = body_length(fields, limits, http_1_0)
        keep_alive = self._keep_alive
        if length and upgrade:
            self._parse_framing(length)
        self.body.begin(length, expects_continue(fields, http_1_0))
        return Exchange(self, line, headers, fields, keep_alive)

    def _parse_framing(self, length: int) -> None:
        """An upgrade is declined by ignoring it; but httptools skipped the body of the request that asked for it."""
        framing = b"transfer-encoding: chunked" if length == CHUNKED else b"content-length: %d" % length
        self._parser = httptools.HttpRequestParser(self)  # the old one may have ended with the head
        self.parse(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)

    def parse(self, data: bytes | memoryview) -> bool:
        """Feed the parser; gives back whether it thinks that another protocol follows."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return True
        except httptools.HttpParserError as error:
            raise RequestRefused(400, f"The request is not valid HTTP/1.1: {error}") from None
        return False

    def on_headers_complete(self) -> None:
        """From the parser, which forgets it as soon as the message is complete."""
        self._keep_alive = self._parser.should_keep_alive()

    def _hold(self, data: bytes) -> None:
        """Keep what belongs to later requests. A caller that sends much ahead is not read from: it may leave unseen."""
        self._held += data
        if len(self._held) > PIPELINED_BYTES:
            self.pause_reading()

    async def _serve(self, exchange: Exchange) -> None:
        status, message = 500, "Error processing request: internal error"
        try:
            await self.service.handler(exchange)
            if not exchange.ended:
                _log.error("a handler left its reply unfinished")
        except RequestRefused as refusal:
            status, message = refusal.status, refusal.message
        except Exception as error:
            _log.error("request failed", extra={"request_id": exchange.request_id} | origin(error))
        finally:
            self._end(exchange, status, message)

    def _end(self, exchange: Exchange, status: int, message: str) -> None:
        if self.lost:
            return
        if not exchange.ended:
            self._fail(exchange, status, message)
        self._task = None
        if self._writable is None or not exchange.persistent:
            self._await_next(exchange)

    def _await_next(self, exchange: Exchange) -> None:
        """Be ready for the request after this one, or close."""
        self._exchange = None
        if not exchange.persistent or not self.may_persist():
            self._close()
            return
        self.resume_reading()
        self._read_deadline = time.perf_counter() + self.service.limits.idle_seconds
        if self._held:
            self._read_head(b"")

    def _fail(self, exchange: Exchange, status: int, message: str) -> None:
        if exchange.reply_started:
            exchange.abort()
        else:
            exchange.reply(status, _JSON, self.service.error_body(status, message))

    def may_persist(self) -> bool:
        """Whether another request may follow on this connection."""
        over = self.service.draining or (self._half_closed and not self._held)
        return self.body.complete and not over

    # the end

    def _refuse(self, refusal: RequestRefused) -> None:
        """Answer what never became an exchange for the handler."""
        self.body.begin(CHUNKED, continue_due=False)  # whatever may still come of it
        exchange = Exchange(self, NO_REQUEST, [], {}, keep_alive=False)
        self._fail(exchange, refusal.status, refusal.message)
        self._close()

    def _close(self) -> None:
        """Once all is sent; if the caller is still sending, it first gets time to read why it should not."""
        if self._transport.is_closing():
            return
        self._arm_write_deadline()
        if self.body.complete or self._half_closed:
            self._transport.close()
            return
        self._lingering = True
        self._read_deadline = time.perf_counter() + LINGER_SECONDS
        self.resume_reading()
        self._transport.write_eof()

    def cut(self, *, reset: bool) -> None:
        """End a reply before its time; where its end is the connection's, only a reset tells them apart."""
        if self._transport.is_closing():
            return
        if reset:
            self._reset()
        else:
            self._arm_write_deadline()
            self._transport.close()

    def _reset(self) -> None:
        """Leave with RST, and nothing behind: the kernel would keep what was not sent for minutes."""
        if not self.lost:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def check(self, now: float) -> None:
        """Act on deadlines that have passed."""
        if now >= self._write_deadline:
            if (unsent := self._transport.get_write_buffer_size()) >= self._unsent:
                self._reset()
            else:
                self._arm_write_deadline()
                self._unsent = unsent
        if now >= self.body.deadline:
            self.body.refuse(RequestRefused(408, "The request body came too slowly"))
        if now >= self._read_deadline:
            self._read_deadline = inf
            if self._lingering:
                self._transport.close()
            elif self._held:
                self._refuse(RequestRefused(408, "The request's head came too slowly"))
            else:
                self._close()

    def drain_out(self) -> None:
        """End the connection: at once if it is idle, else after the reply."""
        if self._exchange is None and not self._held and not self._lingering:
            self._close()

    def abort(self) -> asyncio.Task[None] | None:
        """End it now; gives back the task that may still be cleaning up."""
        self._transport.abort()
        if self._task is not None:
            self._task.cancel()
        return self._task

    # for the exchange and its body

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        while self._writable is not None and not self.lost:
            await self._writable.wait()

    def pause_reading(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def caller(self) -> tuple[str, int] | None:
        name = self._transport.get_extra_info("peername")
        return name[:2] if isinstance(name, tuple) else None
