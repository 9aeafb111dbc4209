"""Steps that call HTTP APIs with a key from the environment."""

import os
import ssl
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, Final

import httpx

from .core import Function, WorkflowContext

CORRELATION_HEADER: Final = "X-Correlation-ID"
_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_NEEDED: Final = ("api_url", "payload", "api_key")


class _ApiKey(str):
    """A key that a logged or printed ``data`` does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


def with_api_key(key_name: str) -> Callable[[Function], Function]:
    """Decorates a step's function: its ``data`` gets ``api_key``, the value of that environment variable.

    The variable is read at each call, which raises ValueError where it is missing or empty. The caller's ``data`` stays
    as it is, so that the key is not cached, logged or sent with it by others.
    """

    def decorator(function: Function) -> Function:
        @wraps(function)
        async def with_key(data: Any, context: WorkflowContext) -> Any:
            key = os.environ.get(key_name)
            if not key:
                raise ValueError(f"Missing API key: {key_name}")
            return await function({**data, "api_key": _ApiKey(key)}, context)

        return with_key

    return decorator


async def call_api(data: Any, context: WorkflowContext) -> Any:
    """POST ``data["payload"]`` as JSON to ``data["api_url"]`` with ``data["api_key"]`` as bearer token.

    Returns the JSON of the answer. The context's correlation id goes along. Raises ValueError for a key of ``data``
    that is missing, httpx.HTTPStatusError for a status that is no success, httpx.TransportError without an answer, and
    json.JSONDecodeError for an answer that is no JSON.
    """
    if missing := [key for key in _NEEDED if key not in data]:
        raise ValueError(f"call_api needs {', '.join(missing)} in its data")
    headers = {"Authorization": f"Bearer {data['api_key']}"}
    if context.correlation_id is not None:
        headers[CORRELATION_HEADER] = context.correlation_id
    async with httpx.AsyncClient(verify=_trusted_authorities(), timeout=_TIMEOUT) as client:
        response = await client.post(data["api_url"], json=data["payload"], headers=headers)
    return response.raise_for_status().json()


@cache
def _trusted_authorities() -> ssl.SSLContext:
    """Read once: it takes longer than a quick call."""
    return httpx.create_ssl_context()
