"""Loads of many backends: made by the operator or by hand, and when their children were there."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmarks.job_loads import AT_ONCE, NAMESPACE
from splai.api.model_backend import ModelBackend
from splai.core.modelbackend.plan import plan
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.plan import Apply
from splai.core.settings import OperatorSettings
from splai.engines.images import EngineImages
from splai.kube.client import Client
from splai.kube.errors import Unavailable
from splai.kube.resource import DEPLOYMENTS, MODEL_BACKENDS, SERVICES, Resource, resource_of

Object = dict[str, Any]
PATIENCE = 600.0
SETTINGS = OperatorSettings(image="none", engine_images=EngineImages(llamacpp="example.com/none", vllm="none"))


@dataclass
class Arrivals:
    """Moments on one clock; ``asked`` and ``made`` by the backend's name."""

    started: float = field(default_factory=time.monotonic)
    asked: dict[str, float] = field(default_factory=dict)
    made: dict[str, float] = field(default_factory=dict)
    """When the later one of Deployment and Service was there."""
    answered: float = 0.0

    @property
    def last_child(self) -> float:
        """Seconds from the first create."""
        return max(self.made.values()) - self.started

    @property
    def all_answer(self) -> float:
        """Seconds from the first create."""
        return self.answered - self.started

    def delay(self, quantile: float) -> float:
        """Seconds from the create of a backend until its children were there."""
        delays = sorted(self.made[name] - self.asked[name] for name in self.made)
        return delays[min(len(delays) - 1, int(quantile * len(delays)))]


def model_backend(number: int) -> Object:
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "ModelBackend",
        "metadata": {"name": f"backend-{number}"},
        "spec": {"model": {"id": f"model-{number}"}, "resources": {"cpu": "10m"}},
    }


def children_of(body: Object) -> list[Object]:
    """What the operator would apply for the backend, without the owner that nobody made."""
    metadata = {"namespace": NAMESPACE, "uid": "of-nobody", "generation": 1, **body["metadata"]}
    backend = ModelBackend.model_validate({**body, "metadata": metadata})
    actions = plan(BackendSnapshot(backend=backend, settings=SETTINGS), datetime.now(UTC)).actions
    children = [action.body for action in actions if isinstance(action, Apply)]
    for child in children:
        del child["metadata"]["ownerReferences"]
    return children


async def create_directly(client: Client, families: list[list[Object]]) -> Arrivals:
    """Deployment and Service of each backend, 32 backends at a time; until all Deployments are available."""

    async def create(children: list[Object]) -> None:
        for child in children:
            await _create(client, resource_of(child["apiVersion"], child["kind"]), child)

    names = [family[0]["metadata"]["name"] for family in families]
    return await _run(client, dict(zip(names, families, strict=True)), create, (DEPLOYMENTS, _is_available))


async def create_through_operator(client: Client, bodies: list[Object]) -> Arrivals:
    """ModelBackends, 32 at a time; until all of them are Ready."""

    async def create(body: Object) -> None:
        await _create(client, MODEL_BACKENDS, body)

    names = [body["metadata"]["name"] for body in bodies]
    return await _run(client, dict(zip(names, bodies, strict=True)), create, (MODEL_BACKENDS, _is_ready))


async def _run(
    client: Client, load: dict[str, Any], create: Callable[[Any], Any], end: tuple[Resource, Callable[[Object], bool]]
) -> Arrivals:
    versions = {
        resource: (await client.list(resource, NAMESPACE)).resource_version
        for resource in {DEPLOYMENTS, SERVICES, end[0]}
    }
    arrivals = Arrivals()
    pending = list(load)[::-1]

    async def create_some() -> None:
        while pending:
            name = pending.pop()
            arrivals.asked[name] = time.monotonic()
            await create(load[name])

    async def until(resource: Resource, holds: Callable[[Object], bool]) -> dict[str, float]:
        """When each of the load was first seen so."""
        seen: dict[str, float] = {}
        version = versions[resource]
        while True:
            async for event in client.watch(resource, NAMESPACE, resource_version=version, timeout_seconds=600):
                version = event.object["metadata"]["resourceVersion"]
                if event.type == "BOOKMARK":
                    continue
                name = event.object["metadata"]["name"]
                if name in load and name not in seen and holds(event.object):
                    seen[name] = time.monotonic()
                if len(seen) == len(load):
                    return seen

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        children = [tasks.create_task(until(resource, lambda _: True)) for resource in (DEPLOYMENTS, SERVICES)]
        answering = tasks.create_task(until(*end))
        for _ in range(AT_ONCE):
            tasks.create_task(create_some())
    deployments, services = (task.result() for task in children)
    arrivals.made = {name: max(deployments[name], services[name]) for name in load}
    arrivals.answered = max(answering.result().values())
    return arrivals


async def _create(client: Client, resource: Resource, body: Object) -> None:
    while True:
        try:
            await client.create(resource, NAMESPACE, body)
        except Unavailable:  # the machine is full: once more
            continue
        return


def _is_available(deployment: Object) -> bool:
    conditions = deployment.get("status", {}).get("conditions", [])
    return any(it["type"] == "Available" and it["status"] == "True" for it in conditions)


def _is_ready(backend: Object) -> bool:
    conditions = backend.get("status", {}).get("conditions", [])
    return any(it["type"] == "Ready" and it["status"] == "True" for it in conditions)
