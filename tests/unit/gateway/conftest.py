"""A running gateway with routes that the test sets, on the event loop that it has in production."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvloop

from splai.artifacts.client import ArtifactClient
from splai.gateway.endpoints.artifacts import Artifacts
from splai.gateway.endpoints.models import Models
from splai.gateway.endpoints.old_application import gateway_application
from splai.gateway.inference.relay import Relay
from splai.gateway.inference.upstream import Engines, engine_session
from splai.gateway.metrics import Metrics
from splai.gateway.routing.observed import Backend, Endpoints
from splai.gateway.routing.routes import RouteTable, build_routes
from splai.gateway.routing.selection import Selection
from splai.gateway.server import listening
from tests.unit.gateway.scripted_engine import Script, ScriptedEngine, running_engine


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@dataclass
class Gateway:
    """A running gateway, and what its test may turn."""

    table: RouteTable = field(default_factory=RouteTable)
    ready: bool = True
    url: str = ""
    port: int = 0
    metrics: Metrics = field(default_factory=Metrics)
    selection: Selection = field(default_factory=lambda: Selection(chance=random.Random(1)))

    def serve(self, model: str, *addresses: str, aliases: tuple[str, ...] = ()) -> None:
        """The one backend there is, with engines at these addresses."""
        backend = Backend("team-a", "backend", 1700000000, model, aliases)
        self.table = build_routes([backend], [Endpoints("team-a", "backend", addresses)])

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=10, trust_env=False)

    def value(self, name: str, **labels: str) -> float:
        """A metric's value; what was never counted is 0."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def running_gateway(
    *, store: ArtifactClient | None = None, namespaces: tuple[str, ...] = (), idle_seconds: float = 5
) -> AsyncIterator[Gateway]:
    gateway = Gateway()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(engine_session(idle_seconds=idle_seconds))
        if store is None:
            store = await stack.enter_async_context(ArtifactClient("http://127.0.0.1:1", Path("/nonexistent")))
        app = gateway_application(
            relay=Relay(gateway, Engines(session, gateway.selection, gateway.metrics), gateway.metrics),
            models=Models(gateway),
            artifacts=Artifacts(store, namespaces),
            metrics=gateway.metrics,
            ready=lambda: gateway.ready,
        )
        gateway.port = await stack.enter_async_context(listening(app, 0, host="127.0.0.1", drain_seconds=0.1))
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
