"""The process of a workflow backend: ``/v1/chat/completions``, ``/v1/models`` and ``/health``.

Requests run side by side on one event loop, so a workflow must not block it. When a caller leaves, its run is
cancelled.
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from splai.api.base import wrong_fields
from splai.api.json import compact_text, decode_strict
from splai.api.openai_chat import ChatCompletionRequest, ModelsResponse, OpenAIError
from splai.api.pod_contract import TERMINATION_LOG
from splai.logs import configure_logging, origin
from splai.serving import listening
from splai.signals import told_to_stop
from splai.workflows.answering import Answering, WorkflowFailed
from splai.workflows.loading import WorkflowInvalid, load
from splai.workflows.registry import UnknownWorkflow, WorkflowRegistry
from splai.workflows.streaming import Completion, openai_error

MAX_BODY_BYTES: Final = 64 * 1024 * 1024  # as at the gateway
SHUTDOWN_SECONDS: Final = 50.0
"""For answers that have begun: what a pod has left of its grace after it has left the Service."""

_STREAM_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "Connection": "keep-alive"}
# A workflow may have done something before it failed: SDKs must not do it again by themselves.
_ONCE = {"X-Should-Retry": "false"}

_log = logging.getLogger(__name__)


def serve(target: str, models: Sequence[str], *, code: Path | None, port: int) -> None:
    """Serve the callable under the model ids until SIGTERM; ends with a message where there is nothing to serve."""
    configure_logging("workflow", level=os.environ.get("SPLAI_LOG_LEVEL") or "INFO")
    try:
        registered = load(target, code)
    except WorkflowInvalid as error:
        _leave_termination_message(str(error))
        sys.exit(str(error))
    for model in models:
        WorkflowRegistry.register(model, registered.workflow, create_initial_state=registered.create_initial_state)
    asyncio.run(_run(port))


async def _run(port: int) -> None:
    stop = told_to_stop()
    async with serving(port):
        models = [model.id for model in WorkflowRegistry.get_available_models()]
        _log.info("serving a workflow", extra={"port": port, "models": models})
        await stop.wait()
        _log.info("stopping")


def serving(port: int, host: str | None = None) -> AbstractAsyncContextManager[int]:
    """The port, while what the registry holds is served there; 0 takes any free one."""
    return listening(build_app(), port, host, shutdown_seconds=SHUTDOWN_SECONDS, handler_cancellation=True)


def build_app() -> web.Application:
    """Serves what the registry holds at the time of each request."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_answering])
    app.add_routes(
        [
            web.post("/v1/chat/completions", _chat_completions),
            web.get("/v1/models", _list_models),
            web.get("/v1/models/{model:.+}", _retrieve_model),
            web.get("/health", _healthy),
        ]
    )
    return app


async def _chat_completions(request: web.Request) -> web.StreamResponse:
    try:
        asked = ChatCompletionRequest.model_validate(decode_strict((await request.read()).decode()))
    except ValidationError as error:
        fields = wrong_fields(error)
        return _error(400, openai_error(f"The request is not a chat completion: see {fields}", param=fields))
    except (ValueError, RecursionError):
        return _error(400, openai_error("The request body is not JSON", code="invalid_json"))
    answering = Answering(asked, WorkflowRegistry.find(asked.model), Completion(asked.model))
    try:
        return await (_stream(request, answering) if asked.stream else _whole(answering))
    finally:
        answering.log(request.headers.get("X-Request-Id", ""))


async def _whole(answering: Answering) -> web.StreamResponse:
    try:
        answer = await answering.whole()
    except WorkflowFailed as error:
        return _error(500, openai_error(str(error), type="server_error"), _ONCE)
    return _json(200, compact_text(answer.model_dump(exclude_none=True)))


async def _stream(request: web.Request, answering: Answering) -> web.StreamResponse:
    response = web.StreamResponse(headers=_STREAM_HEADERS)
    await response.prepare(request)
    async with aclosing(answering.events()) as events:
        async for event in events:
            await response.write(_bytes(event))
    await response.write_eof()
    return response


async def _list_models(_: web.Request) -> web.Response:
    models = ModelsResponse(object="list", data=WorkflowRegistry.get_available_models())
    return _json(200, models.model_dump_json())


async def _retrieve_model(request: web.Request) -> web.Response:
    name = request.match_info["model"]
    found = next((model for model in WorkflowRegistry.get_available_models() if model.id == name), None)
    if found is None:
        raise UnknownWorkflow(name)
    return _json(200, found.model_dump_json())


async def _healthy(_: web.Request) -> web.Response:
    return web.json_response({"status": "healthy"})


@web.middleware
async def _answering(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal in OpenAI's shape."""
    try:
        return await handler(request)
    except UnknownWorkflow as error:
        return _error(404, openai_error(str(error), param="model", code="model_not_found"))
    except web.HTTPException as refusal:
        return _error(refusal.status, openai_error(f"{refusal.reason}: {request.method} {request.path}"))
    except ConnectionError:  # the caller is gone
        raise
    except Exception as error:
        if request.writer.output_size:  # the answer has begun: only breaking it off tells that it is not whole
            raise
        _log.error("request failed", extra=origin(error))
        return _error(500, openai_error("Error processing request: internal error", type="server_error"))


def _error(status: int, error: OpenAIError, headers: dict[str, str] | None = None) -> web.Response:
    response = _json(status, compact_text(error.model_dump()))
    response.headers.update(headers or {})
    return response


def _json(status: int, text: str) -> web.Response:
    return web.Response(status=status, body=_bytes(text), content_type="application/json")


def _bytes(text: str) -> bytes:
    """As UTF-8; half of a surrogate pair, which JSON can hold and UTF-8 cannot, becomes an escape."""
    return text.encode(errors="backslashreplace")


def _leave_termination_message(message: str) -> None:
    """Where the kubelet reads it, so that the backend's status can show it; outside a pod there is no such place."""
    with contextlib.suppress(OSError):
        Path(TERMINATION_LOG).write_text(message)
