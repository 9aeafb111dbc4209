"""The cold paths without a server: the application is called as ASGI."""

from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from splai.artifacts.client import ArtifactClient
from splai.gateway.endpoints.application import endpoints_application
from splai.gateway.endpoints.artifacts import Artifacts
from splai.gateway.endpoints.documents import Branding, Documents
from splai.gateway.endpoints.health import Check, Health
from splai.gateway.endpoints.models import Models
from splai.gateway.metric_families import BackendState
from splai.gateway.metrics import Metrics
from splai.gateway.routing.observed import Backend, Endpoints
from splai.gateway.routing.routes import RouteTable, build_routes


@dataclass
class Cold:
    """The application, and what its test may turn."""

    store: ArtifactClient = field(default_factory=lambda: ArtifactClient("http://127.0.0.1:1", Path("/nonexistent")))
    namespaces: tuple[str, ...] = ()
    branding: Branding = field(default_factory=lambda: Branding("SPLAI Inference Gateway", "All models"))
    checks: dict[str, Check] = field(default_factory=dict)
    table: RouteTable = field(default_factory=RouteTable)
    ready: bool = True
    now: float = 0
    backends: list[BackendState] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.application: Starlette = endpoints_application(
            models=Models(self),
            artifacts=Artifacts(self.store, self.namespaces),
            documents=Documents(self.branding),
            health=Health(lambda: self.backends, self.checks, clock=lambda: self.now, check_seconds=0.05),
            metrics=self.metrics,
            ready=lambda: self.ready,
        )

    def serve(self, model: str, *addresses: str, aliases: tuple[str, ...] = ()) -> None:
        """The one backend there is, with engines at these addresses."""
        backend = Backend("team-a", "backend", 1700000000, model, aliases)
        self.table = build_routes([backend], [Endpoints("team-a", "backend", addresses)])

    async def call(self, method: str, path: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(self.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
            return await http.request(method, path, headers=headers)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.call("GET", path, **headers)

    def value(self, name: str, **labels: str) -> float:
        """A metric's value; what was never counted is 0."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def cold() -> Cold:
    return Cold()
