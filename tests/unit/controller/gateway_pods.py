"""Pods of the gateway as the operator finds and asks them: an EndpointSlice, and a server for each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class GatewayPod:
    """One that answers ``/internal/load`` with what the test says, or with a status instead."""

    name: str
    port: int = 0
    models: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    asked: int = 0

    def has(self, backend: str, *, in_flight: int = 0, held: int = 0, namespace: str = "n") -> None:
        self.models = [{"namespace": namespace, "backend": backend, "inFlight": in_flight, "held": held}]

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.body is not None or self.status != 200:
            return web.Response(status=self.status, body=self.body)
        return web.json_response({"replica": self.name, "models": self.models})


@asynccontextmanager
async def running_pod(name: str) -> AsyncIterator[GatewayPod]:
    pod = GatewayPod(name)
    application = web.Application()
    application.router.add_get("/internal/load", pod.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)  # type: ignore[arg-type]
    pod.port = server.sockets[0].getsockname()[1]
    try:
        yield pod
    finally:
        server.close()
        await runner.cleanup()


def endpoint_slice(
    name: str, addresses: Sequence[tuple[str, str]], *, port: int = 9464, ready: bool = True, family: str = "IPv4"
) -> dict[str, Any]:
    """Of the gateway's Service; ``addresses`` are those of pods, with their names."""
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "splai-api-gateway"}},
        "addressType": family,
        "ports": [{"name": "http", "port": 8080}, {"name": "metrics", "port": port}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": ready},
                "targetRef": {"kind": "Pod", "name": pod},
            }
            for address, pod in addresses
        ],
    }
