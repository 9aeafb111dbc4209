"""Loads of many small jobs of one kind: their bodies, and how they are created, awaited and deleted."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from splai.kube.client import Client
from splai.kube.errors import AlreadyExists, Gone, NotFound, Unavailable
from splai.kube.resource import INFERENCE_JOBS, JOBS, MODEL_BACKENDS, PODS, Resource

NAMESPACE = "benchmark"
AT_ONCE = 32
PATIENCE = 3600.0
_OF_JOBS = {INFERENCE_JOBS: "", JOBS: "", PODS: "batch.kubernetes.io/job-name"}
"""Selectors of what the loads make: the backend's own pods are none of it."""


@dataclass(frozen=True)
class Load:
    """How long a load took, from its first create."""

    seconds: float
    """Until all objects were complete. Of an InferenceJob its pod says so, before Kubernetes is done with its Job."""
    seconds_with_jobs: float
    """Until all Jobs were complete too."""


async def run_load(client: Client, resource: Resource, bodies: list[dict[str, Any]]) -> Load:
    """Create all objects, 32 at a time, and wait for them, and for the Jobs that they have, to be complete."""
    versions = {kind: (await client.list(kind, NAMESPACE)).resource_version for kind in {resource, JOBS}}
    done: dict[Resource, float] = {}
    started = time.monotonic()
    pending = bodies[::-1]

    async def create_some() -> None:
        while pending:
            body = pending.pop()
            try:
                await client.create(resource, NAMESPACE, body)
            except AlreadyExists:
                continue
            except Unavailable:  # the machine is full: once more
                pending.append(body)

    async def wait(kind: Resource, version: str) -> None:
        await _wait_until_complete(client, kind, len(bodies), version)
        done[kind] = time.monotonic() - started

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(create_some())
        for kind, version in versions.items():
            tasks.create_task(wait(kind, version))
    return Load(seconds=done[resource], seconds_with_jobs=max(done.values()))


async def _wait_until_complete(client: Client, resource: Resource, expected: int, version: str) -> None:
    """Watch the collection until so many objects are complete; an apiserver may end a watch at any time."""
    complete: set[str] = set()
    while len(complete) < expected:
        async for event in client.watch(resource, NAMESPACE, resource_version=version, timeout_seconds=1800):
            version = event.object["metadata"]["resourceVersion"]
            if event.type != "BOOKMARK" and _is_complete(event.object):
                complete.add(event.object["metadata"]["uid"])
            if len(complete) == expected:
                return


def _is_complete(body: dict[str, Any]) -> bool:
    conditions = body.get("status", {}).get("conditions", [])
    return any(c["type"] in {"Complete", "Succeeded"} and c["status"] == "True" for c in conditions)


async def delete_all(client: Client, resource: Resource) -> None:
    """Delete the load's objects, 32 at a time, and wait until they and their pods are gone."""
    found = await client.list(resource, NAMESPACE, selector=_OF_JOBS[resource])
    pending = [item["metadata"]["name"] for item in found.items]

    async def delete_some() -> None:
        while pending:
            name = pending.pop()
            try:
                await client.delete(resource, NAMESPACE, name)
            except NotFound:
                continue
            except Unavailable:  # the machine is full: once more
                pending.append(name)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(delete_some())
    for left in (resource, PODS):
        await wait_until_gone(client, left)


async def wait_until_gone(client: Client, resource: Resource) -> None:
    """Return when nothing of the load is left of the resource."""
    async with asyncio.timeout(PATIENCE):
        while True:
            pages = client.pages(resource, NAMESPACE, selector=_OF_JOBS[resource], limit=1)
            try:
                if not (await anext(pages)).items:
                    return
            except Gone:
                pass
            finally:
                await pages.aclose()
            await asyncio.sleep(0.5)


def plain_job(number: int) -> dict[str, Any]:
    """A Job with one pod of the same size as a worker."""
    container = {"name": "worker", "image": "example.com/none", "resources": {"requests": {"cpu": "10m"}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"plain-{number}"},
        "spec": {
            "completionMode": "Indexed",
            "completions": 1,
            "parallelism": 1,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }


def inference_job(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "InferenceJob",
        "metadata": {"name": f"job-{number}"},
        "spec": {"model": "benchmark", "input": {"text": f"Record {number}"}},
    }


async def ready_backend(client: Client) -> None:
    """A ModelBackend that KWOK keeps Ready; returns when the operator has said so."""
    await client.create(
        MODEL_BACKENDS,
        NAMESPACE,
        {
            "apiVersion": "splai.dev/v1alpha1",
            "kind": "ModelBackend",
            "metadata": {"name": "benchmark"},
            "spec": {"model": {"id": "benchmark"}},
        },
    )
    async with asyncio.timeout(120):
        while True:
            backend = await client.get(MODEL_BACKENDS, NAMESPACE, "benchmark")
            conditions = backend.get("status", {}).get("conditions", [])
            if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
                return
            await asyncio.sleep(0.2)
