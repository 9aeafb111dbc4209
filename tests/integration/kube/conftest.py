"""A client with the administrator's rights on the shared control plane."""

from collections.abc import AsyncIterator

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
