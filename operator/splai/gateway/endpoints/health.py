"""How the gateway and what it stands on are: for people at ``/health``, for probes at ``/healthz`` and ``/readyz``.

``/health`` always answers 200, so it is no probe. Its four checks are those that dashboards of SPLAI know; a check
that has nothing to look at reports true, because nothing that is configured fails:

==========  ======================================================================================================
database    the record of jobs and backends; for the gateway that is the Kubernetes API, as its watches see it
redis       the shared cache and limits; true without one
vector_db   none of SPLAI's own parts has one: true, unless an installation adds a check
llm_api     a backend can be asked, or there is none to ask; ``backends`` says it of each
==========  ======================================================================================================
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from splai.gateway.metric_families import BackendStates
from splai.logs import origin

CHECKS = ("database", "redis", "vector_db", "llm_api")
CHECK_SECONDS = 1.0
KEPT_SECONDS = 3.0

Check = Callable[[], Awaitable[bool]]
"""Whether a part does its work; an exception means no, and so does an answer that takes longer than a second."""

_log = logging.getLogger(__name__)


class Health:
    """The handler of ``/health``; however many ask, the parts are looked at once in ``KEPT_SECONDS``."""

    def __init__(
        self,
        backends: BackendStates,
        checks: Mapping[str, Check] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        """Raises ValueError for a check of another name."""
        self._checks = dict(checks or {})
        if unknown := self._checks.keys() - set(CHECKS):
            raise ValueError(f"A health check is one of {', '.join(CHECKS)}, not {', '.join(sorted(unknown))}")
        self._backends = backends
        self._clock = clock
        self._check_seconds = check_seconds
        self._looking: asyncio.Task[bytes] | None = None
        self._looked_at = float("-inf")

    async def report(self, _: Request) -> Response:
        """The newest report."""
        if self._looking is None or (self._looking.done() and self._clock() - self._looked_at >= KEPT_SECONDS):
            self._looking = asyncio.create_task(self._look())
        # Shielded: a caller that leaves takes the report of the others with it otherwise.
        return Response(await asyncio.shield(self._looking), media_type="application/json")

    async def _look(self) -> bytes:
        backends = {f"{state.namespace}/{state.name}": state.available for state in self._backends()}
        found = dict(zip(self._checks, await asyncio.gather(*map(self._check, self._checks)), strict=True))
        unchecked = dict.fromkeys(CHECKS, True) | {"llm_api": any(backends.values()) or not backends}
        checks = unchecked | found
        self._looked_at = self._clock()
        status = "healthy" if all(checks.values()) else "degraded"
        return orjson.dumps({"status": status, "checks": checks, "backends": backends})

    async def _check(self, name: str) -> bool:
        try:
            async with asyncio.timeout(self._check_seconds):
                return bool(await self._checks[name]())
        except Exception as error:
            _log.warning("health check failed", extra={"check": name, **origin(error)})
            return False


async def alive(_: Request) -> Response:
    """The event loop turns."""
    return JSONResponse({"status": "ok"})


def readiness(ready: Callable[[], bool]) -> Callable[[Request], Awaitable[Response]]:
    """The handler of ``/readyz``: whether requests should come here."""

    async def handler(_: Request) -> Response:
        if ready():
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "routes are not known yet, or the gateway is stopping"}, status_code=503)

    return handler
