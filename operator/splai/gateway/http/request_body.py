"""A request's body on its way from the parser to the handler: counted, timed, and held back when nobody takes it."""

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING

from splai.gateway.http.request_head import CHUNKED, RequestRefused, body_too_large

if TYPE_CHECKING:
    from splai.gateway.http.server_connection import ServerConnection

READ_AHEAD_BYTES = 256 * 1024
"""Of a body that the handler has not taken, before reading pauses."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_OVERHEAD_PER_BYTE = 8  # a chunk of one byte needs five more


class RequestBody:
    """One a connection, begun anew for each request; ``deadline`` is on the clock of time.perf_counter."""

    def __init__(self, connection: "ServerConnection") -> None:
        self._connection = connection
        self._limits = connection.service.limits
        self._waiter: asyncio.Future[None] | None = None
        self.begin(0, continue_due=False)

    def begin(self, length: int, continue_due: bool) -> None:
        """Wait for ``length`` bytes or CHUNKED; the caller may want to hear first that it should send them."""
        self.complete = length == 0
        self.deadline = inf
        self._left = length
        self._size = self._raw_size = 0
        self._tail = b""
        self._arrived: bytes | bytearray = b""
        self._refusal: RequestRefused | None = None
        self._continue_due = continue_due

    # from the connection

    def read(self, data: bytes) -> bytes:
        """Take what belongs to the body; gives back what comes after it."""
        if self._refusal is not None:
            return b""  # read all the same: only so the caller's leaving is noticed
        if data:
            self._continue_due = False
        try:
            data = self._read_chunked(data) if self._left == CHUNKED else self._read_counted(data)
        except RequestRefused as refusal:
            self.refuse(refusal)
            return b""
        if self.complete:
            self.deadline = inf
        elif not self._continue_due:
            self._extend_deadline()
        if not self._wake() and not self.complete and len(self._arrived) > READ_AHEAD_BYTES:
            self._connection.pause_reading()
            self.deadline = inf
        return data

    def on_body(self, data: bytes) -> None:
        """From the parser."""
        self._size += len(data)
        if not self._arrived:
            self._arrived = data
        elif isinstance(self._arrived, bytearray):
            self._arrived += data
        else:
            self._arrived = bytearray(self._arrived)  # many small chunks must not cost an object each
            self._arrived += data

    def on_message_complete(self) -> None:
        """From the parser, which says it of a head alone as well: ``begin`` comes after that."""
        self.complete = True

    def refuse(self, refusal: RequestRefused) -> None:
        """The rest will not be taken: whoever waits for it, now or later, is told why."""
        self._refusal = refusal
        self.complete = False
        self.deadline = inf
        self._wake()

    def _read_counted(self, data: bytes) -> bytes:
        left, rest = self._left, b""
        if len(data) > left:
            data, rest = data[:left], data[left:]
        self._connection.parse(data)
        self._left = left - len(data)
        return rest

    def _read_chunked(self, data: bytes) -> bytes:
        """The parser cannot be stopped, but a chunked body ends only behind an empty line: it gets that much a time."""
        start = len(self._tail)
        data = self._tail + data
        view = memoryview(data)
        while start < len(data) and not self.complete:
            end = data.find(b"\r\n\r\n", max(start - 3, 0)) + 4
            if end < 4:
                end = len(data)
            self._connection.parse(view[start:end])
            self._raw_size += end - start
            self._check_size()
            start = end
        self._tail = data[max(start - 3, 0) : start]
        return data[start:]

    def _check_size(self) -> None:
        limits = self._limits
        if self._size > limits.body_bytes:
            raise body_too_large(limits)
        if self._raw_size - self._size > limits.header_bytes + _OVERHEAD_PER_BYTE * self._size:
            raise RequestRefused(431, "The chunked request body holds too much besides its data")

    def _extend_deadline(self) -> None:
        now, stall = time.perf_counter(), self._limits.body_stall_seconds
        if self.deadline == inf:
            self._since, self._size_before = now, self._size
        earned = (self._size - self._size_before) / self._limits.body_bytes_per_second
        self.deadline = min(now, self._since + earned) + stall

    # from the handler

    async def all(self) -> bytes:
        while not self.complete:
            await self._more()
        return self.take()

    async def piece(self) -> bytes:
        while not self._arrived and not self.complete:
            await self._more()
        return self.take()

    def take(self) -> bytes:
        """What has arrived and was not taken yet."""
        taken, self._arrived = bytes(self._arrived), b""
        return taken

    async def _more(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._continue_due:
            self._continue_due = False
            self._connection.write(_CONTINUE)
        self._connection.resume_reading()
        if self.deadline == inf:
            self._extend_deadline()
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> bool:
        if self._waiter is None or self._waiter.done():
            return False
        self._waiter.set_result(None)
        return True
