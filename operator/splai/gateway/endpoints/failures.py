"""Errors of the cold paths in the one shape that leaves the gateway."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from splai.gateway.errors import RequestError


class ReplyCut(Exception):
    """A reply that has begun cannot be completed: the server closes the connection, so that it shows."""


def error_response(error: RequestError) -> Response:
    """The whole reply."""
    return Response(error.body(), error.status, headers=error.headers, media_type="application/json")


async def _request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 - what Starlette's types cannot say
    return error_response(error)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    path, headers = request.scope["path"], error.headers
    match error.status_code:
        case 404:
            return error_response(RequestError(404, f"There is nothing at {path}", code="not_found"))
        case 405:
            message = f"{path} does not accept {request.method}"
            return error_response(RequestError(405, message, code="method_not_allowed", headers=headers))
    status = HTTPStatus(error.status_code)
    code = status.name.lower()
    return error_response(RequestError(status, status.phrase, code=code, headers=headers))


EXCEPTION_HANDLERS: dict[type[Exception], ExceptionHandler] = {
    RequestError: _request_error,
    HTTPException: _http_exception,
}
