"""One request to one engine of a pool, sent to another engine only while nothing has been answered."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
from yarl import URL

from splai.gateway.errors import UPSTREAM, RequestError
from splai.gateway.inference.request import InferenceRequest
from splai.gateway.metrics import Metrics
from splai.gateway.routing.routes import Pool, Target
from splai.gateway.routing.selection import Lease, Selection

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 600.0
# Below the 5 s after which uvicorn (vLLM) and cpp-httplib (llama.cpp) close an idle connection: what is sent into a
# closing connection is lost.
KEEP_ALIVE_SECONDS = 4.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """How an engine failed, as metrics, logs and callers are told; never the words of the engine's reply."""

    reason: str
    status: int
    message: str

    def as_error(self) -> RequestError:
        return RequestError(self.status, self.message, type=UPSTREAM, code=f"engine_{self.reason}")


UNREACHABLE = Failure("unreachable", 502, "The engine cannot be reached")
DISCONNECTED = Failure("disconnected", 502, "The engine closed the connection without an answer")
TIMED_OUT = Failure("timeout", 504, "The engine sent nothing for too long")
BROKEN = Failure("broken_reply", 502, "The engine's reply broke off or is not HTTP")


def failure_of(error: Exception) -> Failure:
    """The failure behind an exception of the HTTP client."""
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return UNREACHABLE
        case TimeoutError():
            return TIMED_OUT
        case aiohttp.ClientConnectionError():
            return DISCONNECTED
        case _:
            return BROKEN


def engine_session(*, idle_seconds: float = IDLE_SECONDS) -> aiohttp.ClientSession:
    """The connections to all engines; without a limit, because engines queue and the gateway must not."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class Engines:
    """Sends requests to the pods of pools."""

    def __init__(self, session: aiohttp.ClientSession, selection: Selection, metrics: Metrics) -> None:
        self._session = session
        self._selection = selection
        self._metrics = metrics

    @asynccontextmanager
    async def reply(
        self, pool: Pool, path: str, request: InferenceRequest, headers: dict[str, str]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """An engine's reply with its body still to be read; raises RequestError when there is none.

        Whoever leaves before the end of the body aborts the work: the connection closes, and so the engine learns it.
        """
        if not pool.is_ready:
            message = f"The model '{request.model}' has no ready replica"
            raise RequestError(
                503, message, type="service_unavailable_error", code="model_not_ready", headers={"Retry-After": "5"}
            )
        lease, response = await self._first_answer(pool, path, request, headers)
        try:
            yield response
        finally:
            response.close()
            lease.left()

    async def _first_answer(
        self, pool: Pool, path: str, request: InferenceRequest, headers: dict[str, str]
    ) -> tuple[Lease, aiohttp.ClientResponse]:
        target = self._pick(pool)
        try:
            return await self._send(target, path, request, headers)
        except aiohttp.ClientError as error:
            failure = failure_of(error)
            self.count(request, failure, headers["X-Request-ID"])
            other = self._selection.choose(pool, tried=(target.address,))
            if failure is UNREACHABLE and other:
                target = other
            elif failure is DISCONNECTED:  # an idle connection that closed just now is the usual cause
                target = other or target
            else:
                raise failure.as_error() from error
        try:
            return await self._send(target, path, request, headers)
        except aiohttp.ClientError as error:
            failure = failure_of(error)
            self.count(request, failure, headers["X-Request-ID"])
            raise failure.as_error() from error

    def _pick(self, pool: Pool) -> Target:
        target = self._selection.choose(pool)
        if target is None:
            raise UNREACHABLE.as_error()
        return target

    async def _send(
        self, target: Target, path: str, request: InferenceRequest, headers: dict[str, str]
    ) -> tuple[Lease, aiohttp.ClientResponse]:
        lease = self._selection.enter(target)
        try:
            return lease, await self._session.post(
                _engine_url(target.address, path),
                data=request.body_for(target.model),
                headers=headers,
                allow_redirects=False,
            )
        except BaseException:
            lease.left()
            raise

    def count(self, request: InferenceRequest, failure: Failure, request_id: str) -> None:
        """Count and log an engine's failure."""
        self._metrics.upstream_errors.labels(request.model, failure.reason).inc()
        facts = {"model": request.model, "reason": failure.reason, "request_id": request_id}
        _log.warning("engine failed", extra=facts)


@lru_cache(maxsize=4096)
def _engine_url(address: str, path: str) -> URL:
    """Parsing a URL costs more than looking it up."""
    return URL(f"http://{address}{path}")
