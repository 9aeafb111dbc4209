"""The adapter's HTTP API: what OpenAI's clients, the gateway and workers call.

::

    nothing said yet, the provider fails ─▶ an HTTP status, so that another try may go elsewhere
    something said, the provider fails   ─▶ an `error` event, then [DONE], as the gateway has it; never a finish_reason
    the caller leaves                    ─▶ the request to the provider is given up
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from splai.adapter.metrics import Metrics
from splai.adapter.upstream import Answer, Upstream
from splai.api.json import decode_strict, encode_compact
from splai.logs import origin
from splai.providers.errors import RequestError, broken_answer, invalid
from splai.providers.protocol import CHAT, COMPLETIONS, EMBEDDINGS, AnswerStream, Identity, Object, Provider
from splai.providers.server_sent_events import EventReader, EventTooLarge

APIS = (CHAT, COMPLETIONS, EMBEDDINGS)
CALLER_LEFT = "499"
INTERRUPTED = "interrupted"
_DONE = b"data: [DONE]\n\n"
_STREAM_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
_log = logging.getLogger(__name__)


class Handlers:
    """Answers for one model of one provider."""

    def __init__(self, provider: Provider, upstream: Upstream, served: tuple[str, ...], metrics: Metrics) -> None:
        self._provider = provider
        self._upstream = upstream
        self._served = served
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        apis = [web.post(f"/v1{api}", self._counted(api)) for api in APIS]
        return [*apis, web.get("/v1/models", self._models), web.get("/health", _healthy)]

    async def _models(self, _: web.Request) -> web.Response:
        models = [{"id": it, "object": "model", "created": 0, "owned_by": self._provider.name} for it in self._served]
        return _json({"object": "list", "data": models})

    def _counted(self, api: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            started = time.monotonic()
            code = CALLER_LEFT
            with self._metrics.in_flight.track_inprogress():
                try:
                    response, code = await self._answered(api, request)
                finally:
                    self._metrics.answered(api, code, time.monotonic() - started)
            return response

        return handle

    async def _answered(self, api: str, request: web.Request) -> tuple[web.StreamResponse, str]:
        """The reply, and how it is counted."""
        reply = _Reply(request)
        try:
            response = await self._answer(api, request, reply)
        except RequestError as error:
            self._tell(api, error)
            if reply.response is None:
                return _error(error), str(error.status)
            await reply.write([encode_compact(error.body())])
            return await reply.finish(), INTERRUPTED
        except (ConnectionError, asyncio.CancelledError):  # nobody is left to be answered
            raise
        except Exception as error:
            _log.error("request failed", extra={"api": api, **origin(error)})
            if reply.response is not None:
                raise  # the connection is closed, so that the answer shows as cut
            return _error(RequestError(500, "internal error of the adapter", kind="server_error")), "500"
        return response, str(response.status)

    async def _answer(self, api: str, request: web.Request, reply: "_Reply") -> web.StreamResponse:
        document = await _document(request)
        self._check_model(document)
        identity = Identity(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), str(document["model"]))
        exchange = self._provider.exchange(api, document, identity)
        async with self._upstream.send(exchange) as answer:
            if document.get("stream") and api != EMBEDDINGS:
                await self._relay(answer, exchange.stream(), reply)
                return await reply.finish()
            return _json(exchange.whole(await answer.json()))

    async def _relay(self, answer: Answer, stream: AnswerStream, reply: "_Reply") -> None:
        """Write chunks as they come; raises RequestError for an answer that does not end well."""
        reader = EventReader()
        async for piece in answer.pieces():
            try:
                events = reader.feed(piece)
            except EventTooLarge as error:
                raise broken_answer(self._provider.name, "sent an event that is too large") from error
            for event in events:
                await reply.write(encode_compact(chunk) for chunk in stream.feed(event))
                if stream.done:
                    break
            if stream.done:
                break
        else:
            for event in reader.end():
                await reply.write(encode_compact(chunk) for chunk in stream.feed(event))
        await reply.write(encode_compact(chunk) for chunk in stream.end())

    def _check_model(self, document: Object) -> None:
        """Raises RequestError for a model that is served elsewhere, if at all."""
        model = document.get("model")
        if not isinstance(model, str):
            raise invalid("model", "must be a text")
        if model not in self._served:
            message = f"The model '{model}' is not served here; there are: {', '.join(self._served)}"
            raise RequestError(404, message, param="model", code="model_not_found")

    def _tell(self, api: str, error: RequestError) -> None:
        """A provider's failure, without its words: they may quote the prompt."""
        if error.status >= 500 or error.status == 429:
            _log.warning(
                "the provider failed",
                extra={"api": api, "provider": self._provider.name, "status": error.status, "code": error.code},
            )


class _Reply:
    """A streamed reply that begins with its first data."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response: web.StreamResponse | None = None

    async def write(self, documents: Iterable[bytes]) -> None:
        events = b"".join(b"data: " + document + b"\n\n" for document in documents)
        if events:
            await (await self._begun()).write(events)

    async def finish(self) -> web.StreamResponse:
        response = await self._begun()
        await response.write(_DONE)
        await response.write_eof()
        return response

    async def _begun(self) -> web.StreamResponse:
        if self.response is None:
            self.response = web.StreamResponse(headers=_STREAM_HEADERS)
            await self.response.prepare(self._request)
        return self.response


async def _document(request: web.Request) -> Object:
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestError(413, "the request is too large", code="request_too_large") from error
    try:
        document = decode_strict(body.decode())
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RequestError(400, "the request is no JSON object", code="invalid_json")
    return document


def _json(document: Object) -> web.Response:
    return web.Response(body=encode_compact(document), content_type="application/json")


def _error(error: RequestError) -> web.Response:
    headers = {"Retry-After": error.retry_after} if error.retry_after else {}
    if not error.passes:
        headers["X-Should-Retry"] = "false"
    body = encode_compact(error.body())
    return web.Response(status=error.status, body=body, content_type="application/json", headers=headers)


async def _healthy(_: web.Request) -> web.Response:
    """Ready without asking the provider: its state is no reason to restart what merely calls it."""
    return web.Response(text="ok\n")
