"""A request to a model, from the caller to an engine pod and back.

The request is parsed once, to learn its model; what goes on, and what comes back, are bytes. A reply is held until it
is known to be one (all of it, or its first whole event), so that an engine's failure up to there is an HTTP status.
After that nothing can be taken back: a stream that breaks says so in an `error` event.
"""

import asyncio
import json
import time
from contextlib import suppress

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from splai.gateway.endpoints.middleware import MAX_BODY_BYTES, MODEL, REQUEST_ID, STARTED, route_name
from splai.gateway.errors import completed_error_body, is_unknown_model
from splai.gateway.http.headers import forwarded, returned
from splai.gateway.inference.answer_stream import AnswerStream
from splai.gateway.inference.model_field import has_model, with_model
from splai.gateway.inference.request import InferenceRequest, parse_request
from splai.gateway.inference.sse import EventTooLarge
from splai.gateway.inference.upstream import BROKEN, Engines, Failure, failure_of
from splai.gateway.metrics import Metrics
from splai.gateway.routing.resolve import find_pool
from splai.gateway.routing.routes import RouteSource

ENGINE_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
_EVENT_STREAM = "text/event-stream"
MAX_REPLY_BYTES = 256 * 1024 * 1024
_END_SECONDS = 1.0


class ReplyTooLarge(Exception):
    """An engine sent more than any answer can have."""


class Relay:
    """The handlers of the routes that end at an engine."""

    def __init__(self, routes: RouteSource, engines: Engines, metrics: Metrics) -> None:
        self._routes = routes
        self._engines = engines
        self._metrics = metrics

    def handler(self, path: str) -> Handler:
        """Relays to ``path`` of an engine."""

        async def relay(http: web.Request) -> web.StreamResponse:
            return await self._relay(http, path)

        return relay

    async def _relay(self, http: web.Request, path: str) -> web.StreamResponse:
        if (http.content_length or 0) > MAX_BODY_BYTES:  # said before the body is read
            raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, http.content_length or 0)
        request = parse_request(await http.read())
        pool = find_pool(self._routes.table, request.model)
        http[MODEL] = request.model
        headers = forwarded(http.headers, http[REQUEST_ID])
        async with self._engines.reply(pool, path, request, headers) as upstream:
            if upstream.status >= 300:
                return await self._refusal(http, request, upstream)
            if upstream.headers.get("Content-Type", "").startswith(_EVENT_STREAM):
                return await self._stream(http, request, upstream)
            return await self._whole(http, request, upstream)

    async def _whole(
        self, http: web.Request, request: InferenceRequest, upstream: aiohttp.ClientResponse
    ) -> web.Response:
        body = await self._body(http, request, upstream)
        if not _is_delimited(upstream) and not _is_json(body):
            self._engines.count(request, BROKEN, http[REQUEST_ID])
            raise BROKEN.as_error()
        model = request.model.encode()
        self._first_byte(http)
        return web.Response(
            status=upstream.status,
            body=body if has_model(body, model) else with_model(body, model),
            headers=returned(upstream.headers),
        )

    async def _refusal(
        self, http: web.Request, request: InferenceRequest, upstream: aiohttp.ClientResponse
    ) -> web.Response:
        """An engine's error, unless it is one between the gateway and the engine that the caller cannot mend."""
        body = await self._body(http, request, upstream)
        status = upstream.status
        if status < 400 or status in (401, 403):
            failure = Failure("refused", 502, f"The engine refuses the gateway with HTTP status {status}")
        elif is_unknown_model(status, body):
            message = f"The engine behind '{request.model}' says that it does not serve this model"
            failure = Failure("model_mismatch", 502, message)
        else:
            if status >= 500:
                self._engines.count(request, Failure("server_error", status, ""), http[REQUEST_ID])
            headers = returned(upstream.headers) | {"Content-Type": "application/json"}
            return web.Response(status=status, body=completed_error_body(status, body), headers=headers)
        self._engines.count(request, failure, http[REQUEST_ID])
        raise failure.as_error()

    async def _body(self, http: web.Request, request: InferenceRequest, upstream: aiohttp.ClientResponse) -> bytes:
        try:
            return await _read(upstream)
        except (aiohttp.ClientError, TimeoutError, ReplyTooLarge) as error:
            failure = failure_of(error)
            self._engines.count(request, failure, http[REQUEST_ID])
            raise failure.as_error() from error

    async def _stream(
        self, http: web.Request, request: InferenceRequest, upstream: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        answer = AnswerStream(request)
        response: web.StreamResponse | None = None
        failure: Failure | None = None
        while not answer.done:
            try:
                data = await upstream.content.readany()
                events = answer.feed(data)
            except (aiohttp.ClientError, TimeoutError, EventTooLarge) as error:
                failure = failure_of(error)
                break
            if not data:
                break
            if events:
                response = response or await self._begin(http, upstream)
                await response.write(events)
        last = answer.end(failure.message if failure else None)
        if answer.was_cut:
            failure = failure or BROKEN
            self._engines.count(request, failure, http[REQUEST_ID])
            if response is None:
                raise failure.as_error()
        response = response or await self._begin(http, upstream)
        await response.write_eof(last)
        await _read_to_end(upstream)
        return response

    async def _begin(self, http: web.Request, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        headers = returned(upstream.headers) | {
            "Content-Type": _EVENT_STREAM,
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",  # nginx before us would hold events back
        }
        if http.keep_alive:
            headers["Connection"] = "keep-alive"
        response = web.StreamResponse(status=upstream.status, headers=headers)
        await response.prepare(http)
        self._first_byte(http)
        return response

    def _first_byte(self, http: web.Request) -> None:
        seconds = time.perf_counter() - http[STARTED]
        self._metrics.first_byte.labels(route_name(http), http[MODEL]).observe(seconds)


async def _read(upstream: aiohttp.ClientResponse) -> bytes:
    """The body; raises ReplyTooLarge."""
    body = bytearray()
    async for data in upstream.content.iter_any():
        body += data
        if len(body) > MAX_REPLY_BYTES:
            raise ReplyTooLarge
    return bytes(body)


async def _read_to_end(upstream: aiohttp.ClientResponse) -> None:
    """After [DONE] only the end of the body is due; with it read, the connection serves the next request."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            while not upstream.content.at_eof():
                await upstream.content.readany()


def _is_delimited(upstream: aiohttp.ClientResponse) -> bool:
    """Whether HTTP itself tells a whole body from one that broke off."""
    return "Content-Length" in upstream.headers or "Transfer-Encoding" in upstream.headers


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
