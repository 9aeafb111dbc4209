"""What an apiserver's refusal means to us: each class is one reaction, not one status code."""

from typing import Any

from splai.kube.resource import Resource


class ApiError(Exception):
    """A request failed; the message is the apiserver's own."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason


class NotFound(ApiError):
    """404: the object, or the resource itself, does not exist."""


class AlreadyExists(ApiError):
    """409 on create: an object of that name is there, perhaps somebody else's."""


class Conflict(ApiError):
    """409: a precondition failed or another field manager owns a field; look again, then retry."""


class Invalid(ApiError):
    """400, 413, 415, 422: the same request will never succeed."""


class Forbidden(ApiError):
    """403: RBAC, a quota or an admission policy says no."""


class Gone(ApiError):
    """410: the resourceVersion or the continue token is too old; list again."""


class Throttled(ApiError):
    """429: the apiserver is busy; ``retry_after`` seconds is its wish."""

    def __init__(self, message: str, *, status: int = 429, reason: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after = retry_after


class Unavailable(ApiError):
    """5xx, or no answer at all: the request may or may not have happened."""


class VersionFell(Exception):
    """The apiserver is older than what it told us before: etcd was restored, and watches from before are silent."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: Invalid,
    415: Invalid,
    422: Invalid,
}


def error_from_status(code: int, body: Any, *, retry_after: str | None = None) -> ApiError:
    """The error for a reply with a metav1.Status (or any other) body."""
    status = body if isinstance(body, dict) else {}
    message = str(status.get("message") or body or f"HTTP {code}")[:2048]
    reason = str(status.get("reason") or "")
    if code == 429:
        return Throttled(message, reason=reason, retry_after=_seconds(retry_after))
    if code >= 500:
        return Unavailable(message, status=code, reason=reason)
    if reason == "AlreadyExists":
        return AlreadyExists(message, status=code, reason=reason)
    return _BY_STATUS.get(code, ApiError)(message, status=code, reason=reason)


def unreachable(resource: Resource, error: Exception) -> Unavailable:
    """The error for a request that got no reply; aiohttp's timeouts have no text of their own."""
    return Unavailable(f"no answer from the apiserver about {resource.name}: {str(error) or type(error).__name__}")


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 1))
    except ValueError:  # an HTTP date, which apiservers do not send
        return 1.0
