"""Around all cold paths: metrics by route, HEAD without a body, and what becomes of faults and of callers that left."""

import time
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from splai.gateway.endpoints.failures import ReplyCut, error_response
from splai.gateway.errors import internal_error
from splai.gateway.http.asgi import REQUEST_ID
from splai.gateway.metrics import CALLER_LEFT, Metrics


class CallerLeft(Exception):
    """Nobody reads the reply any more."""


class Observer:
    """A pure ASGI middleware: a stream passes through it piece by piece."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        in_flight = self._metrics.in_flight.labels("")
        reply = _Reply(send, bodiless=scope["method"] == "HEAD")
        in_flight.inc()
        try:
            await self._answer(scope, receive, reply)
        finally:  # also when a caller that leaves cancels this task
            in_flight.dec()
            route = route_name(scope)
            self._metrics.requests.labels(route, "", str(reply.code)).inc()
            self._metrics.duration.labels(route, "").observe(time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        try:
            await self._app(scope, receive, reply.send)
        except CallerLeft:
            reply.code = CALLER_LEFT
        except ReplyCut:
            reply.code = reply.status
            raise
        except Exception as error:
            told = internal_error(error, route=route_name(scope), request_id=scope.get(REQUEST_ID, ""))
            if reply.started:
                reply.code = reply.status
                raise ReplyCut from None
            await error_response(told)(scope, receive, reply.send)


class _Reply:
    """What was sent so far."""

    def __init__(self, send: Callable[[Message], Awaitable[None]], *, bodiless: bool) -> None:
        self._send = send
        self._bodiless = bodiless
        self.status = CALLER_LEFT
        self.started = False
        self.code = CALLER_LEFT
        """Of the whole reply: until its end was sent, that of a caller that left."""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
        elif self._bodiless:
            message = {**message, "body": b""}
        try:
            await self._send(message)
        except OSError as error:  # as ASGI 2.4 tells a closed connection
            raise CallerLeft from error
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.code = self.status


def route_name(scope: Scope) -> str:
    """The pattern of the route, a bounded set, or ``none``."""
    route = scope.get("route")
    return "none" if route is None else str(route.path_format)
