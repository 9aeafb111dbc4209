"""A gateway's pod in the place of a real one: it answers what the test says to ``GET /internal/load``."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.integration.controller.objects import Namespace
from tests.integration.gateway.gateway_process import own_address


class FakeGateway:
    """What it says, and how often it was asked."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.models: list[dict[str, Any]] = []
        self.asked = 0
        self.is_silent = False

    def has(self, backend: str, *, in_flight: int = 0, held: int = 0) -> None:
        """Requests for one backend, and for no other."""
        model = {"namespace": self._namespace, "backend": backend, "inFlight": in_flight, "held": held}
        self.models = [model] if in_flight or held else []


@contextmanager
def running_gateway(namespace: Namespace) -> Iterator[FakeGateway]:
    """One that the operator finds as the endpoint of the gateway's Service in the namespace."""
    gateway = FakeGateway(namespace.name)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gateway.asked += 1
            if gateway.is_silent or self.path != "/internal/load":
                self.send_error(503)
                return
            body = json.dumps({"replica": "fake", "models": gateway.models}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
            pass

    with ThreadingHTTPServer((own_address(), 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        namespace.apply(_endpoint_slice(str(server.server_address[0]), server.server_port))
        yield gateway
        server.shutdown()


def _endpoint_slice(address: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "splai-api-gateway-1",
            "labels": {"kubernetes.io/service-name": "splai-api-gateway"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "metrics", "port": port}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }
