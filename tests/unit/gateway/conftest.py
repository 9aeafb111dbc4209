"""A running gateway with routes that the test sets, on the event loop that it has in production."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from splai.artifacts.client import ArtifactClient
from splai.gateway.application import gateway_handler
from splai.gateway.authorization import Authorization
from splai.gateway.endpoints.artifacts import Artifacts
from splai.gateway.http.engine_pool import EnginePool
from splai.gateway.http.limits import Limits
from splai.gateway.metrics import Metrics
from splai.gateway.routing.admission import Admission
from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import RouteTable, build_routes
from splai.gateway.routing.selection import Selection
from splai.gateway.server import listening
from splai.gateway.settings import GatewaySettings
from splai.tracing.span import Tracing
from tests.unit.gateway.scripted_engine import Script, ScriptedEngine, running_engine


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


_OF_A_BACKEND = ("scaled_to_zero", "native_responses", "runs_once")


@dataclass
class Gateway:
    """A running gateway, and what its test may turn."""

    ready: bool = True
    url: str = ""
    port: int = 0
    metrics: Metrics = field(default_factory=Metrics)
    selection: Selection = field(default_factory=lambda: Selection(chance=random.Random(1)))
    admission: Admission = field(default_factory=Admission)
    connections: EnginePool = field(default_factory=EnginePool)
    listeners: list[Callable[[RouteTable], None]] = field(default_factory=list)
    _table: RouteTable = field(default_factory=RouteTable)

    @property
    def table(self) -> RouteTable:
        return self._table

    @table.setter
    def table(self, table: RouteTable) -> None:
        self._table = table
        for listener in self.listeners:
            listener(table)

    def on_change(self, listener: Callable[[RouteTable], None]) -> None:
        self.listeners.append(listener)

    def serve(self, model: str, *addresses: str, aliases: tuple[str, ...] = (), **backend: Any) -> None:
        """The one backend there is, with engines at these addresses; what is left over goes to its policy."""
        own = {name: backend.pop(name) for name in _OF_A_BACKEND if name in backend}
        policy = Policy(**{"timeout": 5.0, **backend})
        served = Backend("team-a", "backend", 1700000000, model, aliases, policy, **own)
        self.table = build_routes([served], [Endpoints("team-a", "backend", addresses)])

    def leaked(self) -> dict[str, int]:
        """What is taken and was not given back; to be empty when nothing is in flight."""
        taken = {
            "leases": sum(self.selection.in_flight_by_backend().values()),
            "turns": self.admission.total,
            "connections": self.connections.in_use,
        }
        return {name: count for name, count in taken.items() if count}

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=10, trust_env=False)

    def value(self, name: str, **labels: str) -> float:
        """A metric's value; what was never counted is 0."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def running_gateway(
    *,
    store: ArtifactClient | None = None,
    settings: GatewaySettings | None = None,
    token: str = "",
    limits: Limits | None = None,
    selection: Selection | None = None,
    tracing: Tracing | None = None,
) -> AsyncIterator[Gateway]:
    settings = settings or GatewaySettings(access_log=False)
    gateway = Gateway(admission=Admission(most_in_flight=settings.max_in_flight))
    gateway.selection = selection or gateway.selection
    async with AsyncExitStack() as stack:
        if store is None:
            store = await stack.enter_async_context(ArtifactClient("http://127.0.0.1:1", Path("/nonexistent")))
        handler = await stack.enter_async_context(
            gateway_handler(
                settings,
                gateway,
                gateway.metrics,
                Authorization(token),
                Artifacts(store, settings.namespaces),
                ready=lambda: gateway.ready,
                selection=gateway.selection,
                admission=gateway.admission,
                engines=gateway.connections,
                tracing=tracing,
            )
        )
        server = await stack.enter_async_context(
            listening(handler, 0, host="127.0.0.1", drain_seconds=0.1, limits=limits)
        )
        gateway.port = server.port
        gateway.url = f"http://127.0.0.1:{gateway.port}"
        yield gateway


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with running_gateway() as gateway:
        yield gateway


class EngineRoom:
    """Starts engines that end with the test."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def start(self, script: Script) -> ScriptedEngine:
        return await self._stack.enter_async_context(running_engine(script))


@pytest.fixture
async def engines() -> AsyncIterator[EngineRoom]:
    async with AsyncExitStack() as stack:
        yield EngineRoom(stack)
