"""The way to the provider: HTTP/1.1 by httpx, to the base URL and nowhere else.

Redirects are not followed, for they would carry the prompt, and a key in a header of the provider's own, to another
host. The address is looked at once a connection is made and before anything is sent on it.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from splai.adapter.key import KeyMissing, no_key, read_key
from splai.api.json import encode_compact
from splai.providers.errors import UPSTREAM, RequestError, broken_answer
from splai.providers.protocol import Exchange, Provider
from splai.url_guard import AddressRefused, URLGuard

CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 600.0
"""Between two pieces of an answer, the first included: what OpenAI's clients wait for as well."""
MOST_ANSWER_BYTES: Final = 64 * 1024 * 1024
MOST_ERROR_BYTES: Final = 64 * 1024

_TIMEOUT = httpx.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS, write=60.0, pool=None)
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30.0)


class Upstream:
    """Sends requests to one provider."""

    def __init__(self, provider: Provider, guard: URLGuard, key_file: Path | None) -> None:
        self._provider = provider
        self._guard = guard
        self._key_file = key_file
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT,
            limits=_LIMITS,
            follow_redirects=False,
            headers={"User-Agent": "splai", "Accept-Encoding": "identity"},  # compressed events would come in lumps
            trust_env=True,  # a proxy and certificates of the pod's environment
        )

    async def close(self) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def send(self, exchange: Exchange) -> AsyncGenerator["Answer"]:
        """The answer, once its head has come with status 200; raises RequestError for any other.

        Leaving the context before its end closes the connection, by which the provider learns that nobody listens.
        """
        try:
            key = read_key(self._key_file)
        except KeyMissing as missing:
            raise no_key(missing) from missing
        request = self._client.build_request(
            "POST",
            self._provider.base_url + exchange.path,
            content=encode_compact(exchange.body),
            headers={"Content-Type": "application/json", **self._provider.headers(key)},
            extensions={"trace": self._guard.trace_async},
        )
        try:
            response = await self._client.send(request, stream=True)
        except (httpx.HTTPError, AddressRefused) as error:
            raise self._failure(error) from error
        answer = Answer(self._provider.name, response)
        try:
            if response.status_code != 200:
                reply = _json(await answer.read(MOST_ERROR_BYTES))
                raise self._provider.failure(response.status_code, response.headers, reply)
            yield answer
        finally:
            await response.aclose()

    def _failure(self, error: Exception) -> RequestError:
        name = self._provider.name
        if isinstance(error, AddressRefused):
            message = f"baseURL of {name} leads to an address that is refused: {error}"
            return RequestError(502, message, kind=UPSTREAM, code="address_refused", passes=False)
        return transport_failure(name, error)


class Answer:
    """An answer whose body is still to be read."""

    def __init__(self, name: str, response: httpx.Response) -> None:
        self._name = name
        self._response = response

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; raises RequestError when it breaks off."""
        try:
            async for piece in self._response.aiter_bytes():
                yield piece
        except httpx.HTTPError as error:
            raise transport_failure(self._name, error) from error

    async def json(self) -> Any:
        """The whole body; raises RequestError if it is no JSON, broken or too large."""
        return _json(await self.read(MOST_ANSWER_BYTES))

    async def read(self, most: int) -> bytes:
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > most:
                raise broken_answer(self._name, f"sent more than {most} bytes in one answer")
        return bytes(body)


def transport_failure(name: str, error: Exception) -> RequestError:
    """What became of a connection; httpx's own words may hold the URL, and are not passed on."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError | httpx.UnsupportedProtocol):
        return RequestError(502, f"{name} cannot be reached", kind=UPSTREAM, code="provider_unreachable")
    if isinstance(error, httpx.TimeoutException):
        return RequestError(504, f"{name} sent nothing for too long", kind=UPSTREAM, code="provider_timeout")
    return broken_answer(name, "broke off the connection before the answer was finished")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
