"""A client of the shared control plane, and the objects that the gateway watches, made as the operator makes them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from splai.kube.client import Client
from splai.kube.connection import load_configuration
from tests.integration.running_control_plane import RunningControlPlane


@pytest.fixture
async def client(control_plane: RunningControlPlane, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    client = Client(await load_configuration(), component="test")
    yield client
    await client.close()


def model_backend(name: str, model: str, *aliases: str) -> dict[str, Any]:
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "ModelBackend",
        "metadata": {"name": name},
        "spec": {"model": {"id": model, "aliases": list(aliases)}},
    }


def endpoint_slice(service: str, address: str, *, port: int = 8000, ready: bool = True) -> dict[str, Any]:
    """Labelled as the endpoint slice controller labels it: with the Service's name and the Service's own labels."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-1",
            "labels": {"kubernetes.io/service-name": service, "splai.dev/modelbackend": service},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
    }
