"""What every request gets, whatever its route: an id, CORS, errors in one shape, metrics."""

import logging
import re
import time
from http import HTTPStatus
from uuid import uuid4

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from splai.gateway.errors import SERVER, RequestError
from splai.gateway.metrics import Metrics
from splai.logs import origin

MAX_BODY_BYTES = 64 * 1024 * 1024

REQUEST_ID = web.RequestKey("request_id", str)
STARTED = web.RequestKey("started", float)
"""On the clock of time.perf_counter."""
MODEL = web.RequestKey("model", str)
"""Set once the asked model is known to exist, so that metrics have no other label values."""

CLIENT_LEFT = 499
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_log = logging.getLogger(__name__)


def request_observer(metrics: Metrics) -> Middleware:
    """The gateway's one middleware."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = request[STARTED] = time.perf_counter()
        asked_id = request.headers.get("X-Request-ID", "")
        request[REQUEST_ID] = asked_id if _REQUEST_ID.fullmatch(asked_id) else uuid4().hex
        request[MODEL] = ""
        code = CLIENT_LEFT  # unless an answer says otherwise: a caller that leaves cancels this coroutine
        metrics.in_flight.labels("").inc()
        try:
            response = await _respond(request, handler)
            code = response.status
            return response
        finally:
            metrics.in_flight.labels("").dec()
            route, model = route_name(request), request[MODEL]
            metrics.requests.labels(route, model, str(code)).inc()
            metrics.duration.labels(route, model).observe(time.perf_counter() - started)

    return observe


def route_name(request: web.Request) -> str:
    """The pattern of the route, a bounded set, or ``none``."""
    resource = request.match_info.route.resource
    return "none" if resource is None else resource.canonical


async def add_common_headers(request: web.Request, response: web.StreamResponse) -> None:
    """A signal handler: runs before the headers of any response leave. Any origin may call: there is no auth yet."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "X-Request-ID, Retry-After"
    if REQUEST_ID in request:
        response.headers["X-Request-ID"] = request[REQUEST_ID]


async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConnectionError:
        if request.transport is not None and not request.transport.is_closing():
            raise
        return web.Response(status=CLIENT_LEFT)  # nobody reads it: the caller has gone in mid-answer
    except web.HTTPMethodNotAllowed as error:
        if request.method == "OPTIONS":
            return _preflight(request, error.allowed_methods)
        return _error_response(_as_request_error(request, error))
    except Exception as error:
        if request.writer.output_size:
            raise  # nothing can be taken back: aiohttp closes the connection, so that a cut answer shows as one
        return _error_response(_as_request_error(request, error))


def _as_request_error(request: web.Request, error: Exception) -> RequestError:
    match error:
        case RequestError():
            return error
        case web.HTTPMethodNotAllowed():
            message = f"{request.path} does not accept {request.method}"
            return RequestError(405, message, code="method_not_allowed", headers={"Allow": error.headers["Allow"]})
        case web.HTTPNotFound():
            return RequestError(404, f"There is nothing at {request.path}", code="not_found")
        case web.HTTPRequestEntityTooLarge():
            message = f"The request body is larger than {MAX_BODY_BYTES >> 20} MiB"
            return RequestError(413, message, code="request_too_large")
        case web.HTTPException():
            return RequestError(error.status, error.reason)
    facts = {"route": route_name(request), "request_id": request[REQUEST_ID]}
    _log.error("request failed", extra=facts | origin(error))
    return RequestError(500, "Error processing request: internal error", type=SERVER, code="internal_error")


def _error_response(error: RequestError) -> web.Response:
    return web.Response(
        status=error.status,
        reason=HTTPStatus(error.status).phrase,
        body=error.body(),
        content_type="application/json",
        headers=error.headers,
    )


def _preflight(request: web.Request, methods: set[str]) -> web.Response:
    """The answer to a browser's question, and to a bare OPTIONS."""
    headers = {
        "Allow": ", ".join(sorted(methods | {"OPTIONS"})),
        "Access-Control-Allow-Methods": ", ".join(sorted(methods | {"OPTIONS"})),
        "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
        "Access-Control-Max-Age": "600",
    }
    return web.json_response({"message": "OK"}, headers=headers)
