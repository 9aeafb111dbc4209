"""HTTP as the artifact server's clients need it, on aiohttp: with httpx a call costs a worker several times the CPU.

An attempt is bounded by the time to connect, between two pieces of the answer, and between two pieces of a body that is
streamed; behind the last of these the server has minutes, in which a bucket makes one object of its parts, or a disk
takes what was written. Whatever goes wrong on the way is a ``TransportError``.
"""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final as Constant
from typing import Protocol

import aiohttp
from yarl import URL

CONNECT_SECONDS: Constant = 5.0
SILENCE_SECONDS: Constant = 30.0
KEEPING_SECONDS: Constant = 300.0  # in which a store makes a file of what it was sent
KEPT_ALIVE_SECONDS: Constant = 30.0
CONNECTIONS: Constant = 64
_AT_ONCE = 1024 * 1024  # of a body; aiohttp warns of more, because the event loop stands still meanwhile
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)


class TransportError(Exception):
    """No whole answer came; whether the request was carried out is not known."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    content: bytes = b""


class RelayedReply:
    """An answer whose body is still to be read."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes; raises TransportError."""
        pieces = self._response.content.iter_any()
        while True:
            try:
                piece = await anext(pieces, None)
            except _FAILURES as error:
                raise _failure(error) from error
            if piece is None:
                return
            yield piece


class Transport(Protocol):
    """Sends requests to one server."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] | None = None,
    ) -> Reply:
        """One attempt; raises TransportError, or what a streamed body raises."""

    def open(self, method: str, path: str, *, headers: Mapping[str, str]) -> AbstractAsyncContextManager[RelayedReply]:
        """One attempt, with an answer that is read while it comes; raises TransportError."""

    async def close(self) -> None: ...


class HTTP:
    """A connection pool."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] | None = None,
    ) -> Reply:
        if body is not None and not isinstance(body, bytes):
            return await self._send_stream(method, path, headers, body)
        data = io.BytesIO(body) if body and len(body) > _AT_ONCE else body
        try:
            async with self._request(method, path, headers, query, data, silence=SILENCE_SECONDS) as response:
                return Reply(response.status, await response.read())
        except _FAILURES as error:
            raise _failure(error) from error

    async def _send_stream(
        self, method: str, path: str, headers: Mapping[str, str], chunks: AsyncIterable[bytes]
    ) -> Reply:
        stream = _Stream(chunks)
        try:
            async with (
                asyncio.timeout(None) as stream.patience,
                self._request(method, path, headers, None, stream, silence=KEEPING_SECONDS) as response,
            ):
                return Reply(response.status, await response.read())
        except _FAILURES as error:
            raise stream.failure or _failure(error) from error

    @asynccontextmanager
    async def open(self, method: str, path: str, *, headers: Mapping[str, str]) -> AsyncGenerator[RelayedReply]:
        """An answer that is read while it comes; raises TransportError."""
        try:
            response = await self._request(method, path, headers, None, None, silence=SILENCE_SECONDS)
        except _FAILURES as error:
            raise _failure(error) from error
        async with response:
            yield RelayedReply(response)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
        data: object,
        *,
        silence: float,
    ) -> "aiohttp.client._RequestContextManager":
        if self._session is None:  # not before there is a loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEPT_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        return self._session.request(
            method,
            URL(self._base + path, encoded=True),
            headers=headers,
            params=query,
            data=data,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence),
        )


class _Stream:
    """A body that is taken once: aiohttp repeats a PUT on its own, which would send the second half of it alone."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = aiter(chunks)
        self._taken = False
        self.patience = asyncio.timeout(None)
        self.failure: Exception | None = None  # of the producer; aiohttp hides it behind one of its own

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._taken:
            raise TransportError("the connection ended in the middle of the body")
        return self

    async def __anext__(self) -> bytes:
        """The next piece; how long that takes is its producer's affair, how long the server takes it is ours."""
        self._taken = True
        self.patience.reschedule(None)
        seconds = SILENCE_SECONDS
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            seconds = KEEPING_SECONDS
            raise
        except Exception as error:
            self.failure = error
            raise
        finally:
            self.patience.reschedule(asyncio.get_running_loop().time() + seconds)


def _failure(error: BaseException) -> TransportError:
    return TransportError(f"{type(error).__name__}: {error}")
