"""Routes follow the objects of a real apiserver, and outlive it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from splai.gateway.metrics import Metrics
from splai.gateway.routing.discovery import Discovery
from splai.kube.client import Client
from splai.kube.resource import ENDPOINT_SLICES, MODEL_BACKENDS, SERVICES
from tests.integration.gateway.conftest import endpoint_slice, model_backend
from tests.integration.running_control_plane import RunningControlPlane


@asynccontextmanager
async def following(client: Client, *namespaces: str, metrics: Metrics | None = None) -> AsyncIterator[Discovery]:
    discovery = Discovery(client, namespaces, metrics or Metrics())
    task = asyncio.create_task(discovery.run())
    try:
        yield discovery
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def discovery(client: Client, namespace: str, metrics: Metrics) -> AsyncIterator[Discovery]:
    async with following(client, namespace, metrics=metrics) as discovery:
        yield discovery


def addresses(discovery: Discovery, model: str) -> list[str] | None:
    pool = discovery.table.find(model)
    return None if pool is None else list(pool.addresses)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the apiserver's changes arrive when they arrive
            await asyncio.sleep(0.02)


async def test_an_empty_cluster_is_known_to_be_empty(discovery: Discovery) -> None:
    await until(lambda: discovery.synced)

    assert discovery.table.listed == ()


async def test_routes_come_change_and_go(discovery: Discovery, client: Client, namespace: str) -> None:
    await client.create(MODEL_BACKENDS, namespace, model_backend("llama", "llama3-8b-q4"))
    await until(lambda: addresses(discovery, "llama3-8b-q4") == [])

    await client.create(ENDPOINT_SLICES, namespace, endpoint_slice("llama", "10.0.0.1"))
    await until(lambda: addresses(discovery, "llama3-8b-q4") == ["10.0.0.1:8000"])

    await client.patch(MODEL_BACKENDS, namespace, "llama", {"spec": {"model": {"aliases": ["llama3.1:8b"]}}})
    await until(lambda: addresses(discovery, "llama3.1:8b") == ["10.0.0.1:8000"])

    not_ready = [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}]
    await client.patch(ENDPOINT_SLICES, namespace, "llama-1", {"endpoints": not_ready})
    await until(lambda: addresses(discovery, "llama3-8b-q4") == [])

    await client.delete(ENDPOINT_SLICES, namespace, "llama-1")
    await client.delete(MODEL_BACKENDS, namespace, "llama")
    await until(lambda: addresses(discovery, "llama3-8b-q4") is None)


async def test_the_controllers_own_slices_carry_the_services_label(
    discovery: Discovery, client: Client, namespace: str
) -> None:
    """The selector of the watch depends on it."""
    labels = {"splai.dev/modelbackend": "llama"}
    service: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "llama", "labels": labels},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }
    await client.create(SERVICES, namespace, service)

    async def slices() -> list[dict[str, Any]]:
        return (await client.list(ENDPOINT_SLICES, namespace, selector="splai.dev/modelbackend=llama")).items

    async with asyncio.timeout(60):
        while not await slices():  # noqa: ASYNC110 - the controller takes its time
            await asyncio.sleep(0.1)


async def test_slices_of_other_peoples_services_are_no_routes(
    discovery: Discovery, client: Client, namespace: str
) -> None:
    foreign = endpoint_slice("llama", "10.6.6.6")
    del foreign["metadata"]["labels"]["splai.dev/modelbackend"]
    await client.create(ENDPOINT_SLICES, namespace, foreign)
    await client.create(MODEL_BACKENDS, namespace, model_backend("llama", "llama"))
    await client.create(MODEL_BACKENDS, namespace, model_backend("last", "last"))

    await until(lambda: addresses(discovery, "last") == [])

    assert addresses(discovery, "llama") == []


async def test_only_the_given_namespaces_are_followed(client: Client, namespace: str) -> None:
    await client.create(MODEL_BACKENDS, namespace, model_backend("llama", "llama"))

    async with following(client, "default") as one, following(client) as all_of_them:
        await until(lambda: one.synced and all_of_them.synced)

        assert addresses(one, f"{namespace}/llama") is None
        assert addresses(all_of_them, f"{namespace}/llama") == []


async def test_routes_outlive_the_apiserver_and_follow_it_again(
    discovery: Discovery, metrics: Metrics, client: Client, namespace: str, control_plane: RunningControlPlane
) -> None:
    await client.create(MODEL_BACKENDS, namespace, model_backend("llama", "llama"))
    await client.create(ENDPOINT_SLICES, namespace, endpoint_slice("llama", "10.0.0.1"))
    await until(lambda: addresses(discovery, "llama") == ["10.0.0.1:8000"])
    before = discovery.table

    control_plane.kill("kube-apiserver")
    await until(lambda: failures(metrics) > 0)
    assert discovery.table is before
    await asyncio.to_thread(control_plane.start)

    await client.create(MODEL_BACKENDS, namespace, model_backend("second", "second"))
    await client.delete(ENDPOINT_SLICES, namespace, "llama-1")
    await until(lambda: addresses(discovery, "second") == [] and addresses(discovery, "llama") == [])


def failures(metrics: Metrics) -> float:
    name = "splai_gateway_watch_failures_total"
    resources = (MODEL_BACKENDS.name, ENDPOINT_SLICES.name)
    return sum(metrics.registry.get_sample_value(name, {"resource": resource}) or 0 for resource in resources)
