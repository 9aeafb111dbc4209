"""What is at a path: a handler a method, and what all paths have in common (HEAD, OPTIONS, 405)."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

Handler = Callable[[Request], Awaitable[ASGIApp]]
"""Gives the reply: a Response, or another ASGI application that sends one while it comes."""

PREFLIGHT_SECONDS = 600


class Resource:
    """The ASGI application of one path.

    ``elsewhere`` are methods that never come here, because the hot path takes them, and that callers must be told of.
    """

    def __init__(self, handlers: Mapping[str, Handler], *, elsewhere: tuple[str, ...] = ()) -> None:
        self._handlers = dict(handlers)
        if "GET" in handlers:  # the observer drops the body
            self._handlers.setdefault("HEAD", handlers["GET"])
        self._methods = ", ".join(sorted({*self._handlers, *elsewhere, "OPTIONS"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        handler = self._handlers.get(request.method)
        if handler is not None:
            reply = await handler(request)
        elif request.method == "OPTIONS":
            reply = self._preflight(request)
        else:
            raise HTTPException(405, headers={"Allow": self._methods})
        await reply(scope, receive, send)

    def _preflight(self, request: Request) -> Response:
        """The answer to a browser's question, and to a bare OPTIONS."""
        headers = {
            "Allow": self._methods,
            "Access-Control-Allow-Methods": self._methods,
            "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
        return JSONResponse({"message": "OK"}, headers=headers)
