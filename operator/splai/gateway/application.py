"""What the gateway is made of: from a source of routes to the handler of all that callers can ask for."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, Protocol

from splai.gateway.access_log import AccessLog
from splai.gateway.authorization import Authorization
from splai.gateway.dispatch import dispatcher
from splai.gateway.endpoints.application import endpoints_application
from splai.gateway.endpoints.artifacts import Artifacts
from splai.gateway.endpoints.documents import Branding, Documents
from splai.gateway.endpoints.health import Health
from splai.gateway.endpoints.models import Models
from splai.gateway.http.asgi import asgi_handler
from splai.gateway.http.engine_pool import EnginePool
from splai.gateway.http.exchange import Handler
from splai.gateway.inference.attempts import Attempts
from splai.gateway.inference.relay import Relay
from splai.gateway.metric_families import BackendState
from splai.gateway.metrics import Metrics
from splai.gateway.routing.admission import Admission
from splai.gateway.routing.hold import Hold
from splai.gateway.routing.routes import RouteSource, RouteTable
from splai.gateway.routing.selection import Selection
from splai.gateway.settings import GatewaySettings
from splai.resilience.cache import MemoryStore, ResponseCache
from splai.resilience.circuit_breaker import State
from splai.resilience.redis_store import RedisStore
from splai.tracing.span import Tracing

_FROM_BEST: Final[tuple[State, ...]] = ("closed", "half_open", "open")


class ObservedRoutes(RouteSource, Protocol):
    """A source of tables that tells of each new one."""

    def on_change(self, listener: Callable[[RouteTable], None]) -> None:
        """Call the listener with each new table."""


@asynccontextmanager
async def gateway_handler(
    settings: GatewaySettings,
    routes: ObservedRoutes,
    metrics: Metrics,
    authorization: Authorization,
    artifacts: Artifacts,
    *,
    ready: Callable[[], bool],
    selection: Selection | None = None,
    admission: Admission | None = None,
    hold: Hold | None = None,
    engines: EnginePool | None = None,
    tracing: Tracing | None = None,
) -> AsyncGenerator[Handler]:
    """The handler of everything that callers can ask for, and what it stands on."""
    engines = engines or EnginePool()
    selection = selection or Selection()
    admission = admission or Admission(most_in_flight=settings.max_in_flight)
    hold = hold or new_hold(settings, routes)
    attempts = Attempts(routes, engines, selection, metrics)
    redis = RedisStore(settings.redis_url) if settings.redis_url else None
    access_log = AccessLog() if settings.access_log else None

    def states() -> Iterable[BackendState]:
        return backend_states(routes.table, selection)

    def changed(table: RouteTable) -> None:
        for part in (selection, admission, hold, attempts):
            part.update(table)
        metrics.retain(models={*table.pools, *table.listed}, backends=table.backends.keys())

    routes.on_change(changed)
    metrics.show_backends(states)
    relay = Relay(
        routes=routes,
        hold=hold,
        admission=admission,
        attempts=attempts,
        cache=ResponseCache(redis or MemoryStore(settings.cache_bytes)),
        metrics=metrics,
        access_log=access_log,
        tracing=tracing,
    )
    endpoints = endpoints_application(
        models=Models(routes),
        artifacts=artifacts,
        documents=Documents(Branding(settings.title, settings.description)),
        health=Health(states, {"redis": redis.answers} if redis else {}),
        metrics=metrics,
        ready=ready,
    )
    try:
        yield dispatcher(authorization, relay, asgi_handler(endpoints))
    finally:
        engines.close()
        if redis is not None:
            await redis.close()
        if access_log is not None:
            access_log.close()


def new_hold(settings: GatewaySettings, routes: RouteSource) -> Hold:
    """For requests that wait for a first pod."""
    return Hold(routes, max_hold=settings.max_hold_seconds, most_held=settings.max_held)


def backend_states(table: RouteTable, selection: Selection) -> Iterable[BackendState]:
    """Which backends could take a request now: one pod that may be asked is enough."""
    for backend in table.backends.values():
        namespace, _, name = backend.key.partition("/")
        states = {selection.state(address) for address in backend.addresses}
        breaker: State = next((state for state in _FROM_BEST if state in states), "closed")
        available = backend.at_zero or (bool(states) and breaker != "open")
        yield BackendState(namespace, name, available, breaker)
