"""How requests fail, in OpenAI's shape: what the adapter's callers are told.

::

    the provider says                            the caller is told
    ─────────────────────────────────────────    ─────────────────────────────────────────────────────────────
    400, 409, 413, 422, 429, 500, 502, 503,      the same, in the provider's words, with its Retry-After
    504
    404                                          404 about the model: only its name can be unknown there
    408                                          504: the request was sent well, the answer took too long
    401, 402, 403, or a key that is none         502: the key is the backend's, and never the caller's to correct
    529, as Anthropic says that it is overloaded 503
    a redirect, or anything else                 502
"""

from collections.abc import Mapping
from typing import Any

INVALID_REQUEST = "invalid_request_error"
UPSTREAM = "upstream_error"

_SAME = frozenset((400, 409, 413, 422, 429, 500, 502, 503, 504))
_TRANSLATED = {408: 504, 529: 503}
_CREDENTIALS = frozenset((401, 402, 403))
_TYPES = {429: "rate_limit_error", 503: "service_unavailable_error"}


class RequestError(Exception):
    """A request that ends with an error; the message is for the caller, and is not to be logged."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID_REQUEST,
        code: str | None = None,
        param: str | None = None,
        retry_after: str | None = None,
        passes: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        """OpenAI's ``type``."""
        self.code = code
        self.param = param
        self.retry_after = retry_after
        self.passes = passes
        """Whether another try may do better, before somebody has corrected the backend."""

    def body(self) -> dict[str, Any]:
        """All four keys of OpenAI's object, and ``detail`` for clients of FastAPI servers, as the gateway has it."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error, "detail": self.message}


def invalid(param: str, message: str) -> RequestError:
    """A field of the request that is not what it should be."""
    return RequestError(400, f"{param}: {message}", param=param, code="invalid_value")


def unsupported(param: str, provider: str) -> RequestError:
    """A field that cannot be said in the provider's API: left out, it would give another answer than was asked for."""
    message = f"{param}: {provider} has nothing that does this; leave it out"
    return RequestError(400, message, param=param, code="unsupported_parameter")


def no_such_api(path: str, provider: str) -> RequestError:
    return RequestError(404, f"{provider} has nothing like {path}", code="unsupported_api")


def broken_answer(provider: str, what: str) -> RequestError:
    """An answer that is not whole, or not what the provider's reference says."""
    return RequestError(502, f"{provider} {what}", kind=UPSTREAM, code="stream_interrupted")


def provider_failure(
    provider: str,
    status: int,
    message: str | None,
    *,
    code: str | None = None,
    param: str | None = None,
    retry_after: str | None = None,
) -> RequestError:
    """What a reply that is no answer means; ``message`` is the provider's own."""
    words = message or f"{provider} answers with HTTP status {status}"
    if status in _CREDENTIALS:
        return credentials_refused(provider, f"HTTP status {status}")
    if status == 404:
        return RequestError(404, words, param="model", code="model_not_found")
    if status in _SAME or status in _TRANSLATED:
        status = _TRANSLATED.get(status, status)
        kind = _TYPES.get(status, UPSTREAM if status >= 500 else INVALID_REQUEST)
        return RequestError(status, words, kind=kind, code=code, param=param, retry_after=retry_after)
    hint = ": baseURL leads elsewhere by a redirect, which is not followed" if 300 <= status < 400 else ""
    return RequestError(
        502, f"{provider} answers with HTTP status {status}{hint}", kind=UPSTREAM, code="provider_error"
    )


def credentials_refused(provider: str, how: str) -> RequestError:
    message = f"{provider} refuses the key of remote.apiKeySecretRef ({how}); no key of the caller's was sent"
    return RequestError(502, message, kind=UPSTREAM, code="provider_refuses_key", passes=False)


def error_object(reply: Any) -> Mapping[str, Any]:
    """The ``error`` of a reply, which all providers call so; empty if there is none."""
    if isinstance(reply, list) and reply:
        reply = reply[0]  # Gemini puts it into a list where it would have streamed
    found = reply.get("error") if isinstance(reply, dict) else None
    if isinstance(found, str) and found:
        return {"message": found}
    return found if isinstance(found, dict) else {}
