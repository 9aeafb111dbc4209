"""The one shape of every error that leaves the gateway.

``error`` is OpenAI's object, all four keys always there because SDKs read them unguarded; ``detail`` is its message
once more, for clients that were written against FastAPI servers.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from splai.api.json import compact_text
from splai.logs import origin

_log = logging.getLogger(__name__)

INVALID_REQUEST = "invalid_request_error"
UPSTREAM = "upstream_error"
SERVER = "server_error"

UNFINISHED_STREAM = "The engine ended the stream before the answer was finished"
GIVEN_UP_STREAM = "The engine gave up before the answer was finished"
_CODES = {408: "request_timeout", 413: "request_too_large", 431: "headers_too_large", 503: "overloaded"}
_TYPES = {429: "rate_limit_error", 500: SERVER, 503: "service_unavailable_error"}


class RequestError(Exception):
    """A request that ends with an error reply; the message is for the caller and never quotes a prompt or an answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = INVALID_REQUEST,  # noqa: A002 - OpenAI's own word
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    def header_pairs(self) -> list[tuple[bytes, bytes]]:
        """The headers of the reply, as the HTTP server takes them."""
        own = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        if seconds := self.headers.get("Retry-After"):
            own.append((b"retry-after-ms", b"%d" % (1000 * int(seconds))))  # which OpenAI's SDKs read first
        return [*own, (b"content-type", b"application/json")]

    def body(self) -> bytes:
        return error_body(self.message, type=self.type, code=self.code, param=self.param)


def internal_error(error: Exception, *, route: str, request_id: str) -> RequestError:
    """What callers are told of a fault of ours; the log gets its type and place, never its words."""
    _log.error("request failed", extra={"route": route, "request_id": request_id, **origin(error)})
    return RequestError(500, "Error processing request: internal error", type=SERVER, code="internal_error")


def error_body(message: str, *, type: str, code: str | None, param: str | None = None) -> bytes:  # noqa: A002
    """The error as JSON on one line, so that it also fits into one SSE event."""
    error = {"message": message, "type": type, "param": param, "code": code}
    return _encode({"error": error, "detail": message})


def error_body_of(status: int, message: str) -> bytes:
    """The error of a request that was refused as HTTP, before anybody looked at what it asks for."""
    kind = _TYPES.get(status, SERVER if status >= 500 else INVALID_REQUEST)
    return error_body(message, type=kind, code=_CODES.get(status, "bad_request"))


def completed_error_body(status: int, body: bytes) -> bytes:
    """An engine's error reply with the keys that it left out; what it says itself stays."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        reply = None
    found = _error_object(reply)
    message = str(found.get("message") or f"The engine answers with HTTP status {status}")
    code = found.get("code")
    error = {
        **found,
        "message": message,
        "type": found.get("type") or _TYPES.get(status, UPSTREAM if status >= 500 else INVALID_REQUEST),
        "param": found.get("param"),
        "code": code if code is None else str(code),
    }
    return _encode({"error": error, "detail": message})


def is_unknown_model(status: int, body: bytes) -> bool:
    """Whether an engine's error says that it does not serve the model: as OpenAI says it, or as vLLM does."""
    if status != 404:
        return False
    try:
        found = _error_object(json.loads(body))
    except (ValueError, RecursionError):
        return False
    return found.get("code") == "model_not_found" or found.get("param") == "model"


def _error_object(reply: Any) -> dict[str, Any]:
    """OpenAI's ``error``, or whatever an engine has in its place."""
    if not isinstance(reply, dict):
        return {}
    error = reply.get("error")
    if isinstance(error, dict):
        return error
    for text in (error, reply.get("message"), reply.get("detail")):
        if isinstance(text, str) and text:
            return {"message": text}
    return {}


def _encode(value: dict[str, Any]) -> bytes:
    """As UTF-8; half of a surrogate pair, which JSON can hold and UTF-8 cannot, stays an escape."""
    return compact_text(value).encode(errors="backslashreplace")
