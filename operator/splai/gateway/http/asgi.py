"""Runs an ASGI application (https://asgi.readthedocs.io, HTTP only) over exchanges."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from splai.gateway.http.exchange import Exchange, Handler

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

REQUEST_ID = "splai.request_id"
"""Where the scope has the request's id."""

_OURS = (b"content-length", b"transfer-encoding", b"connection", b"date", b"openai-processing-ms", b"x-request-id")


def asgi_handler(application: Application) -> Handler:
    """A handler that answers by ``application``; lifespan events are not sent."""

    async def handle(exchange: Exchange) -> None:
        call = _Call(exchange)
        await application(call.scope(), call.receive, call.send)

    return handle


class _Call:
    """One request to the application."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._start: Message | None = None  # held back until it is known whether the body is all in one piece
        self._received = False
        self._over = asyncio.Event()

    def scope(self) -> dict[str, Any]:
        exchange = self._exchange
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.0" if exchange.http_1_0 else "1.1",
            "method": exchange.method,
            "scheme": "http",
            "path": exchange.path,
            "raw_path": exchange.raw_path,
            "root_path": "",
            "query_string": exchange.query_string,
            "headers": exchange.headers,
            "client": exchange.caller,
            REQUEST_ID: exchange.request_id,
        }

    async def receive(self) -> Message:
        if not self._received:
            piece = await self._exchange.receive()
            self._received = self._exchange.body_complete
            return {"type": "http.request", "body": piece, "more_body": not self._received}
        await self._over.wait()  # the caller's leaving cancels the application, and so this as well
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Raises OSError once the caller has left."""
        if self._exchange.disconnected:
            raise ConnectionResetError("the caller has left")
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start is not None:
            start, self._start = self._start, None
            if self._begin(start, body, more):
                return
        if more:
            self._exchange.write(body)
            await self._exchange.drain()
        else:
            self._exchange.finish(body)
            self._over.set()

    def _begin(self, start: Message, body: bytes, more: bool) -> bool:
        """Send the head; gives back whether that was all."""
        named = dict(start.get("headers", ()))
        headers = [(name, value) for name, value in start.get("headers", ()) if name not in _OURS]
        length = named.get(b"content-length")
        if more or self._exchange.method == "HEAD":
            self._exchange.start(start["status"], headers, length=None if length is None else int(length))
            return False
        self._exchange.reply(start["status"], headers, body)
        self._over.set()
        return True
