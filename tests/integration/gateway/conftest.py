"""A client of the shared control plane, and the objects that the gateway watches, made as the operator makes them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from splai.kube.client import Client
from splai.kube.connection import load_configuration
from splai.kube.resource import ENDPOINT_SLICES, MODEL_BACKENDS
from tests.integration.running_control_plane import RunningControlPlane


@pytest.fixture
async def client(control_plane: RunningControlPlane, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    async with client_of(control_plane, monkeypatch) as client:
        yield client


@asynccontextmanager
async def client_of(control_plane: RunningControlPlane, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    client = Client(await load_configuration(), component="test")
    try:
        yield client
    finally:
        await client.close()


async def create_backend(client: Client, namespace: str, name: str, engine: str, *names: str) -> None:
    """A backend with one ready pod at the engine's address; the first of ``names`` is its model, the others aliases."""
    host, _, port = engine.rpartition(":")
    await client.create(ENDPOINT_SLICES, namespace, endpoint_slice(name, host, port=int(port)))
    await client.create(MODEL_BACKENDS, namespace, model_backend(name, *names))


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
