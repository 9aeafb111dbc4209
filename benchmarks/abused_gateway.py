"""The gateway's handler and server as they are, with routes that never change, and deadlines that can be waited for."""

import argparse
import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import uvloop

from splai.artifacts.client import ArtifactClient
from splai.gateway.application import gateway_handler
from splai.gateway.authorization import Authorization
from splai.gateway.endpoints.artifacts import Artifacts
from splai.gateway.http.limits import Limits
from splai.gateway.metrics import Metrics
from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import RouteTable, build_routes
from splai.gateway.server import listening
from splai.gateway.settings import GatewaySettings

LIMITS = Limits(header_seconds=4, body_stall_seconds=6, idle_seconds=15, write_stall_seconds=8)
"""Sizes are the production's; times a fifth or so, so that all deadlines pass several times in a run."""
FLOODING = "flooding"
"""The model whose answers do not end."""

_NAMESPACE = "benchmark"


class FixedRoutes:
    """A table that stays."""

    def __init__(self, engines: dict[str, str]) -> None:
        backends = [Backend(_NAMESPACE, model, 1_700_000_000, model, (), Policy()) for model in engines]
        endpoints = [Endpoints(_NAMESPACE, model, (address,)) for model, address in engines.items()]
        self.table = build_routes(backends, endpoints)

    def on_change(self, listener: Callable[[RouteTable], None]) -> None:
        listener(self.table)


async def serve(engines: dict[str, str], port: int) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = GatewaySettings(access_log=False)
    metrics = Metrics()
    async with (
        ArtifactClient("http://127.0.0.1:9", Path("/nonexistent")) as artifacts,
        gateway_handler(
            settings,
            FixedRoutes(engines),
            metrics,
            Authorization(""),
            Artifacts(artifacts, settings.namespaces),
            ready=lambda: True,
        ) as handler,
        listening(handler, port, host="127.0.0.1", limits=LIMITS, drain_seconds=0),
    ):
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("engines", nargs="+", metavar="MODEL=HOST:PORT")
    arguments = parser.parse_args()
    uvloop.run(serve(dict(engine.split("=", 1) for engine in arguments.engines), arguments.port))


if __name__ == "__main__":
    main()
