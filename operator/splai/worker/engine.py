"""Requests to the engine over one connection each.

A kept-alive connection through a Service stays with the replica it first met, so replicas that are added later would
get nothing. Therefore every lane of the dispatcher has a client with a single connection of its own and opens a new
one after 30 seconds or 1,000 requests.
"""

import random
from collections.abc import Callable
from typing import Final as Constant

import aiohttp
from yarl import URL

from splai.resilience.retry import seconds_of
from splai.worker.outcome import Answer, NoAnswer, Reaction, Reset, Unreachable

CONNECTION_SECONDS: Constant = 30.0
CONNECTION_REQUESTS: Constant = 1000
CONNECT_TIMEOUT: Constant = 10.0
PROBE_TIMEOUT: Constant = 5.0
MAX_ANSWER: Constant = 8 * 1024 * 1024  # with its envelope a line of a part, which the store takes up to 16 MiB
_HEADERS = {"Content-Type": "application/json"}


class EngineClient:
    """Sends one request at a time."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        clock: Callable[[], float],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._url = URL(url)
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
        self._seconds = timeout
        self._clock = clock
        self._jitter = jitter
        self._session: aiohttp.ClientSession | None = None
        self._requests_left = 0
        self._expires_at = 0.0

    async def post(self, body: bytes, traceparent: bytes | None = None) -> Reaction:
        """Send a request and take what comes; never raises for anything that an engine or a network can do."""
        session = await self._current_session()
        headers = _HEADERS if traceparent is None else {**_HEADERS, "traceparent": traceparent.decode()}
        try:
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                content = await _read(response)
                if content is None:
                    return NoAnswer("response_too_large", f"The answer has more than {MAX_ANSWER >> 20} MiB.")
                return Answer(
                    response.status,
                    content,
                    response.headers.get("X-Request-Id", ""),
                    seconds_of(response.headers.get("Retry-After")),
                )
        except aiohttp.ClientPayloadError:
            return NoAnswer("broken_response", "The connection ended in the middle of the answer.")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Unreachable(describe(error))
        except TimeoutError:
            return NoAnswer("request_timeout", f"No answer within {self._seconds:g} seconds.")
        except (aiohttp.ClientConnectionError, OSError):
            return Reset()
        except aiohttp.ClientError as error:
            return NoAnswer("invalid_response", f"The answer is not HTTP: {type(error).__name__}.")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _current_session(self) -> aiohttp.ClientSession:
        now = self._clock()
        if self._session is None or self._requests_left == 0 or now >= self._expires_at:
            await self.close()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1), timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
            self._requests_left = CONNECTION_REQUESTS
            # Not all lanes at the same moment.
            self._expires_at = now + CONNECTION_SECONDS * (1 - self._jitter() / 5)
        self._requests_left -= 1
        return self._session


class EngineProbe:
    """Asks whether the engine takes requests."""

    def __init__(self, endpoint: str) -> None:
        self._url = URL(f"{endpoint}/v1/models")

    async def __call__(self) -> str:
        """Nothing if it does, else why not. A new connection each time, so that no old one answers."""
        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url, allow_redirects=False) as response,
            ):
                # An engine without this path works all the same.
                return f"HTTP {response.status}" if response.status >= 500 or response.status == 429 else ""
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return describe(error)


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None for one that is larger than any answer, and may have no end."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER:
            return None
    return bytes(content)


def describe(error: BaseException) -> str:
    """A network failure in words that name no content."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "the name of the backend's Service does not resolve"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()) | ConnectionRefusedError():
            return "connection refused"
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ServerDisconnectedError() | ConnectionResetError() | BrokenPipeError():
            return "connection reset"
        case aiohttp.ClientConnectorError(os_error=cause) if cause.strerror:
            return cause.strerror.lower()
        case _:
            return f"connection failed: {type(error).__name__}"
