"""A workflow behind HTTP: ``POST /workflow`` runs it; needs the extra ``gateway`` and any ASGI server."""

import logging
import math
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from splai.api.json import decode_strict

from .core import Step, WorkflowContext
from .errors import CircuitOpen, UnknownRoute
from .external_api import CORRELATION_HEADER
from .performance import MeasuredPrimitive

Cleanup = Callable[[WorkflowContext], Awaitable[None]]

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
_CORRELATION_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TYPES: Final = {500: "server_error", 503: "service_unavailable_error", 504: "server_error"}

_log = logging.getLogger(__name__)


def workflow_application(workflow: Step, *, cleanup: Cleanup | None = None) -> Starlette:
    """``POST /workflow`` with ``{"data": {…}}`` answers ``{"workflow_id": "req-<uuid4>", "result": …}``.

    The correlation id is the request's X-Correlation-ID, or the workflow id where there is none that can be logged; it
    is in the context and in the answer's header. ``cleanup`` runs after the answer, whether the workflow failed or not.
    """
    endpoint = _WorkflowEndpoint(workflow, cleanup)
    return Starlette(
        routes=[Route("/workflow", endpoint.run, methods=["POST"])], exception_handlers={HTTPException: _http_error}
    )


class _WorkflowEndpoint:
    def __init__(self, workflow: Step, cleanup: Cleanup | None) -> None:
        self._workflow = MeasuredPrimitive(primitive=workflow)
        self._cleanup = cleanup

    async def run(self, request: Request) -> Response:
        context = _context_of(request)
        headers = {CORRELATION_HEADER: context.correlation_id or context.workflow_id}
        try:
            data = _data_of(await _body_of(request))
        except HTTPException as refusal:
            return _error(refusal.status_code, refusal.detail, headers)
        started = time.perf_counter()
        response = await self._answer(data, context, headers)
        facts = {
            "workflow_id": context.workflow_id,
            "correlation_id": context.correlation_id,
            "status": response.status_code,
            "seconds": round(time.perf_counter() - started, 3),
        }
        _log.info("workflow", extra=facts)
        if self._cleanup:
            response.background = BackgroundTask(_clean_up, self._cleanup, context)
        return response

    async def _answer(self, data: dict[str, Any], context: WorkflowContext, headers: dict[str, str]) -> Response:
        try:
            result = await self._workflow.execute(data, context)
            return JSONResponse({"workflow_id": context.workflow_id, "result": result}, headers=headers)
        except UnknownRoute as error:
            return _error(400, str(error), headers)
        except TimeoutError:
            return _error(504, "The workflow took too long", headers)
        except CircuitOpen as error:
            retry_after = {"Retry-After": str(math.ceil(error.retry_in))}
            return _error(503, "A service that the workflow needs is not available", headers | retry_after)
        except Exception as error:
            # Not its words, which may hold contents.
            _log.error("workflow failed", extra={"workflow_id": context.workflow_id, "error": type(error).__name__})
            return _error(500, "The workflow failed", headers)


async def _clean_up(cleanup: Cleanup, context: WorkflowContext) -> None:
    try:
        await cleanup(context)
    except Exception as error:
        _log.error("cleanup failed", extra={"workflow_id": context.workflow_id, "error": type(error).__name__})


def _context_of(request: Request) -> WorkflowContext:
    workflow_id = f"req-{uuid.uuid4()}"
    correlation_id = request.headers.get(CORRELATION_HEADER, "")
    return WorkflowContext(workflow_id, correlation_id if _CORRELATION_ID.fullmatch(correlation_id) else workflow_id)


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"The body is larger than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _data_of(body: bytes) -> dict[str, Any]:
    try:
        document = decode_strict(body.decode())
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is not JSON") from None
    if not isinstance(document, dict):
        raise HTTPException(422, "The body must be a JSON object")
    if "data" not in document:
        raise HTTPException(422, "data is required")
    data = document["data"]
    if not isinstance(data, dict):
        raise HTTPException(422, "data must be a JSON object")
    return data


async def _http_error(_: Request, error: Exception) -> Response:
    """What Starlette refuses itself: another path, another method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for no other
    return _error(error.status_code, error.detail, error.headers or {})


def _error(status: int, message: str, headers: Mapping[str, str]) -> Response:
    """OpenAI's error object, all four keys; ``detail`` for clients that were written against FastAPI servers."""
    kind = _TYPES.get(status, "invalid_request_error")
    param = "data" if message.startswith("data ") else None
    error = {"message": message, "type": kind, "param": param, "code": None}
    return JSONResponse({"error": error, "detail": message}, status, dict(headers))
